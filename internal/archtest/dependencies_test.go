package archtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// modfile is what `go mod edit -json` prints, as far as it is needed here.
type modfile struct {
	Require []struct {
		Path     string
		Indirect bool
	}
	Tool []struct{ Path string }
}

func readModfile(t *testing.T, path string) modfile {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", path).Output()
	if err != nil {
		t.Fatalf("go mod edit -json %s: %v", path, err)
	}
	var m modfile
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m modfile) direct() []string {
	var paths []string
	for _, r := range m.Require {
		if !r.Indirect {
			paths = append(paths, r.Path)
		}
	}
	slices.Sort(paths)
	return paths
}

// documented returns the first column of the tables under a heading of docs/dependencies.md, sorted.
func documented(page, heading string) []string {
	_, section, _ := strings.Cut(page, "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var paths []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1) {
		paths = append(paths, row[1])
	}
	slices.Sort(paths)
	return paths
}

func TestEveryDirectDependencyIsExplained(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	var tools []string
	for _, module := range []string{
		"tools", "tools/buildkit", "tools/buildx", "tools/dockerd", "tools/helm", "tools/benchstat",
	} {
		for _, tool := range readModfile(t, "../../"+module+"/go.mod").Tool {
			tools = append(tools, tool.Path)
		}
	}
	slices.Sort(tools)
	var examples []string
	for _, module := range []string{
		"examples/knative-lambda", "examples/knative-lambda/metrics-pusher", "examples/kubernaut",
	} {
		examples = append(examples, readModfile(t, filepath.Join("../..", module, "go.mod")).direct()...)
	}
	slices.Sort(examples)
	for heading, want := range map[string][]string{
		"The root module":  readModfile(t, "../../go.mod").direct(),
		"The examples":     slices.Compact(examples),
		"berth-helm":       readModfile(t, "../../cmd/berth-helm/go.mod").direct(),
		"The test cluster": readModfile(t, "../../tests/kubernetes/cluster/go.mod").direct(),
		"Tools":            tools,
	} {
		if diff := cmp.Diff(want, documented(page, heading)); diff != "" {
			t.Errorf("%q in docs/dependencies.md (-go.mod +page):\n%s", heading, diff)
		}
	}
}

func TestDocumentedReadsOneSection(t *testing.T) {
	t.Parallel()
	page := "# D\n\n## A\n\n| m |\n|---|\n| `x/b` | MIT |\n| `x/a` | MIT `z` |\n\n## B\n\n| `x/c` | MIT |\n"
	if diff := cmp.Diff([]string{"x/a", "x/b"}, documented(page, "A")); diff != "" {
		t.Error(diff)
	}
	if got := documented(page, "C"); got != nil {
		t.Errorf("a missing section holds %v", got)
	}
}
