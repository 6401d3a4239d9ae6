package retention_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/internal/distribution"
	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/retention"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

func now() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// policy is that of kubernaut's development registry.
func policy(t testing.TB, environment string) retention.Policy {
	t.Helper()
	c, err := config.Load(filepath.Join("..", "..", "examples", "kubernaut", config.FileName),
		func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return retention.PolicyOf(c, environment)
}

func open(t testing.TB, o registry.Options, name string) *registry.Repository {
	t.Helper()
	r, err := registry.NewClient(o).Repository(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// push publishes an image that was created some days ago, under its tags.
func push(t *testing.T, r *registry.Repository, name string, days int, tags ...string) ocispec.Descriptor {
	t.Helper()
	x := testimage.New(t, name, 64)
	var index ocispec.Index
	if err := json.Unmarshal(x.Index, &index); err != nil {
		t.Fatal(err)
	}
	if days >= 0 {
		index.Annotations = map[string]string{
			ocispec.AnnotationCreated: now().AddDate(0, 0, -days).Format(time.RFC3339),
		}
	}
	body, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	desc := ocispec.Descriptor{MediaType: index.MediaType, Digest: digest.FromBytes(body), Size: int64(len(body))}
	if desc.Digest != x.Root.Digest {
		if err := x.Push(t.Context(), desc, bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Push(t.Context(), x, desc, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		if err := r.Tag(t.Context(), body, desc, tag); err != nil {
			t.Fatal(err)
		}
	}
	return desc
}

// run plans and applies.
func run(t *testing.T, r *registry.Repository, used retention.InUse) (retention.Plan, retention.Outcome, error) {
	t.Helper()
	p := policy(t, "dev")
	held, err := retention.Observe(t.Context(), r.String(), registry.OCI, r, nil, p, used)
	if err != nil {
		t.Fatal(err)
	}
	plan := retention.Decide(held, p, used, now())
	out, err := retention.Apply(t.Context(), plan, r, retention.Distribution{Repository: r})
	return plan, out, err
}

func tags(t *testing.T, r *registry.Repository) []string {
	t.Helper()
	names, err := r.Tags(t.Context())
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// complete fails when a tag is not whole: its platforms must be there.
func complete(t *testing.T, r *registry.Repository, tag string) {
	t.Helper()
	body, _, err := r.Manifest(t.Context(), tag)
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(body, &index); err != nil || len(index.Manifests) != 2 {
		t.Fatalf("%s: %s", tag, body)
	}
	for _, m := range index.Manifests {
		if _, _, err := r.Manifest(t.Context(), m.Digest.String()); err != nil {
			t.Error(err)
		}
	}
}

// The reference implementation deletes manifests, but no tag alone.
func TestDistribution(t *testing.T) {
	t.Parallel()
	server := distribution.Start(t, distribution.Options{Delete: true})
	r := open(t, registry.Options{}, server.Host+"/acme/web")
	push(t, r, "old", 40, "dev-old", "test-old")
	push(t, r, "released", 40, "dev-released", "v1.0.0")
	push(t, r, "young", 3, "dev-young", "dev-latest")
	push(t, r, "running", 40, "dev-running")
	push(t, r, "undated", -1, "dev-undated")
	used, err := retention.ParseInUse("file", []byte(r.String()+":dev-running"))
	if err != nil {
		t.Fatal(err)
	}
	_, out, err := run(t, r, used)
	if err != nil {
		t.Fatal(err)
	}
	want := retention.Outcome{
		Repository: r.String(), Deleted: []string{"dev-old", "test-old"}, Manifests: 1,
		Left: []retention.Leftover{{
			Tag: "dev-released", Reason: "its digest is still needed, and the registry cannot delete a tag alone",
		}},
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	left := []string{"dev-latest", "dev-released", "dev-running", "dev-undated", "dev-young", "v1.0.0"}
	if diff := cmp.Diff(left, tags(t, r)); diff != "" {
		t.Error(diff)
	}
	for _, tag := range left {
		complete(t, r, tag)
	}
	// A second time there is nothing to do.
	if _, out, err = run(t, r, used); err != nil || len(out.Deleted) != 0 || out.Manifests != 0 {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestDistributionThatDeletesNothing(t *testing.T) {
	t.Parallel()
	server := distribution.Start(t, distribution.Options{})
	r := open(t, registry.Options{}, server.Host+"/acme/web")
	push(t, r, "old", 40, "dev-old")
	_, out, err := run(t, r, retention.InUse{})
	if !errors.Is(err, registry.ErrUnsupported) || !strings.Contains(fault.NextOf(err), "storage.delete.enabled") ||
		len(out.Deleted) != 0 {
		t.Errorf("%+v, %v, next %q", out, err, fault.NextOf(err))
	}
	if diff := cmp.Diff([]string{"dev-old"}, tags(t, r)); diff != "" {
		t.Error(diff)
	}
}

func TestARepositoryThatIsNotThere(t *testing.T) {
	t.Parallel()
	server := distribution.Start(t, distribution.Options{Delete: true})
	r := open(t, registry.Options{}, server.Host+"/acme/none")
	if plan, out, err := run(t, r, retention.InUse{}); err != nil || len(plan.Tags)+len(out.Deleted) != 0 {
		t.Errorf("%+v %+v %v", plan, out, err)
	}
}

// boxed is an embedded registry, where tags can be deleted alone.
func boxed(t *testing.T, name string, wrap func(http.RoundTripper) http.RoundTripper) *registry.Repository {
	t.Helper()
	box, err := sandbox.New(sandbox.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	transport := box.Transport()
	if wrap != nil {
		transport = wrap(transport)
	}
	return open(t, registry.Options{
		Transport: transport,
		Credentials: registry.NewCredentials(registry.Explicit{
			"": {Username: sandbox.Username, Password: sandbox.Password},
		}),
	}, name)
}

func TestATagAlone(t *testing.T) {
	t.Parallel()
	r := boxed(t, "quay.io/acme/web", nil)
	push(t, r, "released", 40, "dev-released", "v1.0.0")
	if _, out, err := run(t, r, retention.InUse{}); err != nil || len(out.Left) != 0 || out.Manifests != 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	if diff := cmp.Diff([]string{"v1.0.0"}, tags(t, r)); diff != "" {
		t.Error(diff)
	}
	complete(t, r, "v1.0.0")
}

// What is pushed between plan and apply stays, with all that it may need.
func TestWhatIsPushedMeanwhileStays(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(t *testing.T, r *registry.Repository){
		"a new tag":                          func(t *testing.T, r *registry.Repository) { push(t, r, "old", 40, "v2.0.0") },
		"a kept tag that moved to what goes": func(t *testing.T, r *registry.Repository) { push(t, r, "old", 40, "dev-latest") },
		"a moved tag":                        func(t *testing.T, r *registry.Repository) { push(t, r, "new", 0, "dev-old") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := boxed(t, "quay.io/acme/web", nil)
			push(t, r, "old", 40, "dev-old")
			push(t, r, "older", 60, "dev-older")
			push(t, r, "young", 1, "dev-latest")
			p := policy(t, "dev")
			held, err := retention.Observe(t.Context(), r.String(), registry.Quay, r, nil, p, retention.InUse{})
			if err != nil {
				t.Fatal(err)
			}
			plan := retention.Decide(held, p, retention.InUse{}, now())
			meanwhile(t, r)
			out, err := retention.Apply(t.Context(), plan, r, retention.Distribution{Repository: r})
			if err != nil || out.Manifests != 0 {
				t.Errorf("%+v, %v", out, err)
			}
			for _, tag := range tags(t, r) {
				complete(t, r, tag)
			}
			if slices.Contains(tags(t, r), "dev-older") {
				t.Error("dev-older is still there")
			}
		})
	}
}

// counting counts requests.
type counting struct {
	base  http.RoundTripper
	count chan int
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.count <- 1 + <-c.count
	return c.base.RoundTrip(r)
}

// Over the registry API a tag costs one request, and one more page of tags now and then.
func TestRequestsOfAPlan(t *testing.T) {
	t.Parallel()
	count := make(chan int, 1)
	count <- 0
	r := boxed(t, "quay.io/acme/web", func(base http.RoundTripper) http.RoundTripper { return counting{base, count} })
	const images = 30
	for i := range images {
		push(t, r, fmt.Sprint(i), i, fmt.Sprintf("dev-%d", i))
	}
	before := <-count
	count <- before
	p := policy(t, "dev")
	if _, err := retention.Observe(t.Context(), r.String(), registry.OCI, r, nil, p, retention.InUse{}); err != nil {
		t.Fatal(err)
	}
	if sent := <-count - before; sent > images+4 {
		t.Errorf("%d requests for %d tags", sent, images)
	}
}
