package sandbox_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/berth-sh/berth/internal/faultproxy"
	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

func open(t *testing.T, o sandbox.Options) *sandbox.Sandbox {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), ".berth", "sandbox")
	}
	s, err := sandbox.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func client(transport http.RoundTripper, user, password string) *registry.Client {
	explicit := registry.Explicit{}
	if user != "" {
		explicit[""] = registry.Credential{Username: user, Password: password, Source: "test"}
	}
	return registry.NewClient(registry.Options{Transport: transport, Credentials: registry.NewCredentials(explicit)})
}

func repository(t *testing.T, c *registry.Client, name string) *registry.Repository {
	t.Helper()
	r, err := c.Repository(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// names has one registry of each kind, two with a port, under the names that people use.
func names() map[string]string {
	return map[string]string{
		"ghcr":  "ghcr.io/brunovlucena/builder",
		"ecr":   "339954290315.dkr.ecr.us-west-2.amazonaws.com/knative-lambdas/builder",
		"gcr":   "gcr.io/project/builder",
		"gar":   "europe-west1-docker.pkg.dev/project/repo/builder",
		"quay":  "quay.io/kubernaut/builder",
		"oci":   "registry.example.com/team/builder",
		"port":  "registry.example.com:8443/team/builder",
		"local": "localhost:5000/builder",
		"ip6":   "[::1]:5000/builder",
	}
}

func TestEveryKindTakesAnImageAndGivesItBack(t *testing.T) {
	t.Parallel()
	for kind, name := range names() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			s := open(t, sandbox.Options{})
			proxy := faultproxy.New(nil)
			c := client(proxy.Wrap(s.Transport()), sandbox.Username, sandbox.Password)
			r, x := repository(t, c, name), testimage.New(t, kind, 100_000)

			if _, err := r.Resolve(ctx, "v1"); !errors.Is(err, registry.ErrNotFound) {
				t.Fatalf("a tag of an empty registry: %v", err)
			}
			if _, err := r.Tags(ctx); !errors.Is(err, registry.ErrNotFound) {
				t.Fatalf("the tags of an empty registry: %v", err)
			}
			sent, err := r.Push(ctx, x, x.Root, registry.PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if want := (registry.Uploaded{Blobs: testimage.Blobs, Bytes: x.Bytes, Manifests: 3}); sent != want {
				t.Errorf("first push sent %+v, want %+v", sent, want)
			}
			for _, tag := range []string{"v1", "latest"} {
				if err := r.Tag(ctx, x.Index, x.Root, tag); err != nil {
					t.Fatal(err)
				}
			}
			proxy.ResetCounts()
			sent, err = r.Push(ctx, x, x.Root, registry.PushOptions{})
			if err != nil || sent != (registry.Uploaded{}) {
				t.Errorf("second push sent %+v, %v", sent, err)
			}
			if n := proxy.Count("", ""); n != 1 {
				t.Errorf("second push made %d requests, want 1: %v", n, proxy.Log())
			}
			body, desc, err := r.Manifest(ctx, "v1")
			if err != nil || digest.FromBytes(body) != x.Root.Digest || desc.Digest != x.Root.Digest {
				t.Errorf("read back %v, %v, want %v", desc, err, x.Root)
			}
			tags, err := r.Tags(ctx)
			if diff := cmp.Diff([]string{"latest", "v1"}, tags); diff != "" || err != nil {
				t.Errorf("tags (%v): %s", err, diff)
			}
		})
	}
}

func TestLoginIsNeededAndChecked(t *testing.T) {
	t.Parallel()
	for kind, name := range names() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, x := open(t, sandbox.Options{}), testimage.New(t, kind, 100)
			for what, account := range map[string][2]string{"wrong": {sandbox.Username, "nope"}, "none": {"", ""}} {
				r := repository(t, client(s.Transport(), account[0], account[1]), name)
				_, resolve := r.Resolve(t.Context(), "v1")
				_, push := r.Push(t.Context(), x, x.Root, registry.PushOptions{})
				for op, err := range map[string]error{"resolve": resolve, "push": push} {
					if fault.CodeOf(err) != fault.Credentials || fault.NextOf(err) == "" || errors.Is(err, registry.ErrNotFound) {
						t.Errorf("%s with %s credentials: code %d, %v", op, what, fault.CodeOf(err), err)
					}
					if strings.Contains(err.Error()+fault.NextOf(err), "nope") {
						t.Errorf("the password is in %v", err)
					}
				}
			}
			// The accounts named under writers are rehearsed with the same password.
			r := repository(t, client(s.Transport(), "kubernaut+release", sandbox.Password), name)
			if _, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
				t.Errorf("another user name: %v", err)
			}
			if account, err := r.Account(t.Context()); account != "kubernaut+release" || err != nil {
				t.Errorf("account %q, %v", account, err)
			}
		})
	}
}

func TestRefusalsUseTheFormatOfTheSpecification(t *testing.T) {
	t.Parallel()
	s := open(t, sandbox.Options{})
	for url, want := range map[string]string{
		"https://ghcr.io/v2/n/manifests/v1": `Bearer realm="https://ghcr.io/token",service="ghcr.io",` +
			`scope="repository:n:pull"`,
		"https://quay.io/v2/n/manifests/v1": `Bearer realm="https://quay.io/v2/auth",service="quay.io",` +
			`scope="repository:n:pull"`,
		"https://eu.gcr.io/v2/":                    `Bearer realm="https://eu.gcr.io/v2/token",service="eu.gcr.io"`,
		"http://localhost:5000/v2/n/manifests/v1":  `Basic realm="https://localhost:5000/",service="localhost:5000"`,
		"https://public.ecr.aws/v2/n/manifests/v1": `Basic realm="https://public.ecr.aws/",service="ecr.amazonaws.com"`,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Www-Authenticate"); got != want {
			t.Errorf("%s: challenge %s, want %s", url, got, want)
		}
		body := new(strings.Builder)
		if err := resp.Write(body); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(body.String(), `{"errors":[{"code":"UNAUTHORIZED",`) {
			t.Errorf("%s: answer %s", url, body)
		}
	}
}

func TestImmutableTags(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		name   string
		status int
		code   string
	}{
		"quay": {"quay.io/kubernaut/builder", 409, "TAG_IMMUTABLE"},
		"ecr":  {"339954290315.dkr.ecr.us-west-2.amazonaws.com/builder", 400, "TAG_INVALID"},
	}
	for kind, c := range cases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			host, _, _ := strings.Cut(c.name, "/")
			s := open(t, sandbox.Options{Immutable: map[string][]string{host: {"v*"}}})
			r := repository(t, client(s.Transport(), sandbox.Username, sandbox.Password), c.name)
			one, two := testimage.New(t, "one", 100), testimage.New(t, "two", 100)
			for _, x := range []testimage.Image{one, two} {
				if _, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Tag(t.Context(), one.Index, one.Root, "v1"); err != nil {
				t.Fatal(err)
			}
			err := r.Tag(t.Context(), two.Index, two.Root, "v1")
			resp, ok := errors.AsType[*errcode.ErrorResponse](err)
			if fault.CodeOf(err) != fault.Refused || !ok || resp.StatusCode != c.status || resp.Errors[0].Code != c.code {
				t.Errorf("another digest: %v", err)
			}
			// The registry refuses the same digest too; the client sees that it has what it wants.
			if err := r.Tag(t.Context(), one.Index, one.Root, "v1"); err != nil {
				t.Errorf("the same digest: %v", err)
			}
			if err := r.Tag(t.Context(), one.Index, one.Root, "latest"); err != nil {
				t.Fatal(err)
			}
			if err := r.Tag(t.Context(), two.Index, two.Root, "latest"); err != nil {
				t.Errorf("a tag outside the patterns: %v", err)
			}
		})
	}
}

func TestRepositoriesMayHaveToBeCreated(t *testing.T) {
	t.Parallel()
	s := open(t, sandbox.Options{RequireRepositories: true})
	c, x := client(s.Transport(), "AWS", sandbox.Password), testimage.New(t, "a", 100)
	name := "339954290315.dkr.ecr.us-west-2.amazonaws.com/knative-lambdas/builder"
	_, err := repository(t, c, name).Push(t.Context(), x, x.Root, registry.PushOptions{})
	want := "aws ecr create-repository --repository-name knative-lambdas/builder --region us-west-2"
	if fault.CodeOf(err) != fault.Failed || !strings.Contains(fault.NextOf(err), want) {
		t.Fatalf("missing repository: %v\n%s", err, fault.NextOf(err))
	}
	if err := s.CreateRepository(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if _, err := repository(t, c, name).Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
		t.Errorf("after its creation: %v", err)
	}
	// Only ECR asks for that.
	if _, err := repository(t, c, "quay.io/o/n").Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
		t.Errorf("quay: %v", err)
	}
}

func TestStateSurvivesAndStaysOutOfGit(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, ".berth", "sandbox")
	x, name := testimage.New(t, "a", 100), "ghcr.io/o/n"
	func() {
		s, err := sandbox.New(sandbox.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		r := repository(t, client(s.Transport(), sandbox.Username, sandbox.Password), name)
		if _, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := r.Tag(t.Context(), x.Index, x.Root, "v1"); err != nil {
			t.Fatal(err)
		}
	}()
	if b, err := os.ReadFile(filepath.Join(root, ".berth", ".gitignore")); string(b) != "*\n" || err != nil {
		t.Errorf(".gitignore: %q, %v", b, err)
	}
	// What a killed process leaves behind.
	folder := filepath.Join(dir, "registries", "ghcr.io", "o", "n")
	leftovers := []string{filepath.Join(folder, "index.json.123"), filepath.Join(folder, "_uploads", "upload.9")}
	for _, file := range leftovers {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("{half"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, sandbox.Options{Dir: dir})
	r := repository(t, client(s.Transport(), sandbox.Username, sandbox.Password), name)
	if desc, err := r.Resolve(t.Context(), "v1"); err != nil || desc.Digest != x.Root.Digest {
		t.Errorf("after opening again: %v, %v", desc, err)
	}
	for _, file := range leftovers {
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s is still there", file)
		}
	}
}

func TestASecondWriterWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := open(t, sandbox.Options{Dir: dir}), open(t, sandbox.Options{Dir: dir})
	one := repository(t, client(first.Transport(), sandbox.Username, sandbox.Password), "ghcr.io/o/n")
	two := repository(t, client(second.Transport(), sandbox.Username, sandbox.Password), "ghcr.io/o/n")
	x := testimage.New(t, "a", 100)
	if _, err := one.Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() {
		_, err := two.Resolve(ctx, "v1")
		gaveUp <- err
	}()
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Fatalf("the second writer did not wait: %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := two.Resolve(t.Context(), "v1")
		done <- err
	}()
	if err := one.Tag(t.Context(), x.Index, x.Root, "v1"); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the second writer does not see what the first one wrote: %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := sandbox.New(sandbox.Options{Dir: t.TempDir(), Immutable: map[string][]string{"quay.io": {"["}}})
	if fault.CodeOf(err) != fault.Usage {
		t.Errorf("a broken pattern: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := sandbox.New(sandbox.Options{Dir: filepath.Join(file, "x")}); fault.CodeOf(err) != fault.Failed {
		t.Errorf("a file in the way: %v", err)
	}
}
