package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestReadInspect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ said, driver, broken string }{
		"docker": {"Name:   default\nDriver: docker\n\nNodes:\nName:             default\nStatus:           running\n", "docker", ""},
		"no daemon": {
			"Name:   default\nDriver: \nError:  failed to connect to the docker API at unix:///var/run/docker.sock\n", "",
			"failed to connect to the docker API at unix:///var/run/docker.sock",
		},
		"not started":  {"Name: ci\nDriver: docker-container\n\nNodes:\nName: ci0\nStatus: inactive\n", "docker-container", ""},
		"remote, gone": {"Name: lab\nDriver: remote\n\nNodes:\nName: lab0\nStatus: inactive\n", "remote", "no node of it is running"},
		"remote":       {"Name: lab\nDriver: remote\n\nNodes:\nName: lab0\nStatus: running\n", "remote", ""},
	} {
		driver, broken := readInspect(c.said)
		if driver != c.driver || broken != c.broken {
			t.Errorf("%s: %q %q", name, driver, broken)
		}
	}
}

func TestBuildxArgs(t *testing.T) {
	t.Parallel()
	c := DockerfileComponent{
		Name: "web", Context: "/src", File: "/src/a,b/Dockerfile", Target: "app", Args: map[string]string{"B": "2", "A": "1 x"},
		Secrets:   []Secret{{ID: "one", Env: "TOKEN"}, {ID: "two", File: "/a,b"}},
		SSH:       []SSH{{ID: "default"}, {ID: "key", Paths: []string{"/k1", "/k2"}}},
		CacheFrom: []string{"type=local,src=c"}, CacheTo: []string{"type=local,dest=c"},
	}
	platforms := []ocispec.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm", Variant: "v7"}}
	got := strings.Join(buildxArgs(c, platforms, Options{NoCache: true, Created: time.Unix(1, 0)}, "/out,1"), "\n")
	want := `buildx
build
--progress=plain
--file
/src/a,b/Dockerfile
--platform
linux/amd64,linux/arm/v7
--output
type=oci,rewrite-timestamp=true,"dest=/out,1"
--provenance=false
--sbom=false
--target
app
--no-cache
--build-arg
A=1 x
--build-arg
B=2
--secret
id=one,env=TOKEN
--secret
id=two,"src=/a,b"
--ssh
default
--ssh
key=/k1,/k2
--cache-from
type=local,src=c
--cache-to
type=local,dest=c
--
/src`
	if got != want {
		t.Errorf("%s", got)
	}
}

func TestBuildxAsksForAttestations(t *testing.T) {
	t.Parallel()
	c := DockerfileComponent{Name: "web", Provenance: "max", SBOM: "example.com/scan:1"}
	got := buildxArgs(c, nil, Options{}, "out")
	for _, want := range []string{"--provenance=mode=max", "--sbom=generator=example.com/scan:1"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in %q", want, got)
		}
	}
}

func TestTranscript(t *testing.T) {
	t.Parallel()
	cause := errors.New("exit status 1")
	var seen []string
	write := func(parts ...string) *Transcript {
		seen = nil
		out := NewTranscript(func(line string) { seen = append(seen, line) })
		for _, p := range parts {
			_, _ = out.Write([]byte(p))
		}
		return out
	}
	if got := write().Tail(cause); !errors.Is(got, cause) {
		t.Errorf("nothing was printed: %v", got)
	}
	got := write("#1 [1/2] ", "FROM x\r\n#2 0.1 a\n\n------\n > [2/2] RUN", " false:\n------\nERROR: no").Tail(cause).Error()
	if got != "the build says:\n------\n > [2/2] RUN false:\n------\nERROR: no" {
		t.Errorf("%q", got)
	}
	if !slices.Equal(seen, []string{"#1 [1/2] FROM x", "#2 0.1 a", "------", " > [2/2] RUN false:", "------", "ERROR: no"}) {
		t.Errorf("%q", seen)
	}
	var many []string
	for i := range 3 * keptLines {
		many = append(many, fmt.Sprintf("line %d\n", i))
	}
	long := write(append(many, strings.Repeat("x", 2*longestLine))...)
	lines := strings.Split(long.Tail(cause).Error(), "\n")
	if len(lines) != tailLines+1 || len(long.lines) != keptLines || len(lines[tailLines]) > longestLine {
		t.Errorf("%d lines shown, %d kept", len(lines), len(long.lines))
	}
}

func TestTranscriptTellsOfACacheThatWasNotSaved(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"#4 importing cache manifest from x\n#4 ERROR: not found\n#11 exporting cache to registry\n#11 DONE 1s\n":    "",
		"#4 exporting cache to registry\n#11 preparing\n#4 ERROR: denied\n------\n > exporting cache to registry:\n": "denied",
	} {
		lines := NewTranscript(func(string) {})
		_, _ = lines.Write([]byte(text))
		var got string
		lines.TellUnsaved("web", func(s string) { got = s })
		lines.TellUnsaved("web", nil)
		if want != "" {
			want = "web: the image is built, but the cache of the build was not saved: " + want
		}
		if got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestBuildxWithoutDocker(t *testing.T) {
	t.Parallel()
	b := NewBuildx([]string{"PATH=" + t.TempDir()})
	if err := b.Ready(t.Context()); err == nil || err.Error() != "docker buildx: the docker program is not in PATH" {
		t.Errorf("%v", err)
	}
}

// A docker that knows no buildx, as Debian's, says so in its own words.
func TestBuildxWithoutThePlugin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"docker: 'buildx' is not a docker command.\" >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	err := NewBuildx([]string{"PATH=" + dir}).Ready(t.Context())
	if err == nil || err.Error() != "docker buildx: docker: 'buildx' is not a docker command." {
		t.Errorf("%v", err)
	}
}
