package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// renewing is a cache of tokens that asks for a password anew each time, instead of keeping it for the whole run: the
// credentials remember it, and know when it expires.
type renewing struct {
	auth.Cache
	credentials *Credentials
}

// GetToken implements auth.Cache.
func (c renewing) GetToken(ctx context.Context, host string, scheme auth.Scheme, key string) (string, error) {
	token, err := c.Cache.GetToken(ctx, host, scheme, key)
	if err != nil || scheme != auth.SchemeBasic {
		return token, err
	}
	cred, err := c.credentials.For(ctx, accountHost(host))
	if err != nil || cred.Username == "" || cred.Password == "" {
		return token, err
	}
	return base64.StdEncoding.EncodeToString([]byte(cred.Username + ":" + cred.Password)), nil
}

// errRenewed is the failure of a request whose password was renewed, but whose body can be read only once.
var errRenewed = errors.New("the password has expired and was renewed")

// session sends requests with a login. A token that expired is replaced by oras; a password that did is asked for again
// here, once a request, where its source makes new ones.
type session struct {
	auth        *auth.Client
	credentials *Credentials
	kind        func(host string) Kind
}

// Do implements remote.Client.
func (s *session) Do(req *http.Request) (*http.Response, error) {
	resp, err := s.auth.Do(req)
	if err != nil || !s.refused(resp) {
		return resp, err
	}
	if !s.renew(req) {
		return resp, nil
	}
	_ = resp.Body.Close()
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return nil, errRenewed
	}
	again := req.Clone(req.Context())
	again.Header.Del("Authorization")
	if req.GetBody != nil {
		if again.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	return s.auth.Do(again)
}

// renew asks for another password than the one that was refused, and tells whether there is one. It was looked up for
// this request already. When its source fails, the registry's refusal is the better explanation.
func (s *session) renew(req *http.Request) bool {
	host := accountHost(req.URL.Host)
	before, err := s.credentials.For(req.Context(), host)
	if err != nil {
		return false
	}
	_, fresh, err := s.credentials.Renew(req.Context(), host, before)
	return fresh && err == nil
}

// refused tells whether an answer may be about an expired password; ECR has 403 for that.
func (s *session) refused(resp *http.Response) bool {
	return resp.StatusCode == http.StatusUnauthorized ||
		resp.StatusCode == http.StatusForbidden && s.kind(resp.Request.URL.Host) == ECR
}
