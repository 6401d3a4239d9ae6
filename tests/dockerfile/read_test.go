package dockerfile

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/pipelines/image"
)

func read(name string) string {
	data, _ := os.ReadFile(name)
	return string(data)
}

func poll() { time.Sleep(50 * time.Millisecond) }

// stream runs a program with both outputs into a file, and returns its exit code.
func (l *lab) stream(t *testing.T, dir string, env []string, log *os.File, name string, args ...string) int {
	t.Helper()
	defer log.Close()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, log, log
	_ = cmd.Run() // the exit code tells
	return cmd.ProcessState.ExitCode()
}

// unpack reads the files of one platform of a layout that holds one image.
func (l *lab) unpack(t *testing.T, layout, platform string) map[string]string {
	t.Helper()
	images, err := image.ReadLayout(t.Context(), layout)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, child := range images[0].Manifest.Manifests {
		if image.PlatformString(*child.Platform) != platform {
			continue
		}
		data, err := content.FetchAll(t.Context(), images[0], child)
		if err != nil {
			t.Fatal(err)
		}
		var manifest ocispec.Manifest
		if err := json.Unmarshal(data, &manifest); err != nil {
			t.Fatal(err)
		}
		for _, one := range manifest.Layers {
			if !strings.HasSuffix(one.MediaType, "gzip") {
				continue // a base of this test's own
			}
			r, err := images[0].Fetch(t.Context(), one)
			if err != nil {
				t.Fatal(err)
			}
			untar(t, r, files)
			_ = r.Close()
		}
	}
	return files
}

func untar(t *testing.T, r io.Reader, files map[string]string) {
	t.Helper()
	plain, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(plain); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(h.Name, "./")] = string(data)
	}
}
