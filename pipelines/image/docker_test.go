package image_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

func dockerArchive(t testing.TB, x image.Index, platformName string, refs ...string) map[string][]byte {
	t.Helper()
	return archived(t, func(w io.Writer) error {
		return image.WriteDockerArchive(t.Context(), w, x, platform(t, platformName), refs)
	})
}

// archived reads the files of an archive, which must be the same bytes when it is written again.
func archived(t testing.TB, write func(io.Writer) error) map[string][]byte {
	t.Helper()
	var out, again bytes.Buffer
	for _, w := range []io.Writer{&out, &again} {
		if err := write(w); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Error("the same image gives different archives")
	}
	files := map[string][]byte{}
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func TestDockerArchive(t *testing.T) {
	t.Parallel()
	x := assemble(t, spec(t, image.Static(), "linux/amd64", "linux/arm64"))
	manifest, _ := parts(t, x, 1)
	files := dockerArchive(t, x, "linux/arm64/v8", "example.com/team/api:v1.2.3", "example.com/team/api:latest")
	images := decode[[]dockerImage](t, files["manifest.json"])
	want := []dockerImage{{
		Config:   manifest.Config.Digest.Encoded() + ".json",
		RepoTags: []string{"example.com/team/api:v1.2.3", "example.com/team/api:latest"},
		Layers: []string{
			manifest.Layers[0].Digest.Encoded() + ".tar.gz", manifest.Layers[1].Digest.Encoded() + ".tar.gz",
		},
	}}
	if diff := cmp.Diff(want, images); diff != "" {
		t.Fatal(diff)
	}
	if got := digest.FromBytes(files[want[0].Config]); got != manifest.Config.Digest {
		t.Errorf("config %s, want %s", got, manifest.Config.Digest)
	}
	for i, l := range manifest.Layers {
		if got := digest.FromBytes(files[want[0].Layers[i]]); got != l.Digest {
			t.Errorf("layer %s, want %s", got, l.Digest)
		}
	}
	if len(files) != 4 {
		t.Errorf("%d files", len(files))
	}
}

func TestDockerArchiveWithoutReferences(t *testing.T) {
	t.Parallel()
	x := assemble(t, spec(t, image.Scratch(), "linux/amd64"))
	images := decode[[]dockerImage](t, dockerArchive(t, x, "linux/amd64")["manifest.json"])
	if images[0].RepoTags == nil || len(images[0].RepoTags) != 0 {
		t.Errorf("tags %v", images[0].RepoTags)
	}
}

func TestDockerArchiveOfAMissingPlatform(t *testing.T) {
	t.Parallel()
	x := assemble(t, spec(t, image.Scratch(), "linux/arm64"))
	err := image.WriteDockerArchive(t.Context(), io.Discard, x, platform(t, "linux/amd64"), nil)
	if fault.CodeOf(err) != fault.Usage {
		t.Errorf("code %d: %v", fault.CodeOf(err), err)
	}
}

func TestLayoutArchive(t *testing.T) {
	t.Parallel()
	x := assemble(t, spec(t, image.Static(), "linux/amd64", "linux/arm64"))
	files := archived(t, func(w io.Writer) error {
		return image.WriteLayoutArchive(t.Context(), w, x, []string{"example.com/team/api:v1.2.3", "example.com/team/api:latest"})
	})
	var names []string
	for _, d := range decode[ocispec.Index](t, files["index.json"]).Manifests {
		if d.Digest != x.Descriptor.Digest {
			t.Errorf("it holds %s, not %s", d.Digest, x.Descriptor.Digest)
		}
		names = append(names, d.Annotations["io.containerd.image.name"])
	}
	if diff := cmp.Diff([]string{"example.com/team/api:v1.2.3", "example.com/team/api:latest"}, names); diff != "" {
		t.Error(diff)
	}
	blob := func(d digest.Digest) []byte {
		data := files["blobs/sha256/"+d.Encoded()]
		if digest.FromBytes(data) != d {
			t.Errorf("%s is missing, or has other bytes", d)
		}
		return data
	}
	index := decode[ocispec.Index](t, blob(x.Descriptor.Digest))
	for _, child := range index.Manifests {
		manifest := decode[ocispec.Manifest](t, blob(child.Digest))
		blob(manifest.Config.Digest)
		for _, one := range manifest.Layers {
			blob(one.Digest)
		}
	}
	if len(index.Manifests) != 2 || len(files["oci-layout"]) == 0 {
		t.Errorf("%d platforms, %s", len(index.Manifests), files["oci-layout"])
	}
}
