package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/registry"
)

// grant is what a token allows: actions by repository.
type grant struct {
	User   string              `json:"sub"`
	Access map[string][]string `json:"access"`
	// Host is the registry's, and Logins how often its logins had been forgotten by then.
	Host   string `json:"aud"`
	Logins int    `json:"jti"`
}

// admit answers requests without a valid login, and tells whether this one may go on. Reading needs a login too: the
// sandbox plays private registries.
func (s *Sandbox) admit(w http.ResponseWriter, r *http.Request, c call) bool {
	if c.habits.tokens == "" {
		_, password, ok := r.BasicAuth()
		switch {
		case ok && password == s.password() && c.kind == registry.ECR && s.demands.of(c.host).expired:
			expiredPassword().write(w)
			return false
		case ok && password == s.password():
			return true
		case ok && c.kind == registry.ECR:
			wrongPassword(c.kind).write(w)
			return false
		}
		service := c.habits.service
		if service == "" {
			service = c.host
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q,service=%q", "https://"+r.Host+"/", service))
		unauthorized().write(w)
		return false
	}
	need := action(r.Method)
	g, ok := s.token(r, c.host)
	if ok && (c.repository == "" || slices.Contains(g.Access[c.repository], need)) {
		return true
	}
	challenge := fmt.Sprintf("Bearer realm=%q,service=%q", realm(r, c.habits.tokens), c.host)
	if c.repository != "" {
		scope := need
		if need == "push" {
			scope = "pull,push"
		}
		challenge += fmt.Sprintf(",scope=%q", "repository:"+c.repository+":"+scope)
	}
	if ok {
		challenge += `,error="insufficient_scope"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	unauthorized().write(w)
	return false
}

// password is the one that every account has.
func (s *Sandbox) password() string {
	if s.options.Password != "" {
		return s.options.Password
	}
	return Password
}

// realm is the token server's address under the host's real name. Real registries speak HTTPS; a loopback host of the
// sandbox was asked over HTTP, and a client refuses to send a password for HTTP elsewhere, or to change the scheme.
func realm(r *http.Request, path string) string {
	scheme := r.Header.Get(schemeHeader)
	if scheme == "" {
		scheme = "https"
	}
	return scheme + "://" + r.Host + path
}

// action is the right that a method needs.
func action(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead:
		return "pull"
	case http.MethodDelete:
		return "delete"
	default:
		return "push"
	}
}

// mayPull tells whether the request's token allows reading another repository, as a mount needs.
func (s *Sandbox) mayPull(r *http.Request, host, repository string) bool {
	g, ok := s.token(r, host)
	return ok && slices.Contains(g.Access[repository], "pull")
}

// serveToken is the token server. It grants whatever is asked for to whoever knows the password.
func (s *Sandbox) serveToken(w http.ResponseWriter, r *http.Request, c call) {
	user, password, ok := r.BasicAuth()
	if r.Method != http.MethodGet {
		refusal{http.StatusMethodNotAllowed, "UNSUPPORTED", "ask for a token with GET and Basic authentication"}.write(w)
		return
	}
	if !ok || password != s.password() {
		wrongPassword(c.kind).write(w)
		return
	}
	g := grant{User: user, Access: map[string][]string{}, Host: c.host, Logins: s.demands.of(c.host).logins}
	for _, scopes := range r.URL.Query()["scope"] {
		for _, scope := range strings.Fields(scopes) {
			if name, actions, ok := parseScope(scope); ok {
				g.Access[name] = append(g.Access[name], actions...)
			}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"token": s.sign(g)})
}

// parseScope reads "repository:<name>:<action>,<action>".
func parseScope(scope string) (name string, actions []string, ok bool) {
	rest, ok := strings.CutPrefix(scope, "repository:")
	last := strings.LastIndexByte(rest, ':')
	if !ok || last < 0 {
		return "", nil, false
	}
	actions = strings.Split(rest[last+1:], ",")
	if slices.Contains(actions, "*") {
		actions = []string{"pull", "push", "delete"}
	}
	return rest[:last], actions, true
}

// sign makes a token. It is valid as long as this sandbox lives and its host's logins are not made to expire.
func (s *Sandbox) sign(g grant) string {
	body, _ := json.Marshal(g) // strings and slices of them always marshal
	text := base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(s.mac(text))
}

func (s *Sandbox) mac(text string) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// token reads the grant of a request's bearer token for a host.
func (s *Sandbox) token(r *http.Request, host string) (grant, bool) {
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	text, signature, _ := strings.Cut(bearer, ".")
	if !ok {
		return grant{}, false
	}
	mac, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !hmac.Equal(mac, s.mac(text)) {
		return grant{}, false
	}
	body, err := base64.RawURLEncoding.DecodeString(text)
	var g grant
	if err != nil || json.Unmarshal(body, &g) != nil {
		return grant{}, false
	}
	return g, g.Host == host && g.Logins == s.demands.of(host).logins
}
