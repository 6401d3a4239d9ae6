package cloud_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-sh/berth/pipelines/cloud"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

const host = "339954290315.dkr.ecr.us-west-2.amazonaws.com"

func openBox(t *testing.T, o sandbox.Options) *sandbox.Sandbox {
	t.Helper()
	o.Dir = filepath.Join(t.TempDir(), "sandbox")
	box, err := sandbox.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	return box
}

func key() *cloud.Key { return &cloud.Key{ID: sandbox.Username, Secret: "planted-hunter2"} }

// The SDK's real requests against the sandbox's API, and the token that comes back against its registries.
func TestTheTokenOfTheSDKLogsIn(t *testing.T) {
	t.Parallel()
	box := openBox(t, sandbox.Options{Password: "token-hunter2"})
	for _, host := range []string{
		host, "339954290315.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "339954290315.dkr.ecr.cn-north-1.amazonaws.com.cn",
		"339954290315.dkr-ecr.us-west-2.on.aws", "339954290315.dkr-ecr-fips.us-east-1.on.aws", "public.ecr.aws",
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			got, err := cloud.NewECR(cloud.Options{Transport: box.Transport(), Key: key()}).Credential(t.Context(), host)
			if err != nil || got.Username != "AWS" || got.Password != "token-hunter2" {
				t.Fatalf("%v, %v", got, err)
			}
			if left := time.Until(got.Expires); left < 11*time.Hour || left > 13*time.Hour {
				t.Errorf("it lives %s", left)
			}
			client := registry.NewClient(registry.Options{
				Transport:   box.Transport(),
				Credentials: registry.NewCredentials(registry.Explicit{host: got}),
			})
			repository, err := client.Repository(host + "/app/web")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := repository.Resolve(t.Context(), "v1"); fault.CodeOf(err) == fault.Credentials || err == nil {
				t.Errorf("the token does not log in: %v", err)
			}
		})
	}
}

func TestAWSIsAskedForItsOwnHostsOnly(t *testing.T) {
	t.Parallel()
	o := cloud.Options{Transport: refuses{t}, Key: key()}
	asked := []registry.Source{cloud.NewECR(o), cloud.NewGoogle(o)}
	for _, host := range []string{"ghcr.io", "quay.io", "localhost:5000", "docker.io"} {
		for _, s := range asked {
			if got, err := s.Credential(t.Context(), host); err != nil || !got.Anonymous() {
				t.Errorf("%s: %v, %v", host, got, err)
			}
		}
	}
}

type refuses struct{ t *testing.T }

func (r refuses) RoundTrip(req *http.Request) (*http.Response, error) {
	r.t.Errorf("%s was asked", req.URL)
	return nil, http.ErrServerClosed
}

func TestWhatAWSAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body       string
		code       fault.Code
		says, next string
	}{
		"denied": {
			`{"__type":"AccessDeniedException","message":"not authorized to perform: ecr:GetAuthorizationToken"}`,
			fault.Credentials, "ecr:GetAuthorizationToken", "IAM",
		},
		"expired":   {`{"__type":"ExpiredTokenException","message":"The security token is expired"}`, fault.Credentials, "is expired", "aws sso login"},
		"wrong key": {`{"__type":"UnrecognizedClientException","message":"invalid"}`, fault.Credentials, "invalid", "get-caller-identity"},
		"signature": {
			`{"__type":"InvalidSignatureException","message":"The canonical string should be x-amz-security-token:hunter2"}`,
			fault.Credentials, "InvalidSignatureException", "clock",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := cloud.NewECR(cloud.Options{Transport: answers(c.body), Key: key()})
			_, err := e.Credential(t.Context(), host)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if fault.CodeOf(err) != c.code || !strings.Contains(text, c.says) || !strings.Contains(fault.NextOf(err), c.next) ||
				strings.Contains(text+fault.NextOf(err), "hunter2") {
				t.Errorf("%d %v, next %s", fault.CodeOf(err), err, fault.NextOf(err))
			}
		})
	}
}

// answers is an API that answers every request with the same error.
type answers string

func (a answers) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write([]byte(a))
	resp := w.Result()
	resp.Request = req
	return resp, nil
}
