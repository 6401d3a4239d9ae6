package registries

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// secret is the password of these tests. It is in no message.
const secret = "hunter2-of-the-harbour"

// answer is what a registry says in a situation.
type answer struct {
	registry, situation, host string
	at                        string // the step that is answered: token, look, upload, tag
	status                    int
	code, message             string // of the body; a look has none
	anonymous                 bool
	err                       error // instead of an answer
}

const (
	ghcr   = "ghcr.io"
	ecr    = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	google = "europe-west1-docker.pkg.dev"
	quay   = "quay.io"
	hub    = "docker.io"
	harbor = "harbor.example.com"
	gitlab = "registry.gitlab.com"
	other  = "registry.example.com"
)

// answers are taken from the registries' documentation and source, and from what their users report in public.
func answers() []answer {
	return append(append(append(github(), amazon()...), append(googles(), quays()...)...), append(others(), everywhere()...)...)
}

func github() []answer {
	return []answer{
		{registry: "GHCR", situation: "wrong or expired token", host: ghcr, at: "token", status: 403, code: "DENIED", message: "denied"},
		{registry: "GHCR", situation: "fine-grained token", host: ghcr, at: "upload", status: 403, code: "DENIED", message: "permission_denied: The token provided does not match expected scopes."},
		{registry: "GHCR", situation: "a workflow without `packages: write`", host: ghcr, at: "upload", status: 403, code: "DENIED", message: "installation not allowed to Write organization package"},
		{registry: "GHCR", situation: "package not linked to the repository", host: ghcr, at: "upload", status: 403, code: "DENIED", message: "permission_denied: write_package"},
		{registry: "GHCR", situation: "rate limit", host: ghcr, at: "look", status: 429},
	}
}

func amazon() []answer {
	return []answer{
		{registry: "ECR", situation: "expired token", host: ecr, at: "look", status: 403},
		{registry: "ECR", situation: "expired token, writing", host: ecr, at: "upload", status: 403, code: "DENIED", message: "Your authorization token has expired. Reauthenticate and try again."},
		{registry: "ECR", situation: "not a token of ECR", host: ecr, at: "look", status: 400},
		{registry: "ECR", situation: "identity without a right", host: ecr, at: "upload", status: 403, code: "DENIED", message: "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: ecr:InitiateLayerUpload"},
		{registry: "ECR", situation: "missing repository", host: ecr, at: "upload", status: 404, code: "NAME_UNKNOWN", message: "The repository with name 'acme/web' does not exist in the registry with id '123456789012'"},
		{registry: "ECR", situation: "rate limit", host: ecr, at: "look", status: 429},
	}
}

func googles() []answer {
	return []answer{
		{registry: "Artifact Registry", situation: "wrong or expired token", host: google, at: "token", status: 401, code: "UNAUTHORIZED", message: "authentication failed"},
		{registry: "Artifact Registry", situation: "nobody is logged in", host: google, at: "upload", status: 403, code: "DENIED", anonymous: true, message: `Unauthenticated request. Unauthenticated requests do not have permission "artifactregistry.repositories.uploadArtifacts"`},
		{registry: "Artifact Registry", situation: "account without a right", host: google, at: "upload", status: 403, code: "DENIED", message: `Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "projects/acme/locations/europe-west1/repositories/web" (or it may not exist)`},
		{registry: "Artifact Registry", situation: "API not enabled", host: google, at: "upload", status: 403, code: "DENIED", message: "Artifact Registry API has not been used in project acme before or it is disabled."},
		{registry: "Artifact Registry", situation: "missing repository", host: google, at: "upload", status: 404, code: "NAME_UNKNOWN", message: `Repository "web" not found`},
	}
}

func quays() []answer {
	return []answer{
		{registry: "Quay", situation: "wrong password", host: quay, at: "token", status: 401, code: "UNAUTHORIZED", message: "Invalid Username or Password"},
		{registry: "Quay", situation: "robot without a right", host: quay, at: "upload", status: 401, code: "UNAUTHORIZED", message: "access to the requested resource is not authorized"},
		{registry: "Quay", situation: "robot that may not even read", host: quay, at: "look", status: 401},
		{registry: "Quay", situation: "immutable tag with another digest", host: quay, at: "tag", status: 409, code: "TAG_IMMUTABLE", message: "tag is immutable and cannot be overwritten"},
	}
}

func others() []answer {
	return []answer{
		{registry: "Docker Hub", situation: "wrong password", host: hub, at: "token", status: 401},
		{registry: "Docker Hub", situation: "account without a right", host: hub, at: "upload", status: 401, code: "DENIED", message: "requested access to the resource is denied"},
		{registry: "Docker Hub", situation: "pull limit", host: hub, at: "look", status: 429, anonymous: true},
		{registry: "GitLab", situation: "wrong token", host: gitlab, at: "token", status: 403, code: "DENIED", message: "access forbidden"},
		{registry: "Harbor", situation: "robot without a right", host: harbor, at: "upload", status: 401, code: "UNAUTHORIZED", message: "unauthorized to access repository: acme/web, action: push"},
		{registry: "Harbor", situation: "immutable tag with another digest", host: harbor, at: "tag", status: 412, code: "PRECONDITION", message: "Failed to process request due to 'web:v1' configured as immutable."},
	}
}

func everywhere() []answer {
	day := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }
	old := x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{NotBefore: day(1), NotAfter: day(10)}}
	return []answer{
		{registry: "any", situation: "full disk", host: other, at: "upload", status: 507},
		{registry: "any", situation: "broken for longer than the retries last", host: other, at: "look", status: 503},
		{registry: "any", situation: "a web server that is no registry", host: other, at: "look", status: 405},
		{registry: "any", situation: "proxy that wants a login", host: other, at: "look", status: 407},
		{registry: "any", situation: "authority of its own", host: other, err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}},
		{registry: "any", situation: "wrong clock, or expired certificate", host: other, err: &tls.CertificateVerificationError{Err: old}},
		{registry: "any", situation: "unknown host", host: other, err: &net.DNSError{Err: "no such host", Name: other, IsNotFound: true}},
		{registry: "any", situation: "nothing listens", host: other, err: &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}},
		{registry: "any", situation: "plain HTTP", host: other, err: http.ErrSchemeMismatch},
	}
}

// The manifest that is tagged, and what the tag names instead at the registry.
const manifest = `{"schemaVersion":2}`

// RoundTrip plays the registry up to the answer.
func (a answer) RoundTrip(req *http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	say := func(status int, body string) (*http.Response, error) {
		if req.Method == http.MethodHead {
			header.Set("Content-Length", strconv.Itoa(len(manifest)))
			body = ""
		}
		return &http.Response{
			StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: header, Request: req,
			Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		}, nil
	}
	step := map[string]string{http.MethodHead: "look", http.MethodPost: "upload", http.MethodPut: "tag"}[req.Method]
	if req.URL.Path == "/token" {
		step = "token"
	}
	switch {
	case step != "token" && req.Header.Get("Authorization") == "" && a.host == ecr:
		header.Set("WWW-Authenticate", `Basic realm="https://`+a.host+`/",service="ecr.amazonaws.com"`)
		return say(401, "")
	case step != "token" && req.Header.Get("Authorization") == "":
		header.Set("WWW-Authenticate", `Bearer realm="https://`+req.URL.Host+`/token",service="registry"`)
		return say(401, "")
	case step == a.at && a.code != "":
		return say(a.status, fmt.Sprintf(`{"errors":[{"code":%q,"message":%q}]}`, a.code, a.message))
	case step == a.at:
		return say(a.status, "")
	case step == "token":
		return say(200, `{"token":"t"}`)
	case step == "look": // another image has the tag
		header.Set("Docker-Content-Digest", digest.FromString("another").String())
		header.Set("Content-Type", ocispec.MediaTypeImageIndex)
		return say(200, "")
	default:
		return nil, errors.New("an unexpected request: " + req.Method + " " + req.URL.Path)
	}
}

// try does what meets the answer.
func (a answer) try(ctx context.Context, r *registry.Repository) error {
	switch a.at {
	case "upload":
		return r.CanPush(ctx)
	case "tag":
		desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromString(manifest), Size: int64(len(manifest))}
		return r.Tag(ctx, []byte(manifest), desc, "v1")
	default:
		_, err := r.Resolve(ctx, "v1")
		return err
	}
}

// What each kind of registry says when it refuses, and what berth makes of it. The table in the documentation is this
// test's golden file.
func TestAnswers(t *testing.T) {
	t.Parallel()
	rows := [][]string{{"registry", "what is wrong", "it answers", "exit", "berth says", "and what to do"}}
	for _, a := range answers() {
		explicit := registry.Explicit{a.host: {Username: "ci", Password: secret, Source: "~/.docker/config.json"}}
		if a.anonymous {
			explicit = nil
		}
		c := registry.NewClient(registry.Options{
			Transport: a, Credentials: registry.NewCredentials(explicit), Policy: registry.Policy{Attempts: 1},
			Clock: func() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) },
			Kind: func(host string) registry.Kind {
				if host == harbor {
					return registry.Harbor
				}
				return registry.KindOf(host)
			},
		})
		r, err := c.Repository(a.host + "/acme/web/site")
		if err != nil {
			t.Fatal(err)
		}
		f, ok := errors.AsType[*fault.Error](a.try(t.Context(), r))
		if !ok {
			t.Errorf("%s, %s: no fault", a.registry, a.situation)
			continue
		}
		if strings.Contains(f.Error()+f.Next, secret) {
			t.Errorf("%s, %s: the password is in %v\n%s", a.registry, a.situation, f, f.Next)
		}
		if f.Next == "" || f.Code == fault.Done || errors.Is(f, registry.ErrNotFound) != (a.status == 404) {
			t.Errorf("%s, %s: %+v", a.registry, a.situation, f)
		}
		rows = append(rows, []string{
			a.registry, a.situation, a.said(), strconv.Itoa(int(f.Code)), cell(f.Err.Error()), cell(f.Next),
		})
	}
	document(t, "answers", rows)
}

// said is the answer in the table.
func (a answer) said() string {
	if a.err != nil {
		return "no answer"
	}
	where := map[string]string{"token": " by its token server", "look": "", "upload": "", "tag": ""}[a.at]
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.status, a.code)) + where
}

func cell(text string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "\n", "<br>", "|", `\|`).Replace(text)
}
