package facts

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Around a component's folder lie the sources of its module, and much else.
func TestDirtyModulesInputsAndOutputs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.write(".gitignore", "/mod/gen/\n*.skip.go\n")
	f.git("add", ".")
	f.commit("mod/main.go", "package main\n", "one")
	for _, name := range []string{
		"mod/new.go", "mod/deep/asm.s", "mod/deep/cgo.S", "mod/blob.syso", "mod/sub/go.mod", "mod/go.sum", "mod/go.work",
		"mod/notes.md", "mod/new_test.go", "mod/go.mod.orig", "mod/gen/made.go", "mod/a.skip.go", "mod/.berth/own.go",
		"module/new.go", "berth.yaml", "berth.yaml.orig", "plan.json", "dist/index.json", "distant/x",
	} {
		f.write(name, "x")
	}
	compiled := []string{
		"mod/blob.syso", "mod/deep/asm.s", "mod/deep/cgo.S", "mod/go.sum", "mod/go.work", "mod/new.go", "mod/sub/go.mod",
	}
	all := []string{
		"berth.yaml", "berth.yaml.orig", "dist/index.json", "distant/x", "mod/blob.syso", "mod/deep/asm.s", "mod/deep/cgo.S",
		"mod/go.mod.orig", "mod/go.sum", "mod/go.work", "mod/new.go", "mod/new_test.go", "mod/notes.md", "mod/sub/go.mod",
		"module/new.go", "plan.json",
	}
	tests := []struct {
		name    string
		options Options
		want    []string
	}{
		{"sources", Options{Modules: []string{"mod"}}, compiled},
		{"a file once, in module and input", Options{Modules: []string{"mod"}, Inputs: []string{"mod/deep"}}, compiled},
		{"a single file", Options{Inputs: []string{"berth.yaml"}}, []string{"berth.yaml"}},
		{"a single file that is not there", Options{Inputs: []string{"missing.yaml"}}, nil},
		{"a single file that is tracked", Options{Inputs: []string{"mod/main.go"}}, nil},
		{"everything", Options{Inputs: []string{"."}}, all},
		{"outputs", Options{
			Inputs: []string{"dist", "distant", "plan.json", "module"}, Outputs: []string{"dist", "plan.json"},
		}, []string{"distant/x", "module/new.go"}},
		{"an output among the sources", Options{
			Modules: []string{"mod"}, Outputs: []string{"mod/deep", "mod/go.work", "mod/blob.syso", "mod/sub", "mod/go.sum"},
		}, []string{"mod/new.go"}},
	}
	for _, index := range []string{"plain", "split"} {
		if index == "split" { // which only git itself can read
			f.git("update-index", "--split-index")
		}
		for _, tt := range tests {
			if diff := cmp.Diff(tt.want, f.facts(tt.options).Dirty); diff != "" {
				t.Errorf("%s index, %s (-want +got):\n%s", index, tt.name, diff)
			}
		}
	}
	f.write("mod/main.go", "package main // edited\n")
	if diff := cmp.Diff([]string{"mod/main.go"}, f.facts(Options{Outputs: []string{"dist"}}).Dirty); diff != "" {
		t.Errorf("edited (-want +got):\n%s", diff)
	}
}

func TestOpenThroughASymbolicLink(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	head := f.commit("sub/a", "1", "one")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(f.dir, "sub"), link); err != nil {
		t.Fatal(err)
	}
	r := f.in(link).open()
	got, err := r.Facts(t.Context(), Options{Inputs: []string{"."}})
	if err != nil || got.Commit != head || len(got.Dirty) != 0 {
		t.Errorf("facts through a link: %+v, %v", got, err)
	}
	if root, err := filepath.EvalSymlinks(r.Root()); err != nil || root != f.dir {
		t.Errorf("root = %s (%s), %v; want %s", r.Root(), root, err, f.dir)
	}
	f.write("sub/new", "")
	if diff := cmp.Diff([]string{"sub/new"}, f.in(link).facts(Options{Inputs: []string{"sub"}}).Dirty); diff != "" {
		t.Errorf("dirty through a link (-want +got):\n%s", diff)
	}
}
