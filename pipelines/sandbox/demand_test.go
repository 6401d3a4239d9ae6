package sandbox_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/internal/faultproxy"
	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

const ecrHost = "339954290315.dkr.ecr.us-west-2.amazonaws.com"

// before runs do before the first request that fits is sent on.
type before struct {
	base http.RoundTripper
	fits func(*http.Request) bool
	do   func()
	once sync.Once
}

func (b *before) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.fits(r) {
		b.once.Do(b.do)
	}
	return b.base.RoundTrip(r)
}

// A token that expires between the beginning of an upload and its body is replaced, and the upload begun again.
func TestATokenThatExpiresInAnUploadIsReplaced(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"ghcr.io", "gcr.io", "quay.io"} {
		s, x := open(t, sandbox.Options{}), testimage.New(t, "a", 50_000)
		transport := &before{base: s.Transport(), do: func() { s.Expire(host) }, fits: func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/uploads/")
		}}
		r := repository(t, client(transport, sandbox.Username, sandbox.Password), host+"/o/n")
		sent, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{})
		if want := (registry.Uploaded{Blobs: testimage.Blobs, Bytes: x.Bytes, Manifests: 3}); err != nil || sent != want {
			t.Errorf("%s: sent %+v, want %+v, %v", host, sent, want, err)
		}
	}
}

// aws is a source of passwords that live for twelve hours, from the sandbox's AWS.
type aws struct {
	t     *testing.T
	box   *sandbox.Sandbox
	clock func() time.Time

	mu    sync.Mutex
	asked int
}

func (a *aws) Credential(ctx context.Context, _ string) (registry.Credential, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.ecr.us-west-2.amazonaws.com/", strings.NewReader("{}"))
	if err != nil {
		return registry.Credential{}, err
	}
	req.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+sandbox.Username+"/20261120/us-west-2/ecr/aws4_request")
	resp, err := a.box.Transport().RoundTrip(req)
	if err != nil {
		return registry.Credential{}, err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return registry.Credential{}, fmt.Errorf("AWS answers %d", resp.StatusCode)
	}
	// Each token is another one; the sandbox looks at the password alone.
	expires := a.clock().Add(12*time.Hour + time.Duration(a.asked)*time.Second)
	return registry.Credential{Username: "AWS", Password: sandbox.Password, Source: "AWS", Expires: expires}, nil
}

// ECR refuses an expired password with 403 and no challenge; a source that makes new ones is asked once more.
func TestAnECRPasswordThatExpiresIsRenewed(t *testing.T) {
	t.Parallel()
	for name, fits := range map[string]func(*http.Request) bool{
		"a look": func(r *http.Request) bool { return r.Method == http.MethodHead && r.Header.Get("Authorization") != "" },
		"a blob": func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/")
		},
		"a tag": func(r *http.Request) bool { return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/v1") },
		"an image": func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/sha256:")
		},
	} {
		s, x := open(t, sandbox.Options{}), testimage.New(t, "a", 50_000)
		now := func() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }
		source := &aws{t: t, box: s, clock: now}
		c := registry.NewClient(registry.Options{
			Transport:   &before{base: s.Transport(), do: func() { s.Expire(ecrHost) }, fits: fits},
			Credentials: registry.NewCredentialsAt(now, source),
		})
		r := repository(t, c, ecrHost+"/n")
		_, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{Concurrency: 1})
		if err == nil {
			err = r.Tag(t.Context(), x.Index, x.Root, "v1")
		}
		if err != nil || source.asked != 2 {
			t.Errorf("%s: asked %d times, %v", name, source.asked, err)
		}
	}
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	s := open(t, sandbox.Options{})
	x := pushed(t, s, "quay.io/o/n", "v1")
	proxy := faultproxy.New(nil)
	r := repository(t, client(proxy.Wrap(s.Transport()), sandbox.Username, sandbox.Password), "quay.io/o/n")
	s.Throttle("quay.io", 2, "0")
	if desc, err := r.Resolve(t.Context(), "v1"); err != nil || desc.Digest != x.Root.Digest {
		t.Errorf("a short wait: %v, %v", desc, err)
	}
	s.Throttle("quay.io", 1, "3600")
	if _, err := r.Resolve(t.Context(), "v1"); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("a long wait: %v", err)
	}
	if _, err := r.Resolve(t.Context(), "v1"); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestKindsPageTheirTags(t *testing.T) {
	t.Parallel()
	s := open(t, sandbox.Options{})
	for name, pages := range map[string]int{"ghcr.io/o/n": 2, "registry.example.com/n": 1} {
		x, proxy := testimage.New(t, "a", 100), faultproxy.New(nil)
		r := repository(t, client(proxy.Wrap(s.Transport()), sandbox.Username, sandbox.Password), name)
		if _, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
			t.Fatal(err)
		}
		for i := range 101 {
			if err := r.Tag(t.Context(), x.Index, x.Root, fmt.Sprintf("t%d", i)); err != nil {
				t.Fatal(err)
			}
		}
		proxy.ResetCounts()
		tags, err := r.Tags(t.Context())
		if got := proxy.Count(http.MethodGet, "tags"); err != nil || len(tags) != 101 || got < pages || got > pages+1 {
			t.Errorf("%s: %d tags in %d requests, %v", name, len(tags), got, err)
		}
	}
}

func TestECRMountsBlobsWhenTheAccountAskedForIt(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{false, true} {
		s, x, mounted := open(t, sandbox.Options{MountBlobs: asked}), testimage.New(t, "a", 100), 0
		c, mounts := client(s.Transport(), "AWS", sandbox.Password), registry.NewMounts()
		for _, name := range []string{"one", "two"} {
			_, err := repository(t, c, ecrHost+"/"+name).Push(t.Context(), x, x.Root, registry.PushOptions{
				Mounts: mounts, Concurrency: 1, Progress: func(_ ocispec.Descriptor, e registry.Event) {
					if e == registry.Mounted {
						mounted++
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if want := map[bool]int{true: testimage.Blobs}[asked]; mounted != want {
			t.Errorf("asked for: %v, %d blobs mounted", asked, mounted)
		}
	}
}

// A repository of Google's holds many images, and must be there before the first one.
func TestGooglesRepositoriesMayHaveToBeCreated(t *testing.T) {
	t.Parallel()
	s, x := open(t, sandbox.Options{RequireRepositories: true}), testimage.New(t, "a", 100)
	c := client(s.Transport(), "oauth2accesstoken", sandbox.Password)
	push := func(name string) error {
		_, err := repository(t, c, name).Push(t.Context(), x, x.Root, registry.PushOptions{})
		return err
	}
	const place = "europe-west1-docker.pkg.dev/acme/fleet/"
	err := push(place + "web")
	want := "create it: gcloud artifacts repositories create fleet --location=europe-west1 --project=acme "
	if fault.CodeOf(err) != fault.Failed || !strings.HasPrefix(fault.NextOf(err), want) {
		t.Fatalf("%v\n%s", err, fault.NextOf(err))
	}
	if err := s.CreateRepository(t.Context(), place+"any"); err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{place + "web": true, place + "db": true, "europe-west1-docker.pkg.dev/acme/other/web": false} {
		if err := push(name); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
