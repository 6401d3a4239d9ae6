package dockerfile

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
)

// busybox makes the base image of most tests.
func (l *lab) busybox(t *testing.T) layer {
	t.Helper()
	box := l.layer(t, "busybox", func(w *writer) {
		program, err := exec.LookPath("busybox")
		if err != nil {
			t.Fatal(err)
		}
		w.file("bin/busybox", program)
		for _, applet := range strings.Fields(l.do(t, l.dir, nil, program, "--list")) {
			if applet != "busybox" {
				w.link("bin/"+applet, "/bin/busybox")
			}
		}
		w.folder("tmp/", 0o1777)
		w.folder("root/", 0o700)
	})
	l.push(t, "library/busybox", "1", ocispec.ImageConfig{Cmd: []string{"/bin/sh"}}, box)
	return box
}

// golang makes the base images of the examples, of the machine's own toolchain and modules.
func (l *lab) golang(t *testing.T) {
	t.Helper()
	root := strings.TrimSpace(l.do(t, l.root, nil, "go", "env", "GOROOT"))
	toolchain := l.layer(t, "go", func(w *writer) {
		w.tree("usr/local/go", root, func(name string) bool {
			return strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "/testdata") ||
				name == "test" || name == "doc" || name == "api" || name == "src/cmd"
		})
		w.file("etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/ca-certificates.crt")
		l.modules(t, w)
	})
	version := strings.TrimPrefix(strings.TrimSpace(l.do(t, l.root, nil, "go", "env", "GOVERSION")), "go")
	env := []string{
		"HOME=/root", "PATH=/usr/local/go/bin:/bin", "GOPROXY=file:///proxy", "GOSUMDB=off", "GOTOOLCHAIN=local", "GOPATH=/go",
	}
	l.push(t, "library/golang", version, ocispec.ImageConfig{Env: env}, l.box, toolchain)
	l.push(t, "ubi10/go-toolset", "1.26", ocispec.ImageConfig{Env: env}, l.box, toolchain)
}

// modules puts what the example needs of this machine's module cache where the go command looks for a proxy.
func (l *lab) modules(t *testing.T, w *writer) {
	t.Helper()
	dir := filepath.Join(l.root, "examples", "knative-lambda", "metrics-pusher")
	cache := strings.TrimSpace(l.do(t, dir, nil, "go", "env", "GOMODCACHE"))
	decoder := json.NewDecoder(strings.NewReader(l.do(t, dir, nil, "go", "mod", "download", "-json")))
	for decoder.More() {
		var m struct{ Info, GoMod, Zip string }
		if err := decoder.Decode(&m); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{m.Info, m.GoMod, m.Zip} {
			rel, err := filepath.Rel(filepath.Join(cache, "cache", "download"), file)
			if err != nil {
				t.Fatal(err)
			}
			w.file(path.Join("proxy", filepath.ToSlash(rel)), file)
		}
	}
}

// layer is a tar in a file.
type layer struct {
	ocispec.Descriptor
	path string
}

// layer writes a tar without compression, which would take longer than everything else.
func (l *lab) layer(t *testing.T, name string, write func(*writer)) layer {
	t.Helper()
	file, err := os.Create(filepath.Join(l.dir, name+".tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sum := sha256.New()
	w := &writer{t: t, Writer: tar.NewWriter(io.MultiWriter(file, sum))}
	write(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return layer{path: file.Name(), Descriptor: ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageLayer, Digest: digest.NewDigest(digest.SHA256, sum), Size: info.Size(),
	}}
}

// push makes an image of layers, for this machine's platform, and pushes it.
func (l *lab) push(t *testing.T, repository, tag string, c ocispec.ImageConfig, layers ...layer) {
	t.Helper()
	target, err := remote.NewRepository(l.registry + "/" + repository)
	if err != nil {
		t.Fatal(err)
	}
	target.PlainHTTP = true
	if l.client != nil {
		target.Client = l.client
	}
	config := ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		Config:   c,
		RootFS:   ocispec.RootFS{Type: "layers"},
	}
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
	}
	for _, one := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, one.Digest)
		manifest.Layers = append(manifest.Layers, one.Descriptor)
		file, err := os.Open(one.path)
		if err != nil {
			t.Fatal(err)
		}
		err = target.Push(t.Context(), one.Descriptor, file)
		_ = file.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	add := func(mediaType string, v any) ocispec.Descriptor {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
		if err := target.Push(t.Context(), d, strings.NewReader(string(data))); err != nil {
			t.Fatal(err)
		}
		return d
	}
	manifest.Config = add(ocispec.MediaTypeImageConfig, config)
	if err := target.Tag(t.Context(), add(ocispec.MediaTypeImageManifest, manifest), tag); err != nil {
		t.Fatal(err)
	}
}

// writer writes the files of a layer.
type writer struct {
	*tar.Writer
	t *testing.T
}

func (w *writer) header(h *tar.Header) {
	w.t.Helper()
	if err := w.WriteHeader(h); err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) folder(name string, mode int64) {
	w.header(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode})
}

func (w *writer) link(name, to string) {
	w.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777})
}

func (w *writer) file(name, from string) {
	w.t.Helper()
	file, err := os.Open(from)
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		w.t.Fatal(err)
	}
	w.header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: int64(info.Mode().Perm())})
	if _, err := io.Copy(w, file); err != nil {
		w.t.Fatal(err)
	}
}

// program writes a program of this machine and the libraries that it needs, as ldd lists them.
func (w *writer) program(l *lab, name, from string) {
	w.t.Helper()
	from, err := exec.LookPath(from)
	if err != nil {
		w.t.Fatal(err)
	}
	w.file(name, from)
	for _, field := range strings.Fields(l.do(w.t, l.dir, nil, "ldd", from)) {
		if filepath.IsAbs(field) {
			w.file(strings.TrimPrefix(field, "/"), field)
		}
	}
}

// tree writes the files below a folder, less those that skip names by their path in it.
func (w *writer) tree(name, from string, skip func(string) bool) {
	w.t.Helper()
	err := filepath.WalkDir(from, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, file)
		switch {
		case err != nil:
			return err
		case skip(filepath.ToSlash(rel)) && d.IsDir():
			return filepath.SkipDir
		case d.Type().IsRegular() && !skip(filepath.ToSlash(rel)):
			w.file(path.Join(name, filepath.ToSlash(rel)), file)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
