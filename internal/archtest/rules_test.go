package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

const module = "github.com/berth-sh/berth"

func TestTheTreeKeepsTheRules(t *testing.T) {
	t.Parallel()
	s, err := Load("../..", module)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Files) < 20 {
		t.Fatalf("only %d files were read, is this the repository?", len(s.Files))
	}
	for name, rule := range Rules() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, v := range rule(s) {
				t.Error(v)
			}
		})
	}
}

// Each fixture is a small tree of files and the violations that every rule together must find in it, in the file
// "want". So each rule is shown to find what it is for, and to leave alone what it should.
func TestRulesFindWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	fixtures, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(fixtures) != len(Rules()) {
		t.Fatalf("%d fixtures for %d rules", len(fixtures), len(Rules()))
	}
	for _, fixture := range fixtures {
		t.Run(filepath.Base(fixture), func(t *testing.T) {
			t.Parallel()
			root, want := unpack(t, fixture)
			s, err := Load(root, module)
			if err != nil {
				t.Fatal(err)
			}
			var found []Violation
			for _, rule := range Rules() {
				found = append(found, rule(s)...)
			}
			var got strings.Builder
			for _, v := range sorted(found) {
				fmt.Fprintln(&got, v)
			}
			if diff := cmp.Diff(want, got.String()); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func unpack(t *testing.T, fixture string) (root, want string) {
	t.Helper()
	archive, err := txtar.ParseFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	for _, f := range archive.Files {
		if f.Name == "want" {
			want = string(f.Data)
			continue
		}
		path := filepath.Join(root, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root, want
}

func TestLoadReportsBrokenSource(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "broken.go"), []byte("package"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(root, module); err == nil {
		t.Error("a file that does not parse was read without an error")
	}
	if _, err := Load(filepath.Join(root, "missing"), module); err == nil {
		t.Error("a missing folder was read without an error")
	}
}
