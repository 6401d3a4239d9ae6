package pipelines_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
)

const basesYAML = `{dockerfile: {context: src, target: app, args: {OS: 'HOST/os:1@NONE'}}}
  tool: {go: {dir: src}, base: "HOST/os:1@NONE"} # the base`

var none = "sha256:" + strings.Repeat("0", 64)

// baseProject is a project of two components on base images of its own registry.
func baseProject(t *testing.T, policy string) *project {
	t.Helper()
	p := newProject(t)
	p.serve()
	p.replace("components: {web: {go: {dir: src}}}", "components:\n  web: "+strings.ReplaceAll(basesYAML, "NONE", none))
	p.replace("\ntags:", "\n"+policy+"tags:")
	p.write("src/Dockerfile", strings.ReplaceAll(`ARG OS=HOST/os:2
ARG TOOLS=HOST/tools:3@NONE
FROM ${TOOLS} AS build
RUN --mount=type=bind,from=HOST/os:1,target=/os true
FROM HOST/unused AS debug
FROM ${OS} AS app
COPY --from=build /x /x
`, "NONE", none))
	p.commit("feat: base images")
	return p
}

// base puts an image under a tag of the registry and returns its digest.
func (p *project) base(name, tag string) string {
	p.t.Helper()
	x := p.assemble(name, "abc", tag)
	r := p.repository(name)
	if _, err := r.Push(p.t.Context(), x, x.Descriptor, registry.PushOptions{}); err != nil {
		p.t.Fatal(err)
	}
	body, desc, err := r.Manifest(p.t.Context(), x.Descriptor.Digest.String())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := r.Tag(p.t.Context(), body, desc, tag); err != nil {
		p.t.Fatal(err)
	}
	return desc.Digest.String()
}

func TestBasesAreListedWithTheirPlace(t *testing.T) {
	t.Parallel()
	p := baseProject(t, "")
	bases, err := p.open().Bases(nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range bases {
		got = append(got, fmt.Sprintf("%s %s:%d %s %s", b.Component, b.File, b.Line, b.Instruction,
			strings.ReplaceAll(strings.ReplaceAll(b.Image, p.host, "HOST"), none, "NONE")))
	}
	want := []string{
		"tool berth.yaml:7 base HOST/os:1@NONE", "web src/Dockerfile:3 FROM HOST/tools:3@NONE",
		"web src/Dockerfile:4 RUN --mount HOST/os:1", "web src/Dockerfile:6 FROM HOST/os:1@NONE",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, err = p.open().Bases([]string{"nope"})
	failed(t, err, fault.Usage, `no component "nope"`, "known components: tool, web")
}

// Every verb that would lead to an image refuses it, and names place and rule.
func TestThePolicyIsHeldBeforeAnythingIsBuilt(t *testing.T) {
	t.Parallel()
	p := baseProject(t, "policy: {baseImages: ['HOST/tools'], pinned: true}\n")
	verbs := map[string]func(*pipelines.Pipeline) error{
		"check": func(o *pipelines.Pipeline) error { _, err := o.Check(); return err },
		"build": func(o *pipelines.Pipeline) error {
			_, _, err := o.Build(t.Context(), pipelines.BuildRequest{})
			return err
		},
		"publish": func(o *pipelines.Pipeline) error {
			_, err := o.Publish(t.Context(), pipelines.PublishRequest{Request: plan.Request{Environment: "dev"}})
			return err
		},
		"plan": func(o *pipelines.Pipeline) error {
			pl, err := o.Plan(t.Context(), plan.Request{Environment: "dev"})
			if err != nil || len(pl.Images) != 2 {
				t.Errorf("a plan with refusals is shown: %v", err)
			}
			return pl.Err()
		},
	}
	for name, run := range verbs {
		err := run(p.open())
		failed(t, err, fault.Refused, "src/Dockerfile:4: RUN --mount "+p.host+"/os:1 has no digest: policy.pinned (berth.yaml:9:", "--pin --write")
		failed(t, err, fault.Refused, "src/Dockerfile:6: FROM "+p.host+"/os:1@"+none+" is not allowed", "policy.baseImages")
		failed(t, err, fault.Refused, "berth.yaml:7: base "+p.host+"/os:1@"+none+" is not allowed", "policy.baseImages")
		if strings.Contains(err.Error(), "unused") || strings.Contains(err.Error(), "Dockerfile:3") {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.replace("/tools'], pinned: true", "/*']")
	if _, err := p.open().Check(); err != nil {
		t.Error(err)
	}
	// Only what is built counts.
	p.replace("/*']", "/tools']")
	pl, err := p.open().Plan(t.Context(), plan.Request{Environment: "dev", Components: []string{"tool"}})
	if err != nil || len(pl.Refusals) != 1 {
		t.Errorf("%v %v", pl.Refusals, err)
	}
}

func TestABrokenDockerfileIsFoundByTheCheck(t *testing.T) {
	t.Parallel()
	p := baseProject(t, "")
	p.write("src/Dockerfile", "FROM scratch AS app\nRAN x\n")
	_, err := p.open().Check()
	failed(t, err, fault.Usage, "src/Dockerfile:2: unknown instruction: RAN", "correct the Dockerfile")
	p.replace(", target: app", ", target: nope")
	p.write("src/Dockerfile", "ARG VERSION\nFROM HOST/base:${VERSION} AS app\n")
	_, err = p.open().Check()
	failed(t, err, fault.Usage, `there is no stage "nope"`, "known stages: app")
}

func TestRebaseWritesDigestsAndNothingElse(t *testing.T) {
	t.Parallel()
	p := baseProject(t, "")
	tools, system := p.base("tools", "3"), p.base("os", "1")
	before := map[string]string{"berth.yaml": p.read("berth.yaml"), "src/Dockerfile": p.read("src/Dockerfile")}
	proposed, err := p.open().Rebases(t.Context(), nil, false, false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range proposed {
		got = append(got, fmt.Sprintf("%s:%d %s %s", r.File, r.Line, r.Action, r.To))
	}
	want := []string{
		"berth.yaml:7 update " + system, "src/Dockerfile:3 update " + tools, "src/Dockerfile:4 skip ", "src/Dockerfile:6 update " + system,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, content := range before {
		if p.read(name) != content {
			t.Errorf("%s was changed without write", name)
		}
	}
	if _, err := p.open().Rebases(t.Context(), nil, true, true); err != nil {
		t.Fatal(err)
	}
	want1 := strings.ReplaceAll(before["berth.yaml"], none, system)
	want2 := strings.ReplaceAll(before["src/Dockerfile"], none, tools)
	want2 = strings.Replace(want2, "from="+p.host+"/os:1,", "from="+p.host+"/os:1@"+system+",", 1)
	if diff := cmp.Diff([]string{want1, want2}, []string{p.read("berth.yaml"), p.read("src/Dockerfile")}); diff != "" {
		t.Error(diff)
	}
	again, err := p.open().Rebases(t.Context(), []string{"web"}, true, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range again {
		if r.Action != pipelines.BaseCurrent || r.Written || r.Component != "web" {
			t.Errorf("%+v", r)
		}
	}
}

// A registry that does not answer for one image leaves all files as they are.
func TestRebaseIsAllOrNothing(t *testing.T) {
	t.Parallel()
	p := baseProject(t, "")
	p.base("os", "1")
	before := p.read("berth.yaml") + p.read("src/Dockerfile")
	_, err := p.open().Rebases(t.Context(), nil, false, true)
	failed(t, err, fault.Failed, "src/Dockerfile:3: look up "+p.host+"/tools:3", "correct the reference")
	if p.read("berth.yaml")+p.read("src/Dockerfile") != before {
		t.Error("a file was changed")
	}
}

func TestRebaseSaysWhatItCannotDo(t *testing.T) {
	t.Parallel()
	p := baseProject(t, "")
	p.base("os", "1")
	p.write("src/Dockerfile", "ARG V=1\nFROM HOST/os:${V} AS build\nFROM HOST/os@"+none+" AS app\nCOPY --from=build /x /x\n")
	proposed, err := p.open().Rebases(t.Context(), []string{"web"}, true, true)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"put together from variables: write the digest by hand", "no tag beside the digest"} {
		if r := proposed[i]; r.Action != pipelines.BaseSkip || r.Written || !strings.Contains(r.Reason, want) {
			t.Errorf("%+v", r)
		}
	}
}

// kubernaut's own rule holds for all its Dockerfiles: ADR-028 there names these three.
func TestKubernautIsBuiltOnWhatItsRuleAllows(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "examples", "kubernaut", "berth.docker.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rule := "policy: {baseImages: [registry.access.redhat.com, registry.redhat.io, quay.io/jordigilh/*]}\n"
	file := filepath.Join(t.TempDir(), config.FileName)
	if err := os.WriteFile(file, append(data, rule...), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := pipelines.Open(pipelines.Options{
		Project: filepath.Join(root, "examples", "kubernaut"), Config: file, Dir: root,
		Lookup: func(string) (string, bool) { return "", false },
	})
	if err != nil {
		t.Fatal(err)
	}
	bases, err := p.Bases(nil)
	if err != nil || len(bases) < 14 {
		t.Fatalf("%d bases: %v", len(bases), err)
	}
	if _, err := p.Check(); err != nil {
		t.Error(err)
	}
}
