package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/audit"
	"github.com/berth-sh/berth/pipelines/fault"
)

// broken lists what does not hold.
func broken(v audit.Verification) []string {
	var out []string
	for _, c := range v.Checks {
		if !c.Holds {
			out = append(out, c.Name+": "+c.Detail)
		}
	}
	return out
}

func TestReleasedImageHolds(t *testing.T) {
	t.Parallel()
	w := released(t, "ci")
	wanted := w.wanted()
	wanted.Signed = true
	v := w.verify(t, wanted)
	want := []audit.Check{
		{Name: "digest", Holds: true, Detail: w.root.Digest.String()},
		{Name: "content", Holds: true, Detail: "3 manifests and 5 blobs are there"},
		{Name: "platforms", Holds: true, Detail: "linux/amd64, linux/arm64"},
		{Name: "record", Holds: true, Detail: "promoted from staging on 2026-11-21 12:00:00Z, signed by ci"},
		{Name: "approval", Holds: true, Detail: "release-manager by ada"},
		{Name: "approval", Holds: true, Detail: "qa by grace"},
	}
	if v.Checks[4].Detail > v.Checks[5].Detail {
		v.Checks[5], v.Checks[4] = v.Checks[4], v.Checks[5]
	}
	if want[4].Detail > want[5].Detail {
		want[5], want[4] = want[4], want[5]
	}
	if diff := cmp.Diff(want, v.Checks); diff != "" || !v.Holds || v.Err() != nil {
		t.Errorf("checks (-want +got):\n%s%v", diff, v.Err())
	}
	var text bytes.Buffer
	if err := v.Text(&text); err != nil || !strings.Contains(text.String(), name+":v1.2.3 in production\n\nCHECK ") {
		t.Errorf("%s%v", text.String(), err)
	}
}

func TestWhatDoesNotHoldIsNamed(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		world  func(t *testing.T) *world
		change func(w *world, x *audit.Wanted)
		want   string // "" holds
	}{
		"no record": {func(t *testing.T) *world {
			w := newWorld(t)
			w.says(t, "ada", approval("release-manager", "ada"))
			w.says(t, "grace", approval("qa", "grace"))
			return w
		}, nil, "record: there is no record of a promotion from staging to production"},
		"a rollback alone": {func(t *testing.T) *world {
			w := newWorld(t)
			w.says(t, "ada", approval("release-manager", "ada"))
			w.says(t, "grace", approval("qa", "grace"))
			back := promotion()
			back.Rollback = true
			w.says(t, "ci", back)
			return w
		}, nil, "record: there is no record of a promotion from staging to production"},
		"an unsigned record":             {func(t *testing.T) *world { return released(t, "") }, nil, ""},
		"an unsigned record, if not may": {func(t *testing.T) *world { return released(t, "") }, signed, "record: promoted from staging on 2026-11-21 12:00:00Z, unsigned; the environment wants it signed"},
		"a stranger's record":            {func(t *testing.T) *world { return released(t, "mallory") }, signed, "record: promoted from staging on 2026-11-21 12:00:00Z, foreign key; the environment wants it signed"},
		"a record of another target": {func(t *testing.T) *world { return released(t, "ci") }, func(_ *world, x *audit.Wanted) {
			x.Repository = "quay.io/other/gateway"
		}, "record: there is no record of a promotion from staging to production"},
		"a record of another component": {func(t *testing.T) *world { return released(t, "ci") }, func(_ *world, x *audit.Wanted) {
			x.Rules.Component, x.Repository = "datastorage", ""
		}, "record: there is no record of a promotion from staging to production"},
		"approvals of another component": {func(t *testing.T) *world { return released(t, "ci") }, func(_ *world, x *audit.Wanted) {
			x.Rules.Component, x.Repository = "datastorage", ""
		}, "approval: qa: nobody has approved"},
		"a tag of the record": {func(t *testing.T) *world { return released(t, "ci") }, func(_ *world, x *audit.Wanted) {
			x.Signed, x.Tagged = true, true
		}, ""},
		"a tag that was put to it by hand": {func(t *testing.T) *world {
			w := released(t, "ci")
			w.tag(t, "v1.3.0")
			return w
		}, func(_ *world, x *audit.Wanted) { x.Tagged = true }, "tag: no record says that v1.3.0 came to this image"},
		"a tag that a stranger's record gives": {func(t *testing.T) *world {
			w := released(t, "ci")
			forged := promotion()
			forged.Tags = []string{"v1.3.0"}
			w.says(t, "mallory", forged)
			w.tag(t, "v1.3.0")
			return w
		}, func(_ *world, x *audit.Wanted) {
			x.Signed, x.Tagged = true, true
		}, "tag: no record says that v1.3.0 came to this image"},
		"a tag that a rollback gave back": {func(t *testing.T) *world {
			w := released(t, "ci")
			back := promotion()
			back.Rollback, back.From, back.Tags = true, "production", []string{"v1"}
			w.says(t, "ci", back)
			w.tag(t, "v1")
			return w
		}, func(_ *world, x *audit.Wanted) { x.Signed, x.Tagged = true, true }, ""},
		"an approval that nobody gave": {func(t *testing.T) *world {
			w := newWorld(t)
			w.says(t, "ada", approval("release-manager", "ada"))
			w.says(t, "ci", promotion())
			return w
		}, signed, "approval: qa: nobody has approved"},
		"a forged approval": {func(t *testing.T) *world {
			w := newWorld(t)
			w.says(t, "ada", approval("release-manager", "ada"))
			w.says(t, "mallory", approval("qa", "grace"))
			w.says(t, "ci", promotion())
			return w
		}, signed, "approval: qa: that of grace does not count: it is signed by no key of berth.yaml, or was changed"},
		"an approval that has ended since": {func(t *testing.T) *world {
			w := newWorld(t)
			w.says(t, "ada", approval("release-manager", "ada"))
			short := approval("qa", "grace")
			short.Expires = now().Add(time.Minute)
			w.says(t, "grace", short)
			w.says(t, "ci", promotion())
			return w
		}, signed, ""},
		"an approval that had ended": {func(t *testing.T) *world {
			w := newWorld(t)
			w.says(t, "ada", approval("release-manager", "ada"))
			short := approval("qa", "grace")
			short.Expires = now().Add(-time.Minute)
			w.says(t, "grace", short)
			w.says(t, "ci", promotion())
			return w
		}, signed, "approval: qa: that of grace does not count: it ended on 2026-11-21"},
		"an approval that was taken back since": {func(t *testing.T) *world {
			w := newWorld(t)
			w.says(t, "ada", approval("release-manager", "ada"))
			given := w.says(t, "grace", approval("qa", "grace"))
			w.says(t, "ci", promotion())
			w.says(t, "grace", &attest.Revocation{
				To: "production", Role: "qa", Revokes: []string{given.ID.String()}, At: now().Add(time.Hour),
			})
			return w
		}, signed, "approval: qa: that of grace does not count: grace took it back on 2026-11-21"},
		"a platform that is missing": {func(t *testing.T) *world { return released(t, "ci") }, func(_ *world, x *audit.Wanted) {
			x.Platforms = []string{"linux/amd64", "linux/riscv64"}
		}, "platforms: it lacks linux/riscv64"},
		"a blob that is missing": {func(t *testing.T) *world { return released(t, "ci") }, func(w *world, _ *audit.Wanted) {
			w.image.Source = without{w.image.Source}
		}, "is missing"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := c.world(t)
			wanted := w.wanted()
			if c.change != nil {
				c.change(w, &wanted)
			}
			v := w.verify(t, wanted)
			got := strings.Join(broken(v), "\n")
			if (c.want == "") != v.Holds || !strings.Contains(got, c.want) {
				t.Errorf("does not hold:\n%s\nwant\n%s", got, c.want)
			}
			if c.want != "" && (fault.CodeOf(v.Err()) != fault.Refused || !strings.Contains(v.Err().Error(), c.want)) {
				t.Errorf("error %v", v.Err())
			}
		})
	}
}

func signed(_ *world, x *audit.Wanted) { x.Signed = true }

// without is a source that has lost its layers.
type without struct{ audit.Source }

func (w without) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	if desc.MediaType == ocispec.MediaTypeImageLayerGzip {
		return false, nil
	}
	return w.Source.Exists(ctx, desc)
}

// A role that the environment takes from a CI counts by the record alone.
func TestApprovalByACIStandsInTheRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(t, "grace", approval("qa", "grace"))
	record := promotion()
	record.Approvals = []attest.Evidence{
		{Role: "release-manager", By: "GitHub Actions (octocat)", CI: &attest.Run{System: "GitHub Actions"}},
	}
	w.says(t, "ci", record)
	wanted := w.wanted()
	if v := w.verify(t, wanted); v.Holds {
		t.Error("the environment takes no role from a CI")
	}
	wanted.Rules.CI = []string{"release-manager"}
	if v := w.verify(t, wanted); !v.Holds {
		t.Errorf("%v", broken(v))
	}
}

// What was saved holds without a network, and not any more when a byte of it was changed.
func TestLayoutHoldsUntilItIsChanged(t *testing.T) {
	t.Parallel()
	w := released(t, "ci")
	dir := filepath.Join(t.TempDir(), "layout")
	if err := audit.Save(t.Context(), w.image, w.root.Digest, dir, "gateway"); err != nil {
		t.Fatal(err)
	}
	if err := audit.Save(t.Context(), w.image, w.root.Digest, dir, "gateway"); err != nil {
		t.Fatalf("again: %v", err)
	}
	check := func() (audit.Verification, error) {
		l, err := audit.OpenLayout(t.Context(), dir)
		if err != nil {
			return audit.Verification{}, err
		}
		images, err := l.Images(t.Context())
		if err != nil {
			return audit.Verification{}, err
		}
		if diff := cmp.Diff([]string{"gateway"}, images); diff != "" {
			t.Errorf("images (-want +got):\n%s", diff)
		}
		wanted := w.wanted()
		wanted.Signed, wanted.Contents, wanted.Repository = true, true, ""
		return audit.Verify(t.Context(), audit.Image{Component: "gateway", Name: dir, Ref: "gateway", Source: l}, w.ring, wanted)
	}
	v, err := check()
	if err != nil || !v.Holds || v.Checks[1].Detail != "3 manifests and 5 blobs are whole" {
		t.Fatalf("%v %+v", err, v.Checks)
	}
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil || len(blobs) < 10 {
		t.Fatalf("%d blobs, %v", len(blobs), err)
	}
	for _, file := range blobs {
		if filepath.Base(file) == ocispec.DescriptorEmptyJSON.Digest.Encoded() {
			continue // the "{}" that attestations have for a configuration says nothing
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Clone(data)
		changed[len(changed)/2] ^= 1
		for state, content := range map[string][]byte{"changed": changed, "cut": data[:len(data)-1], "gone": nil} {
			if err := os.Chmod(file, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, content, 0o644); err != nil {
				t.Fatal(err)
			}
			if content == nil {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			v, err := check()
			if err == nil && v.Holds {
				t.Errorf("it holds although %s of %d bytes is %s", filepath.Base(file), len(data), state)
			}
			if err != nil && fault.CodeOf(err) != fault.Refused {
				t.Errorf("%s %s: %v", filepath.Base(file), state, err)
			}
			if err := os.WriteFile(file, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if v, err := check(); err != nil || !v.Holds {
		t.Errorf("restored: %v, %v", err, broken(v))
	}
	if _, err := audit.OpenLayout(t.Context(), t.TempDir()); fault.CodeOf(err) != fault.Usage {
		t.Errorf("no layout: %v", err)
	}
}

// Tools that know no list of referrers keep it in an index that is named sha256-<digest>. It counts the same, and is no
// image itself.
func TestLayoutWithFallbackTag(t *testing.T) {
	t.Parallel()
	w := released(t, "ci")
	dir := filepath.Join(t.TempDir(), "layout")
	if err := audit.Save(t.Context(), w.image, w.root.Digest, dir, "gateway"); err != nil {
		t.Fatal(err)
	}
	attached, err := w.repository.Referrers(t.Context(), w.root.Digest.String(), "")
	if err != nil || len(attached) != 3 {
		t.Fatalf("%d attached, %v", len(attached), err)
	}
	index := func(manifests ...ocispec.Descriptor) []byte {
		body, err := json.Marshal(ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: manifests,
		})
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	list := index(attached...)
	listed := content.NewDescriptorFromBytes(ocispec.MediaTypeImageIndex, list)
	listed.Annotations = map[string]string{ocispec.AnnotationRefName: "sha256-" + w.root.Digest.Encoded()}
	root := w.root
	root.Annotations = map[string]string{ocispec.AnnotationRefName: "gateway"}
	for file, body := range map[string][]byte{
		"blobs/sha256/" + listed.Digest.Encoded(): list, ocispec.ImageIndexFile: index(root, listed),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := audit.OpenLayout(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	images, err := l.Images(t.Context())
	if diff := cmp.Diff([]string{"gateway"}, images); diff != "" || err != nil {
		t.Errorf("images (-want +got):\n%s%v", diff, err)
	}
	wanted := w.wanted()
	wanted.Repository, wanted.Signed = "", true
	v, err := audit.Verify(t.Context(), audit.Image{Name: dir, Ref: "gateway", Source: l}, w.ring, wanted)
	if err != nil || !v.Holds {
		t.Errorf("%v, %v", err, broken(v))
	}
}
