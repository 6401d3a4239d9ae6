package ci_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// workflow is what the tests look at in a file of .github/workflows; actionlint looks at the rest.
type workflow struct {
	Permissions map[string]string `yaml:"permissions"`
	Concurrency struct {
		Group  string `yaml:"group"`
		Cancel any    `yaml:"cancel-in-progress"`
	} `yaml:"concurrency"`
	Jobs map[string]struct {
		Permissions any  `yaml:"permissions"`
		Timeout     *int `yaml:"timeout-minutes"`
		Steps       []struct {
			Uses string         `yaml:"uses"`
			Run  string         `yaml:"run"`
			With map[string]any `yaml:"with"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

func readWorkflow(t *testing.T, name string) workflow {
	t.Helper()
	var w workflow
	if err := yaml.Unmarshal([]byte(read(t, "../../.github/workflows/"+name)), &w); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return w
}

func actionlint(t *testing.T, files ...string) (string, error) {
	t.Helper()
	program, err := filepath.Abs("../../.bin/actionlint")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("actionlint is not built: run `make tools`")
	}
	out, err := exec.CommandContext(t.Context(), program, append([]string{"-no-color", "-pyflakes="}, files...)...).CombinedOutput()
	return string(out), err
}

func TestActionlintHasNothingToSay(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := actionlint(t, names...); err != nil || out != "" {
		t.Errorf("actionlint: %v\n%s", err, out)
	}
}

func TestActionlintSeesATypo(t *testing.T) {
	t.Parallel()
	content := strings.Replace(read(t, "../../.github/workflows/ci.yml"), "timeout-minutes", "timeout-minuets", 1)
	name := filepath.Join(t.TempDir(), "ci.yml")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := actionlint(t, name); err == nil || !strings.Contains(out, "timeout-minuets") {
		t.Errorf("actionlint: %v\n%s", err, out)
	}
}

func TestPermissionsAreTheLeast(t *testing.T) {
	t.Parallel()
	want := map[string]map[string]string{
		"ci.yml":        {"contents": "read"},
		"dev-build.yml": {"contents": "read", "packages": "write"},
		"promote.yml":   {"contents": "read"},
		"release.yml":   {"contents": "read", "id-token": "write"},
	}
	got := map[string]map[string]string{}
	names, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		w := readWorkflow(t, filepath.Base(name))
		got[filepath.Base(name)] = w.Permissions
		for id, job := range w.Jobs {
			if job.Permissions != nil {
				t.Errorf("%s: job %s has permissions of its own", name, id)
			}
			if job.Timeout == nil {
				t.Errorf("%s: job %s has no timeout-minutes", name, id)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("permissions (-want +got):\n%s", diff)
	}
}

// A tag of an action can be moved by whoever owns it, a commit cannot.
func TestActionsArePinnedByCommit(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	commits := map[string]string{}
	for _, file := range files(t) {
		for _, m := range regexp.MustCompile(`(?m)^[\s-]*uses: *(.*)$`).FindAllStringSubmatch(read(t, file), -1) {
			if !pinned.MatchString(m[1]) {
				t.Errorf("%s: uses: %s, want OWNER/NAME@COMMIT # vX.Y.Z", file, m[1])
			}
			action, commit, _ := strings.Cut(m[1], "@")
			if other, ok := commits[action]; ok && other != commit {
				t.Errorf("%s: %s is pinned to %s here and to %s elsewhere", file, action, commit, other)
			}
			commits[action] = commit
		}
	}
	if len(commits) < 4 {
		t.Errorf("only %d actions were found: %v", len(commits), commits)
	}
}

func TestCheckoutLeavesNoCredentials(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ci.yml", "dev-build.yml", "promote.yml", "release.yml"} {
		found := 0
		for id, job := range readWorkflow(t, name).Jobs {
			for _, step := range job.Steps {
				if strings.HasPrefix(step.Uses, "actions/checkout@") {
					found++
					if step.With["persist-credentials"] != false {
						t.Errorf("%s: job %s: the checkout keeps its token in the folder that is uploaded", name, id)
					}
				}
			}
		}
		if found == 0 {
			t.Errorf("%s checks nothing out", name)
		}
	}
}

// A cancelled publish leaves images without tags, and two at once race for the floating tags.
func TestPublishesWaitForEachOther(t *testing.T) {
	t.Parallel()
	for name, group := range map[string]string{
		"dev-build.yml": "dev-build-${{ github.ref }}", // development versions differ by branch
		"promote.yml":   "promote-${{ inputs.environment }}",
		"release.yml":   "release", // all releases share latest
	} {
		c := readWorkflow(t, name).Concurrency
		if c.Group != group || c.Cancel != false {
			t.Errorf("%s: concurrency %+v, want group %s, never cancelled", name, c, group)
		}
	}
	for name, want := range map[string]string{
		".gitlab-ci.yml":       "resource_group: publish",
		"Jenkinsfile":          "disableConcurrentBuilds()",
		"azure-pipelines.yml":  "lockBehavior: sequential",
		".circleci/config.yml": "serial-group:",
	} {
		if !strings.Contains(uncommented(read(t, "../../examples/ci/"+name)), want) {
			t.Errorf("%s has no %s", name, want)
		}
	}
}

func TestOneVersionOfDagger(t *testing.T) {
	t.Parallel()
	var configuration struct {
		EngineVersion string `json:"engineVersion"`
	}
	if err := json.Unmarshal([]byte(read(t, "../../dagger.json")), &configuration); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(configuration.EngineVersion, "v")
	for _, name := range files(t) {
		found := regexp.MustCompile(`(?:DAGGER_VERSION: |Dagger CLI | version: )v?(\d+\.\d+\.\d+)`).FindAllStringSubmatch(read(t, name), -1)
		if len(found) == 0 {
			t.Errorf("%s does not pin Dagger", name)
		}
		for _, m := range found {
			if m[1] != want {
				t.Errorf("%s: Dagger %s, want %s as in dagger.json", name, m[1], want)
			}
		}
	}
}
