package ci_test

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// The types below are the part of each CI's configuration reference that the examples use. Decoding is strict: a key
// that is misspelt, at the wrong level or of the wrong type fails. Take a new key from the reference, not from memory.

// https://docs.gitlab.com/ci/yaml/
type gitlab struct {
	Variables map[string]string `yaml:"variables"`
	Workflow  struct {
		Rules []gitlabRule `yaml:"rules"`
	} `yaml:"workflow"`
}

type gitlabRule struct {
	If        string            `yaml:"if"`
	Variables map[string]string `yaml:"variables"`
}

type gitlabJob struct {
	Extends       string            `yaml:"extends"`
	Image         string            `yaml:"image"`
	Services      []string          `yaml:"services"`
	Variables     map[string]string `yaml:"variables"`
	Rules         []gitlabRule      `yaml:"rules"`
	BeforeScript  []string          `yaml:"before_script"`
	Script        []string          `yaml:"script"`
	ResourceGroup string            `yaml:"resource_group"`
	Environment   string            `yaml:"environment"`
}

// https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/
type azure struct {
	Trigger struct {
		Branches azureFilter `yaml:"branches"`
		Tags     azureFilter `yaml:"tags"`
	} `yaml:"trigger"`
	PR struct {
		Branches azureFilter `yaml:"branches"`
	} `yaml:"pr"`
	LockBehavior string `yaml:"lockBehavior"`
	Pool         struct {
		VMImage string `yaml:"vmImage"`
	} `yaml:"pool"`
	Variables map[string]string `yaml:"variables"`
	Jobs      []azureJob        `yaml:"jobs"`
}

type azureFilter struct {
	Include []string `yaml:"include"`
}

type azureJob struct {
	Job         string      `yaml:"job"`
	Deployment  string      `yaml:"deployment"`
	Condition   string      `yaml:"condition"`
	Environment string      `yaml:"environment"`
	Steps       []azureStep `yaml:"steps"`
	Strategy    struct {
		RunOnce struct {
			Deploy struct {
				Steps []azureStep `yaml:"steps"`
			} `yaml:"deploy"`
		} `yaml:"runOnce"`
	} `yaml:"strategy"`
}

type azureStep struct {
	Checkout string            `yaml:"checkout"`
	Script   string            `yaml:"script"`
	Env      map[string]string `yaml:"env"`
}

// https://circleci.com/docs/reference/configuration-reference/
type circle struct {
	Version   string               `yaml:"version"`
	Jobs      map[string]circleJob `yaml:"jobs"`
	Workflows map[string]struct {
		Jobs []map[string]circleUse `yaml:"jobs"`
	} `yaml:"workflows"`
}

type circleJob struct {
	Machine struct {
		Image string `yaml:"image"`
	} `yaml:"machine"`
	Environment map[string]string `yaml:"environment"`
	Steps       []struct {
		Checkout struct {
			Method string `yaml:"method"`
		} `yaml:"checkout"`
		Run struct {
			Name    string `yaml:"name"`
			Command string `yaml:"command"`
		} `yaml:"run"`
	} `yaml:"steps"`
}

type circleUse struct {
	Context     string `yaml:"context"`
	SerialGroup string `yaml:"serial-group"`
	Filters     struct {
		Branches circleFilter `yaml:"branches"`
		Tags     circleFilter `yaml:"tags"`
	} `yaml:"filters"`
}

type circleFilter struct {
	Only any `yaml:"only"`
}

// strictly decodes YAML, and fails on a key that v has not.
func strictly(t *testing.T, content string, v any) {
	t.Helper()
	if err := yaml.UnmarshalWithOptions([]byte(content), v, yaml.DisallowUnknownField()); err != nil {
		t.Fatal(err)
	}
}

// again writes a decoded part as YAML, to decode it strictly on its own.
func again(t *testing.T, v any) string {
	t.Helper()
	out, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestGitLabExample(t *testing.T) {
	t.Parallel()
	var all map[string]any
	strictly(t, read(t, "../../examples/ci/.gitlab-ci.yml"), &all)
	global, jobs := map[string]any{}, map[string]gitlabJob{}
	for key, value := range all {
		switch key {
		case "variables", "workflow":
			global[key] = value
		default:
			var job gitlabJob
			strictly(t, again(t, value), &job)
			jobs[key] = job
		}
	}
	var g gitlab
	strictly(t, again(t, global), &g)
	for _, rule := range g.Workflow.Rules {
		if rule.If == "" || !strings.HasPrefix(rule.Variables["REF"], "refs/") {
			t.Errorf("a rule of the workflow sets no REF: %+v", rule)
		}
	}
	for name, job := range jobs {
		if strings.HasPrefix(name, ".") {
			continue
		}
		base, ok := jobs[job.Extends]
		if !ok || len(base.BeforeScript) == 0 || base.Image == "" {
			t.Errorf("%s extends %q, which prepares no Dagger", name, job.Extends)
		}
		if len(job.Script) == 0 || len(job.Rules) == 0 {
			t.Errorf("%s has no script or no rules", name)
		}
	}
	for _, name := range []string{"publish", "promote"} {
		if jobs[name].ResourceGroup == "" {
			t.Errorf("%s has no resource_group", name)
		}
	}
	if jobs["promote"].Environment == "" {
		t.Error("promote has no environment, whose protection says who may")
	}
}

func TestAzureExample(t *testing.T) {
	t.Parallel()
	var a azure
	strictly(t, read(t, "../../examples/ci/azure-pipelines.yml"), &a)
	if len(a.Jobs) != 2 {
		t.Fatalf("%d jobs, want rehearse and publish", len(a.Jobs))
	}
	for _, job := range a.Jobs {
		steps := append(job.Steps, job.Strategy.RunOnce.Deploy.Steps...)
		if (job.Job == "") == (job.Deployment == "") || (job.Deployment == "") != (job.Environment == "") {
			t.Errorf("%+v is neither a job nor a deployment to an environment", job)
		}
		if len(steps) < 3 || steps[0].Checkout != "self" {
			t.Errorf("%s%s does not check out, install and call", job.Job, job.Deployment)
		}
		if !strings.Contains(job.Condition, "'PullRequest'") {
			t.Errorf("%s%s does not tell pull requests from other builds", job.Job, job.Deployment)
		}
	}
}

func TestCircleCIExample(t *testing.T) {
	t.Parallel()
	var c circle
	strictly(t, read(t, "../../examples/ci/.circleci/config.yml"), &c)
	used := 0
	for _, flow := range c.Workflows {
		for _, entry := range flow.Jobs {
			for name, use := range entry {
				used++
				if _, ok := c.Jobs[name]; !ok {
					t.Errorf("the workflow uses %q, which is no job", name)
				}
				if use.SerialGroup == "" || use.Filters.Tags.Only == nil || use.Filters.Branches.Only == nil {
					t.Errorf("%s: %+v, want a serial group, and filters for branches and tags", name, use)
				}
			}
		}
	}
	if used == 0 || c.Version != "2.1" {
		t.Errorf("version %s uses %d jobs", c.Version, used)
	}
	for name, job := range c.Jobs {
		if job.Machine.Image == "" {
			t.Errorf("%s runs nowhere", name)
		}
	}
}
