package sandbox

import (
	"encoding/json"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/berth-sh/berth/pipelines/registry"
)

// habits are what a kind does differently from the specification's plain registry. They follow the registries'
// own documentation and source.
type habits struct {
	// tokens is the path of the token server; "" means Basic authentication.
	tokens string
	// service is the name that the challenge gives; "" is the host.
	service string
	// referrers tells whether there is a referrers API.
	referrers bool
	// immutable is the answer to putting an immutable tag again, even with the same digest. Zero: no such tags.
	immutable refusal
	// explicit tells that repositories may have to be created before the first push.
	explicit bool
	// undeletable tells that nothing is deleted over the registry API, but over another one of the registry.
	undeletable bool
	// pageSize is the most that one page of a list of tags has; 0 means that all come at once.
	pageSize int
	// mountless tells that blobs of other repositories are not mounted unless the account asked for that.
	mountless bool
}

// refusal is an error answer in the format of the OCI distribution specification.
type refusal struct {
	status        int
	code, message string
}

func habitsOf(kind registry.Kind) habits {
	switch kind {
	case registry.GHCR:
		return habits{tokens: "/token", undeletable: true, pageSize: 100}
	case registry.Quay:
		return habits{
			tokens: "/v2/auth", referrers: true, pageSize: 100,
			immutable: refusal{http.StatusConflict, "TAG_IMMUTABLE", "the tag is immutable and cannot be overwritten"},
		}
	case registry.GCR:
		return habits{tokens: "/v2/token", referrers: true, explicit: true}
	case registry.ECR:
		return habits{
			service: "ecr.amazonaws.com", referrers: true, explicit: true, undeletable: true,
			pageSize: 100, mountless: true,
			immutable: refusal{
				http.StatusBadRequest, "TAG_INVALID",
				"the image tag already exists and cannot be overwritten because the repository is immutable",
			},
		}
	default:
		return habits{referrers: true}
	}
}

// The refusals that do not depend on a kind.
func unauthorized() refusal {
	return refusal{http.StatusUnauthorized, "UNAUTHORIZED", "authentication required"}
}

func nameUnknown() refusal {
	return refusal{http.StatusNotFound, "NAME_UNKNOWN", "the repository does not exist in the registry"}
}

func noReferrers() refusal {
	return refusal{http.StatusNotFound, "UNSUPPORTED", "the referrers API is not supported"}
}

func notFound() refusal { return refusal{http.StatusNotFound, "NOT_FOUND", "there is nothing here"} }

func undeletable() refusal {
	return refusal{http.StatusMethodNotAllowed, "UNSUPPORTED", "The operation is unsupported."}
}

func badHost() refusal {
	return refusal{http.StatusBadRequest, "NAME_INVALID", "the host cannot be mapped into the sandbox"}
}

func readOnly() refusal {
	return refusal{http.StatusMethodNotAllowed, "UNSUPPORTED", "the sandbox is served read-only"}
}

func (f refusal) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": f.code, "message": f.message}}})
}

// endpoint is a request path of the distribution specification, taken apart. The greedy repository finds the last
// separator, so that a repository may have a part named "tags".
var endpoint = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs|tags|referrers)/((?:uploads/)?[^/]*)$`)

// call is one request to one host of the sandbox.
type call struct {
	host, folder     string
	kind             registry.Kind
	habits           habits
	repository       string // "" for /v2/ itself
	endpoint, target string
}

// inside is the repository's name in the one registry that holds all hosts.
func (c call) inside() string { return c.folder + "/" + c.repository }

// serveHost answers a request as the registry that its Host header names.
func (s *Sandbox) serveHost(w http.ResponseWriter, r *http.Request) {
	host := strings.ToLower(r.Host)
	if host == "registry-1.docker.io" {
		host = "docker.io"
	}
	inside, err := folder(host)
	if err != nil {
		badHost().write(w)
		return
	}
	if s.serveAWS(w, r, host) {
		return
	}
	if s.throttled(w, host) {
		return
	}
	c := call{host: host, folder: inside, kind: s.options.Kinds(host)}
	c.habits = habitsOf(c.kind)
	if c.habits.tokens != "" && r.URL.Path == c.habits.tokens {
		s.serveToken(w, r, c)
		return
	}
	if m := endpoint.FindStringSubmatch(r.URL.Path); m != nil {
		c.repository, c.endpoint, c.target = m[1], m[2], m[3]
	} else if r.URL.Path != "/v2/" && r.URL.Path != "/v2" {
		notFound().write(w)
		return
	}
	if !s.admit(w, r, c) {
		return
	}
	if c.repository == "" {
		w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
		return
	}
	s.serveRepository(w, r, c)
}

// serveRepository applies the habits and hands the request to olareg.
func (s *Sandbox) serveRepository(w http.ResponseWriter, r *http.Request, c call) {
	switch {
	case c.endpoint == "referrers" && !c.habits.referrers:
		noReferrers().write(w)
		return
	case r.Method == http.MethodDelete && c.endpoint == "manifests" && c.habits.undeletable:
		undeletable().write(w)
		return
	case c.habits.explicit && s.mustCreate(c.host) && !s.created(c),
		c.endpoint == "tags" && !s.exists(c.inside()):
		nameUnknown().write(w)
		return
	}
	if r.Method == http.MethodPut && c.endpoint == "manifests" && s.isImmutable(c) {
		s.tagging.Lock()
		defer s.tagging.Unlock()
		if s.tagged(r, c) {
			c.habits.immutable.write(w)
			return
		}
	}
	s.forward(w, r, c)
}

// mustCreate tells whether a host wants repositories to be created before the first push.
func (s *Sandbox) mustCreate(host string) bool {
	return s.options.RequireRepositories || s.options.MustCreate != nil && s.options.MustCreate(host)
}

// isImmutable tells whether the target is a tag that may be put only once: as the repository was created, or else as
// the options say.
func (s *Sandbox) isImmutable(c call) bool {
	if c.habits.immutable.status == 0 || strings.Contains(c.target, ":") {
		return false
	}
	if settings, created, err := s.awsSettings(c.host, c.repository); created && err == nil {
		return settings.immutable(c.target)
	}
	for _, p := range s.options.Immutable[c.host] {
		if ok, _ := path.Match(p, c.target); ok { // the patterns were checked by New
			return true
		}
	}
	return false
}

// tagged asks the registry whether the tag is there.
func (s *Sandbox) tagged(r *http.Request, c call) bool {
	head, err := http.NewRequestWithContext(r.Context(), http.MethodHead, "/v2/"+c.inside()+"/manifests/"+c.target, nil)
	if err != nil {
		return false
	}
	acceptAnything(head)
	m := &memo{header: http.Header{}}
	s.guarded(m, head, c)
	return m.status == http.StatusOK
}
