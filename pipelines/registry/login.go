package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Logins writes logins where Docker keeps them: in the credential store or helper that its config.json names, else in
// that file, which only its owner can read.
type Logins struct{ path string }

// NewLogins finds Docker's configuration in the injected environment, as [DockerConfig] does.
func NewLogins(lookup func(string) (string, bool)) Logins { return Logins{dockerFile(lookup)} }

// Path is the file that names where the logins are, "" when there is no home to keep it in.
func (l Logins) Path() string { return l.path }

// Save keeps a login for a host.
func (l Logins) Save(ctx context.Context, host string, c Credential) error {
	store, err := l.open()
	if err == nil {
		err = store.Put(ctx, dockerNames(host)[0], auth.Credential{
			Username: c.Username, Password: c.Password, RefreshToken: c.IdentityToken, AccessToken: c.AccessToken,
		})
	}
	return l.fault(ctx, "save the login for", host, err)
}

// Remove forgets the login for a host, and tells whether there was one.
func (l Logins) Remove(ctx context.Context, host string) (bool, error) {
	if _, err := os.Stat(l.path); l.path == "" || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	store, err := l.open()
	if err != nil {
		return false, l.fault(ctx, "remove the login for", host, err)
	}
	removed := false
	for _, name := range dockerNames(host) {
		found, err := store.Get(ctx, name)
		if err == nil && found != auth.EmptyCredential {
			removed = true
			err = store.Delete(ctx, name)
		}
		if err != nil {
			return removed, l.fault(ctx, "remove the login for", host, err)
		}
	}
	return removed, nil
}

func (l Logins) open() (credentials.Store, error) {
	if l.path == "" {
		return nil, errors.New("there is no home folder to keep it in")
	}
	path := l.path
	// Docker follows a link to the file; writing a new file in its place would cut it off from where people keep it.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	return credentials.NewStore(path, credentials.StoreOptions{AllowPlaintextPut: true, DetectDefaultNativeStore: true})
}

func (l Logins) fault(ctx context.Context, op, host string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case l.path == "":
		return &fault.Error{Op: op, Subject: host, Err: err, Code: fault.Usage, Next: "set HOME or DOCKER_CONFIG"}
	default:
		return &fault.Error{
			Op: op, Subject: host, Err: err, Code: fault.Credentials,
			Next: "check " + l.path + ": it must be Docker's JSON, writable, and the credential helper that it names installed",
		}
	}
}

// CheckForm finds what is wrong with a login before a registry is asked, which could only answer that it is wrong: a
// key of Google's that is none, or a kind of token that GHCR does not take.
func CheckForm(host string, c Credential) error {
	wrong := func(next, text string) error { return fault.New(fault.Usage, host, next, "%s", text) }
	switch {
	case KindOf(host) == GHCR && strings.HasPrefix(c.Password, "github_pat_"):
		return wrong("make a classic token with write:packages at https://github.com/settings/tokens",
			"GHCR does not take fine-grained tokens")
	case KindOf(host) != GCR:
		return nil
	case c.Username == GoogleKeyUser && !GoogleKey(c.Password):
		return wrong("give the whole JSON file of the key: berth … --username _json_key --password-stdin <key.json",
			"the password is no key of a service account")
	case c.Username == GoogleKeyUser64:
		if key, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(c.Password), "")); err != nil ||
			!GoogleKey(string(key)) {
			return wrong("give the JSON file of the key in base64, or as it is with --username "+GoogleKeyUser,
				"the password is no key of a service account in base64")
		}
	}
	return nil
}

// GoogleKey tells whether a text is the file of a Google service account's key.
func GoogleKey(text string) bool {
	var key struct {
		Type       string `json:"type"`
		PrivateKey string `json:"private_key"`
	}
	return json.Unmarshal([]byte(text), &key) == nil && key.Type == "service_account" && key.PrivateKey != ""
}
