package seeds

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-sh/berth/internal/cli"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// kubernaut is a repository of examples/kubernaut, as DD-REGISTRY-001 describes its registries, in a sandbox.
type kubernaut struct {
	dir   string
	env   []string
	clock time.Time
}

// committed is the time of the commit that everything is built from.
const committed = "2026-11-01T00:00:00Z"

// services are two of the fourteen: they share everything that the document says.
const services = "gateway,must-gather"

func newKubernaut(t *testing.T) *kubernaut {
	t.Helper()
	k := &kubernaut{dir: t.TempDir(), env: append(environment(t),
		"GIT_AUTHOR_DATE="+committed, "GIT_COMMITTER_DATE="+committed, "BERTH_KEY_PASSWORD=of the test")}
	source := "../../examples/kubernaut"
	files := output(t, source, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for name := range strings.SplitSeq(strings.TrimRight(files, "\x00"), "\x00") {
		copyFile(t, filepath.Join(source, name), filepath.Join(k.dir, name))
	}
	// The example's public keys are nobody's: the approvers of the test make their own.
	for _, person := range []string{"ann", "bob"} {
		if err := os.Remove(filepath.Join(k.dir, "keys", person+".pub")); err != nil {
			t.Fatal(err)
		}
		k.must(t, "", "key", "generate", "--output", filepath.Join("keys", person))
	}
	if err := os.WriteFile(filepath.Join(k.dir, ".gitignore"), []byte(".berth/\n*.key\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	output(t, k.dir, k.env, "git", "init", "--quiet", "--initial-branch=develop")
	output(t, k.dir, k.env, "git", "add", "--all")
	output(t, k.dir, k.env, "git", "commit", "--quiet", "--message=feat: everything")
	k.at(1)
	return k
}

// at sets the clock to a number of days after the commit.
func (k *kubernaut) at(days int) {
	start, _ := time.Parse(time.RFC3339, committed)
	k.clock = start.AddDate(0, 0, days).Add(time.Minute)
}

// berth runs a command as an account of the registries, "" for none, with variables such as "GITHUB_REF=…" before it.
func (k *kubernaut) berth(account string, command ...string) (code int, stdout, stderr string) {
	env := slices.Clone(k.env)
	for len(command) > 0 && strings.Contains(command[0], "=") {
		env, command = append(env, command[0]), command[1:]
	}
	args := append([]string{"berth"}, command...)
	if account != "" {
		args = append(args, "--sandbox", "--username", account, "--password-stdin", "--quiet")
	}
	var out, err bytes.Buffer
	code = cli.Run(context.Background(), cli.Process{
		Args: args, Stdin: strings.NewReader(sandbox.Password), Stdout: &out, Stderr: &err, Environ: env, Dir: k.dir,
		Now: func() time.Time { return k.clock },
	})
	return code, out.String(), err.String()
}

// must runs a command that has to succeed, and returns what it printed.
func (k *kubernaut) must(t *testing.T, account string, command ...string) string {
	t.Helper()
	code, stdout, stderr := k.berth(account, command...)
	if code != 0 {
		t.Fatalf("berth %s as %q: exit code %d\n%s%s", strings.Join(command, " "), account, code, stdout, stderr)
	}
	return stdout
}

// refused runs a command that has to be refused by policy with a message.
func (k *kubernaut) refused(t *testing.T, message, account string, command ...string) {
	t.Helper()
	code, stdout, stderr := k.berth(account, command...)
	if code != 3 || !strings.Contains(stderr, message) {
		t.Errorf("berth %s as %q: exit code %d, want 3 and %q\n%s%s",
			strings.Join(command, " "), account, code, message, stdout, stderr)
	}
}

// repository opens one repository of the sandbox, between two commands.
func (k *kubernaut) repository(t *testing.T, name string, use func(r *registry.Repository)) {
	t.Helper()
	box, err := sandbox.New(sandbox.Options{Dir: filepath.Join(k.dir, ".berth", "sandbox")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = box.Close() }()
	client := registry.NewClient(registry.Options{
		Transport:   box.Transport(),
		Credentials: registry.NewCredentials(registry.Explicit{"": {Username: sandbox.Username, Password: sandbox.Password}}),
	})
	r, err := client.Repository(name)
	if err != nil {
		t.Fatal(err)
	}
	use(r)
}

// digest is what a tag names, "" when there is none.
func (k *kubernaut) digest(t *testing.T, repository, tag string) (digest string) {
	t.Helper()
	k.repository(t, repository, func(r *registry.Repository) {
		if desc, err := r.Resolve(t.Context(), tag); err == nil {
			digest = desc.Digest.String()
		}
	})
	return digest
}

// tag puts a tag by hand, as somebody's tests do.
func (k *kubernaut) tag(t *testing.T, repository, from, to string) {
	t.Helper()
	k.repository(t, repository, func(r *registry.Repository) {
		body, desc, err := r.Manifest(t.Context(), from)
		if err == nil {
			err = r.Tag(t.Context(), body, desc, to)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

// verdict asks retention about a tag of the gateway.
func (k *kubernaut) verdict(t *testing.T, environment, tag string) (action, reason string) {
	t.Helper()
	var plan struct {
		Repositories []struct {
			Tags []struct{ Tag, Action, Reason string }
		}
	}
	text := k.must(t, "jordigilh+test-runner", "retention", "plan", "--env", environment, "--component", "gateway", "--format", "json")
	if err := json.Unmarshal([]byte(text), &plan); err != nil {
		t.Fatal(err)
	}
	for _, v := range plan.Repositories[0].Tags {
		if v.Tag == tag {
			return v.Action, v.Reason
		}
	}
	t.Fatalf("no verdict about %s in %s", tag, text)
	return "", ""
}

// The accounts of the document.
const (
	ciBuilder         = "jordigilh+ci-builder"
	testRunner        = "jordigilh+test-runner"
	releaseAutomation = "kubernaut+release-automation"
	stagingAutomation = "kubernaut+staging-automation"
)

// TestRegistryPurposeClassification walks DD-REGISTRY-001 row by row. Each subtest is named after the section and the
// row that it holds; they build on each other, from a development build to the release.
func TestRegistryPurposeClassification(t *testing.T) {
	t.Parallel()
	k := newKubernaut(t)
	sha := strings.TrimSpace(output(t, k.dir, k.env, "git", "rev-parse", "HEAD"))[:7]
	k.developmentBuilds(t, sha)
	k.promotionToStaging(t)
	k.promotionToProduction(t)
	k.retentionPeriods(t, sha)
}

// same fails unless a tag of the gateway names a digest.
func (k *kubernaut) same(t *testing.T, repository, tag, digest string) {
	t.Helper()
	if got := k.digest(t, repository, tag); got != digest || got == "" {
		t.Errorf("%s:%s is %q, want %q", repository, tag, got, digest)
	}
}

const (
	developmentGateway = "quay.io/jordigilh/gateway"
	productionGateway  = "quay.io/kubernaut/gateway"
)

func (k *kubernaut) developmentBuilds(t *testing.T, sha string) {
	t.Run("Robot Accounts/test-runner: read access for integration tests", func(t *testing.T) {
		k.refused(t, "jordigilh+test-runner is not among the accounts that may write to it",
			testRunner, "publish", "--component", services)
	})
	t.Run("CI-CD Integration/Development Builds: push to develop", func(t *testing.T) {
		k.must(t, ciBuilder, "GITHUB_ACTIONS=true", "GITHUB_REF=refs/heads/develop", "GITHUB_REF_TYPE=branch",
			"GITHUB_REF_NAME=develop", "publish", "--component", services)
		// docker push quay.io/jordigilh/${SERVICE}:dev-${GITHUB_SHA:0:7}
		for _, service := range strings.Split(services, ",") {
			if k.digest(t, "quay.io/jordigilh/"+service, "dev-"+sha) == "" {
				t.Errorf("there is no quay.io/jordigilh/%s:dev-%s", service, sha)
			}
		}
	})
	t.Run("Robot Accounts/ci-builder: write access for CI-CD pipelines", func(t *testing.T) {
		k.must(t, ciBuilder, "publish", "--component", services) // a second time, as a pipeline that runs again
		k.refused(t, "images come here by promotion from staging only", ciBuilder, "publish", "--env", "production")
	})
	built := k.digest(t, developmentGateway, "dev-"+sha)
	t.Run("Image Tagging Strategy/dev-<git-sha>", func(t *testing.T) {
		k.same(t, developmentGateway, "dev-"+sha, built)
	})
	t.Run("Image Tagging Strategy/dev-latest", func(t *testing.T) {
		k.same(t, developmentGateway, "dev-latest", built)
	})
	t.Run("Image Tagging Strategy/feature-<name>", func(t *testing.T) {
		k.must(t, ciBuilder, "GIT_BRANCH=feature/auth", "publish", "--component", "gateway")
		k.same(t, developmentGateway, "feature-auth", built)
	})
	t.Run("Image Tagging Strategy/test-<name>", func(t *testing.T) {
		k.tag(t, developmentGateway, "dev-"+sha, "test-integration")
		k.same(t, developmentGateway, "test-integration", built)
	})
	t.Run("CI-CD Integration/Production Releases: push of a tag v*.*.*", func(t *testing.T) {
		// The document builds again for a release. berth brings the bytes that were tested, so that a build is refused.
		tag := []string{
			"GITHUB_ACTIONS=true", "GITHUB_REF=refs/tags/v1.6.0", "GITHUB_REF_TYPE=tag", "GITHUB_REF_NAME=v1.6.0",
		}
		if got := k.must(t, "", append(tag, "registry", "which")...); got != "production\n" {
			t.Errorf("a release goes to %s", got)
		}
		k.refused(t, "images come here by promotion from staging only", releaseAutomation, append(tag, "publish")...)
	})
}

func (k *kubernaut) promotionToStaging(t *testing.T) {
	promote := []string{"promote", "--to", "staging", "--component", services}
	t.Run("Promotion Triggers/Development to Staging: Release manager approval", func(t *testing.T) {
		k.refused(t, "the approval is missing of: release-manager", stagingAutomation, promote...)
		k.must(t, ciBuilder, "approve", "--to", "staging", "--key", "keys/ann.key", "--component", services)
	})
	t.Run("Robot Accounts/release-automation: not for staging builds", func(t *testing.T) {
		k.refused(t, "kubernaut+release-automation is not among", releaseAutomation, promote...)
	})
	t.Run("Robot Accounts/staging-automation: write access for staging builds only", func(t *testing.T) {
		k.must(t, stagingAutomation, promote...)
		k.must(t, stagingAutomation, promote...)
	})
	t.Run("Image Tagging Strategy/staging-<name>", func(t *testing.T) {
		built := k.digest(t, developmentGateway, "dev-latest")
		k.same(t, productionGateway, "staging-v1.6.0-rc1", built)
		k.same(t, productionGateway, "staging-latest", built)
	})
}

func (k *kubernaut) promotionToProduction(t *testing.T) {
	promote := []string{"promote", "--to", "production", "--component", services}
	t.Run("Promotion Triggers/Staging to Production: Release manager and QA approval", func(t *testing.T) {
		k.refused(t, "the approvals are missing of: release-manager, qa", releaseAutomation, promote...)
		k.must(t, stagingAutomation, "approve", "--to", "production", "--key", "keys/ann.key", "--component", services)
		k.refused(t, "the approval is missing of: qa", releaseAutomation, promote...)
		k.must(t, stagingAutomation, "approve", "--to", "production", "--key", "keys/bob.key", "--component", services)
	})
	t.Run("Robot Accounts/staging-automation: not for production", func(t *testing.T) {
		k.refused(t, "kubernaut+staging-automation is not among", stagingAutomation, promote...)
	})
	t.Run("Robot Accounts/release-automation: write access for production releases only", func(t *testing.T) {
		k.must(t, releaseAutomation, promote...)
		k.must(t, releaseAutomation, promote...)
	})
	built := k.digest(t, developmentGateway, "dev-latest")
	for row, tag := range map[string]string{
		"v<major>.<minor>.<patch>": "v1.6.0", "v<major>.<minor>": "v1.6", "v<major>": "v1", "latest": "latest",
	} {
		t.Run("Image Tagging Strategy/"+row, func(t *testing.T) { k.same(t, productionGateway, tag, built) })
	}
	t.Run("Image Tagging Strategy/v<major>.<minor>.<patch>: immutable", func(t *testing.T) {
		// Another commit of the same version comes as far as staging, as its second candidate.
		output(t, k.dir, k.env, "git", "commit", "--quiet", "--allow-empty", "--message=fix: something")
		k.must(t, ciBuilder, "publish", "--component", "gateway")
		k.must(t, ciBuilder, "approve", "--to", "staging", "--key", "keys/ann.key", "--component", "gateway")
		k.must(t, stagingAutomation, "promote", "--to", "staging", "--component", "gateway")
		candidate := k.digest(t, productionGateway, "staging-v1.6.0-rc2")
		if candidate == "" || candidate == built {
			t.Errorf("the second candidate is %q", candidate)
		}
		for _, key := range []string{"keys/ann.key", "keys/bob.key"} {
			k.must(t, stagingAutomation, "approve", "--to", "production", "--key", key, "--component", "gateway")
		}
		k.refused(t, built, releaseAutomation, "promote", "--to", "production", "--component", "gateway")
		k.same(t, productionGateway, "v1.6.0", built)
		k.same(t, productionGateway, "latest", built)
	})
}

// retentionPeriods moves the clock: every period is kept to the day.
func (k *kubernaut) retentionPeriods(t *testing.T, sha string) {
	for _, row := range []struct {
		name, environment, tag string
		days                   int // 0 for indefinite
	}{
		{"Development images: 30 days", "dev", "dev-" + sha, 30},
		{"Development images: 30 days (feature branch)", "dev", "feature-auth", 30},
		{"Test images: 14 days", "dev", "test-integration", 14},
		{"Latest and stable tags: Indefinite", "dev", "dev-latest", 0},
		{"Staging images: 90 days", "staging", "staging-v1.6.0-rc1", 90},
		{"Staging images: 90 days (but for the latest)", "staging", "staging-latest", 0},
		{"Production images: Indefinite (immutable)", "production", "v1.6.0", 0},
		{"Release tags: Indefinite (never deleted)", "staging", "v1.6.0", 0},
		{"Release tags: Indefinite (v1.6)", "staging", "v1.6", 0},
		{"Release tags: Indefinite (v1)", "staging", "v1", 0},
		{"Release tags: Indefinite (latest)", "production", "latest", 0},
	} {
		t.Run("Retention Policy/"+row.name, func(t *testing.T) {
			last := row.days - 1
			if row.days == 0 {
				last = 3650
			}
			k.at(last)
			if action, reason := k.verdict(t, row.environment, row.tag); action != "keep" {
				t.Errorf("after %d days: %s, %s", last, action, reason)
			}
			if row.days == 0 {
				return
			}
			k.at(row.days)
			if action, reason := k.verdict(t, row.environment, row.tag); action != "expire" {
				t.Errorf("after %d days: %s, %s", row.days, action, reason)
			}
		})
	}
	t.Run("Retention Policy/applied", func(t *testing.T) {
		released, candidate := k.digest(t, productionGateway, "v1.6.0"), k.digest(t, productionGateway, "staging-latest")
		k.at(3650)
		k.must(t, ciBuilder, "retention", "apply", "--env", "dev", "--component", services)
		k.must(t, stagingAutomation, "retention", "apply", "--env", "staging", "--component", services)
		for tag, want := range map[string]string{"dev-latest": candidate, "dev-" + sha: "", "test-integration": ""} {
			if got := k.digest(t, developmentGateway, tag); got != want {
				t.Errorf("%s is %q, want %q", tag, got, want)
			}
		}
		for tag, want := range map[string]string{
			"staging-v1.6.0-rc1": "", "staging-latest": candidate, "v1.6.0": released, "v1": released, "latest": released,
		} {
			if got := k.digest(t, productionGateway, tag); got != want {
				t.Errorf("%s is %q, want %q", tag, got, want)
			}
		}
	})
}

// TestRegistrySelectionDecisionTree asks the questions of the document's tree, one by one.
func TestRegistrySelectionDecisionTree(t *testing.T) {
	t.Parallel()
	k := newKubernaut(t)
	for question, want := range map[string]string{
		"local-development": "development", "integration-testing": "development", "ci": "development",
		"feature-branch": "development", "staging": "production", "production": "production", "release": "production",
		"documentation": "production",
	} {
		t.Run("Is this image for "+question, func(t *testing.T) {
			if got := k.must(t, "", "registry", "which", "--purpose", question); got != want+"\n" {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
	t.Run("Image Naming Convention", func(t *testing.T) {
		text := k.must(t, "", "GIT_BRANCH=feature/x", "plan", "--format", "json")
		for _, name := range []string{"gateway", "datastorage", "must-gather"} {
			if !strings.Contains(text, `"quay.io/jordigilh/`+name+`"`) {
				t.Errorf("%s is not in the plan", name)
			}
		}
	})
}
