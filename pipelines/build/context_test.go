package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func contextOf(t *testing.T, files map[string]int64) DockerfileComponent {
	t.Helper()
	dir := t.TempDir()
	for name, size := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, size); err != nil { // without taking the room
			t.Fatal(err)
		}
	}
	return DockerfileComponent{Name: "web", Context: dir, File: filepath.Join(dir, "Dockerfile")}
}

func TestContextSize(t *testing.T) {
	t.Parallel()
	c := contextOf(t, map[string]int64{
		"Dockerfile": 10, "a/big.iso": 2 << 30, "a/b/dump": 40 << 20, "small": 1, "data/x": 3 << 20, "node_modules/y": 1 << 30,
	})
	if err := os.Symlink(t.TempDir(), filepath.Join(c.Context, "link")); err != nil {
		t.Fatal(err)
	}
	ignore := func(name, content string) Size {
		if err := os.WriteFile(filepath.Join(c.Context, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		size, err := ContextSize(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return size
	}
	size := ignore(".dockerignore", "node_modules\n")
	if size.Files != 6 || size.Largest[0].Path != "a/big.iso" || size.Largest[1].Path != "a/b/dump" || len(size.Largest) != 3 {
		t.Errorf("%+v", size)
	}
	warning := size.Warning("web")
	for _, want := range []string{"web: the build context has 6 files of 2193 MB", "a/big.iso (2147 MB), a/b/dump (42 MB), data/x (3 MB)", ".dockerignore"} {
		if !strings.Contains(warning, want) {
			t.Errorf("no %q in %q", want, warning)
		}
	}
	// A part of an ignored folder that is taken back counts.
	if size := ignore(".dockerignore", "**\n!data\n"); size.Bytes != 3<<20 || size.Warning("web") != "" {
		t.Errorf("%+v", size)
	}
	// The Dockerfile's own ignore file wins over that of the context.
	if size := ignore("Dockerfile.dockerignore", "a\nnode_modules\n"); size.Bytes > 4<<20 || size.Files != 5 {
		t.Errorf("%+v", size)
	}
}

func TestWarningNamesWhatIsLarge(t *testing.T) {
	t.Parallel()
	size := Size{Files: 2, Bytes: 600 << 20, Largest: []File{{Path: "dump", Bytes: 600 << 20}, {Path: "small", Bytes: 10}}}
	if got := size.Warning("web"); !strings.Contains(got, "the largest dump (629 MB); what") {
		t.Error(got)
	}
}

func TestSecretIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, size := range map[string]int64{"ok": 10, "big": maxSecret + 1} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lookup := func(name string) (string, bool) { return map[string]string{"SET": "x"}[name], name != "UNSET" }
	for want, s := range map[string]Secret{
		"":                            {ID: "a", Env: "SET"},
		"the variable UNSET is not":   {ID: "a", Env: "UNSET"},
		"the variable EMPTY is not":   {ID: "a", Env: "EMPTY"},
		"secret a: there is no file":  {ID: "a", File: filepath.Join(dir, "nope")},
		"is no file":                  {ID: "a", File: dir},
		"512001 bytes, more than 512": {ID: "a", File: filepath.Join(dir, "big")},
	} {
		err := s.Present(lookup)
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := (Secret{ID: "a", File: filepath.Join(dir, "ok")}).Present(lookup); err != nil {
		t.Error(err)
	}
}
