package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
)

// bad is a file that cannot be used.
type bad struct {
	text string
	want string // the whole message
	next string // in the next step
}

func testBad(t *testing.T, cases map[string]bad) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Parse("berth.yaml", []byte(c.text), env("UPPER", "ghcr.io/Acme", "LOOSE", "alpine:3"))
			f, ok := errors.AsType[*fault.Error](err)
			if !ok {
				t.Fatalf("no fault: %v", err)
			}
			if got != nil || f.Code != fault.Usage || f.Error() != c.want {
				t.Errorf("code %d\ngot  %v\nwant %s", f.Code, err, c.want)
			}
			if c.next == "" || !strings.Contains(f.Next, c.next) {
				t.Errorf("next %q, want %q", f.Next, c.next)
			}
		})
	}
}

func TestFilesThatAreNotYAML(t *testing.T) {
	t.Parallel()
	testBad(t, map[string]bad{
		"empty":              {"", "berth.yaml: the file is empty", "berth init"},
		"comments only":      {"# nothing\n", "berth.yaml: the file is empty", "berth init"},
		"byte order mark":    {"\ufeff", "berth.yaml: the file is empty", "berth init"},
		"two documents":      {valid + "---\nproject: b\n", "berth.yaml:10:1: the file holds more than one YAML document", "keep one"},
		"not closed":         {valid + "platforms: [a\n", "berth.yaml:9:12: sequence end token ']' not found", "correct the YAML"},
		"a tab":              {"apiVersion: berth/v1\n\tproject: web\n", "berth.yaml:2:1: found character '\t' that cannot start any token", "correct the YAML"},
		"a key twice":        {valid + "project: b\n", `berth.yaml:9:1: mapping key "project" already defined at [2:1]`, "correct the YAML"},
		"a deep key twice":   {with("prefix: ghcr.io/acme", "prefix: a.io, prefix: b.io"), `berth.yaml:6:24: mapping key "prefix" already defined at [6:10]`, "correct the YAML"},
		"indented":           {valid + "  platforms: []\n", "berth.yaml:9:3: value is not allowed in this context", "correct the YAML"},
		"an alias of naught": {valid + "source: *nope\n", `berth.yaml:9:10: could not find alias "nope"`, "correct the YAML"},
		"a number as key":    {valid + "1: 2\n", `berth.yaml:9:1: the key "1" is not text`, "quote it"},
		"a truth as key":     {with("dir: cmd/web", "env: {true: x}"), `berth.yaml:4:20: the key "true" is not text`, "quote it"},
		"a tag on a map":     {valid + "platforms: !!set {a, b}\n", "berth.yaml:9:12: the YAML tag !!set has no use here", "remove it"},
		"a tag of one's own": {with("project: web", "project: !name web"), "berth.yaml:2:10: the YAML tag !name has no use here", "remove it"},
		"nothing as key":     {with("main: {prefix", "null: {prefix"), `berth.yaml:6:3: the key "null" is not text`, "quote it"},
	})
}

func TestValuesOfTheWrongSort(t *testing.T) {
	t.Parallel()
	const next = "berth config schema"
	testBad(t, map[string]bad{
		"a list":            {"- a\n", "berth.yaml:1:1: sequence was used where mapping is expected", next},
		"a word":            {"web\n", "berth.yaml:1:1: string was used where mapping is expected", next},
		"null":              {"null\n", "berth.yaml:1:1: null was used where mapping is expected", next},
		"a word for a list": {valid + "platforms: linux/amd64\n", "berth.yaml:9:12: string was used where sequence is expected", next},
		"a map for a list":  {valid + "platforms: {a: b}\n", "berth.yaml:9:12: mapping was used where sequence is expected", next},
		"a list for a word": {valid + "source: [a]\n", "berth.yaml:9:9: sequence was used where string is expected", next},
		"a list in a list":  {valid + "platforms: [[a]]\n", "berth.yaml:9:13: sequence was used where string is expected", next},
		"a word for a map":  {with("{dir: cmd/web}", "cmd/web"), "berth.yaml:4:13: string was used where mapping is expected", next},
		"a word for a bool": {with("acme}", "acme, insecure: maybe}"), "berth.yaml:6:42: string was used where bool is expected", next},
		"a circle":          {valid + "platforms: &p [*p]\n", "berth.yaml:9:15: sequence was used where string is expected", next},
		"a list to merge": {
			with("main: {", "one: &one {prefix: a.io}\n  main: {<<: [*one], "),
			"berth.yaml:7:14: sequence was used where mapping is expected", next,
		},
	})
}

func TestUnknownKeys(t *testing.T) {
	t.Parallel()
	testBad(t, map[string]bad{
		"at the top":   {valid + "plattforms: []\n", `berth.yaml:9:1: unknown key "plattforms"`, `did you mean "platforms"?`},
		"in a section": {valid + "version:\n  fil: a\n", `berth.yaml:10:3: unknown key "fil"`, `did you mean "file"?`},
		"in a map":     {with("registry: main", "registri: main"), `berth.yaml:8:22: unknown key "registri"`, `did you mean "registry"?`},
		"the other way round": {
			with("registry: main", `registry: main, refs: {branch: ["**"]}`), `berth.yaml:8:45: unknown key "branch"`, `did you mean "branches"?`,
		},
		"in a list":    {with("branch:", "branches:"), `berth.yaml:7:9: unknown key "branches"`, `did you mean "branch"?`},
		"other case":   {valid + "Platforms: []\n", `berth.yaml:9:1: unknown key "Platforms"`, `did you mean "platforms"?`},
		"far from all": {valid + "kubernetes: {}\n", `berth.yaml:9:1: unknown key "kubernetes"`, "remove it"},
		"a short one":  {valid + "x: {}\n", `berth.yaml:9:1: unknown key "x"`, "remove it"},
	})
}

func TestTheWholeAndTheVersion(t *testing.T) {
	t.Parallel()
	testBad(t, map[string]bad{
		"no apiVersion":        {with("apiVersion: berth/v1", "source: https://x"), `berth.yaml: apiVersion "" is not known`, "apiVersion: berth/v1"},
		"a cache without host": {with("project: ", "buildCache: cache/build\nproject: "), `berth.yaml:2:13: "cache/build" is no place for caches: a repository starts with its host, and a folder with ./`, "./.cache"},
		"a cache with a tag":   {with("project: ", "buildCache: ghcr.io/acme/cache:web\nproject: "), `berth.yaml:2:13: "ghcr.io/acme/cache:web" is no place for caches: each component has a tag of its own there`, "ghcr.io/acme/cache"},
		"another apiVersion":   {with("berth/v1", "berth/v2"), `berth.yaml:1:13: apiVersion "berth/v2" is not known`, "apiVersion: berth/v1"},
		"no project":           {with("project: web", "project:"), "berth.yaml:2:9: the project has no name", "project: NAME"},
		"no components":        {with("  web: {go: {dir: cmd/web}}\n", ""), "berth.yaml:3:12: there are no components", "berth init"},
		"no registries":        {with("  main: {prefix: ghcr.io/acme}\n", ""), "berth.yaml:5:12: there are no registries", "at least one"},
		"no environments":      {with("{dev: {registry: main}}", "{}"), "berth.yaml:8:1: there are no environments", "at least one"},
		"gitTag without":       {valid + "version: {gitTag: v1}\n", `berth.yaml:9:19: "v1" must hold {version} once`, "v{version}"},
		"gitTag with two":      {valid + "version: {gitTag: '{version}{version}'}\n", `berth.yaml:9:19: "{version}{version}" must hold {version} once`, "v{version}"},
		"version outside":      {valid + "version: {file: ../VERSION}\n", `berth.yaml:9:17: "../VERSION" is outside the project`, "of the project"},
		"bump outside":         {valid + "version: {bump: [VERSION, /etc/passwd]}\n", `berth.yaml:9:27: "/etc/passwd" is outside the project`, "of the project"},
		"hidden outside":       {valid + "version: {bump: [a/../../b]}\n", `berth.yaml:9:18: "a/../../b" is outside the project`, "of the project"},
		"a bad platform":       {valid + "platforms: [linux/amd64, arm64]\n", `berth.yaml:9:26: platform "arm64" is not os/architecture[/variant]`, "linux/amd64"},
		"a platform twice":     {valid + "platforms: [linux/amd64, linux/amd64]\n", "berth.yaml:9:26: platform linux/amd64 is listed twice (linux/amd64)", "remove one"},
		"a variant's default":  {valid + "platforms: [linux/arm64, linux/arm64/v8]\n", "berth.yaml:9:26: platform linux/arm64/v8 is listed twice (linux/arm64)", "remove one"},
		"arm is arm/v7":        {valid + "platforms: [linux/arm, linux/arm/v7]\n", "berth.yaml:9:24: platform linux/arm/v7 is listed twice (linux/arm)", "remove one"},
		"unset for all":        {valid + "source: https://${FORGE}/web\n", "berth.yaml:9:9: the environment variable FORGE is not set", "export FORGE="},
		"unset in a tag":       {with("v{version}", "${SUFFIX}"), "berth.yaml:7:29: the environment variable SUFFIX is not set", "export SUFFIX="},
	})
}

func TestComponents(t *testing.T) {
	t.Parallel()
	web := func(by string) string { return with("{go: {dir: cmd/web}}", by) }
	testBad(t, map[string]bad{
		"neither":           {web("{}"), "berth.yaml:4:3: the component says neither go nor dockerfile", "add go:"},
		"both":              {web("{go: {}, dockerfile: {}}"), "berth.yaml:4:3: the component says both go and dockerfile", "keep one"},
		"an upper-case one": {with("web: {go", "Web: {go"), `berth.yaml:4:3: "Web" is not a component's name`, "lower-case"},
		"a path":            {with("web: {go", "a/b: {go"), `berth.yaml:4:3: "a/b" is not a component's name`, "lower-case"},
		"outside":           {web("{go: {dir: ../web}}"), `berth.yaml:4:19: "../web" is outside the project`, "folder of the project"},
		"absolute file":     {web("{dockerfile: {file: /Dockerfile}}"), `berth.yaml:4:28: "/Dockerfile" is an absolute path`, "relative to berth.yaml"},
		"bad argument":      {web("{dockerfile: {args: {A-B: c}}}"), `berth.yaml:4:34: "A-B" is not a build argument's name`, "letters, digits and _"},
		"secret twice":      {web("{dockerfile: {secrets: [{id: a, env: A}, {id: a, env: B}]}}"), "berth.yaml:4:54: secret a is listed twice", "remove one"},
		"secret of nothing": {web("{dockerfile: {secrets: [{id: a}]}}"), "berth.yaml:4:32: a secret needs exactly one of file and env", "keep file"},
		"secret of both":    {web("{dockerfile: {secrets: [{id: a, env: A, file: b}]}}"), "berth.yaml:4:32: a secret needs exactly one of file and env", "keep file"},
		"provenance":        {web("{dockerfile: {attestations: {provenance: full}}}"), `berth.yaml:4:49: "full" is no detail of provenance`, "min or max"},
		"any generator":     {web("{dockerfile: {attestations: {sbom: true}}}"), `berth.yaml:4:43: "true" is no image: berth has no generator of its own`, "buildkit-syft"},
		"generator":         {web("{dockerfile: {attestations: {sbom: Not/An Image}}}"), `berth.yaml:4:43: "Not/An Image" is no image: invalid reference format: repository name (An Image) must be lowercase`, "buildkit-syft"},
		"cache":             {web("{dockerfile: {cache: {to: [ghcr.io/acme/cache]}}}"), `berth.yaml:4:35: "ghcr.io/acme/cache" is not a cache: "ghcr.io/acme/cache" is not NAME=VALUE`, "type=registry"},
		"a base not pinned": {web("{go: {}, base: 'alpine:3.22'}"), `berth.yaml:4:23: "alpine:3.22" is not pinned by a digest`, "sha256:"},
		"a digest too long": {
			web("{go: {}, base: a.io/b@sha256:" + strings.Repeat("0", 65) + "}"),
			`berth.yaml:4:23: "a.io/b@sha256:` + strings.Repeat("0", 65) + `" is not pinned by a digest`, "sha256:",
		},
		"a base by variable": {web("{go: {}, base: '${LOOSE}'}"), `berth.yaml:4:23: "alpine:3" is not pinned by a digest`, "sha256:"},
		"a Dockerfile base":  {web("{dockerfile: {}, base: scratch}"), "berth.yaml:4:31: base is for go components", "Dockerfile"},
		"a bad platform":     {web("{go: {}, platforms: [windows]}"), `berth.yaml:4:29: platform "windows" is not os/architecture[/variant]`, "linux/amd64"},
		"a bad repository":   {web("{go: {}, repository: Team/web}"), `berth.yaml:4:29: "Team/web" is not a repository's name`, "lower-case"},
		"one repository": {
			with("components:\n", "components:\n  api: {go: {}, repository: web}\n"),
			`berth.yaml:5:3: components api and web have the same repository "web"`, "another repository",
		},
	})
}

func TestRegistriesAndEnvironments(t *testing.T) {
	t.Parallel()
	main := func(by string) string { return with("{prefix: ghcr.io/acme}", by) }
	dev := func(by string) string { return with("{registry: main}", by) }
	testBad(t, map[string]bad{
		"an unknown kind":     {main("{kind: nexus, prefix: a.io}"), `berth.yaml:6:16: there is no kind of registry "nexus"`, "ghcr, ecr, gcr, quay, dockerhub, acr, harbor, gitlab, oci"},
		"a scheme":            {main("{prefix: https://ghcr.io/acme}"), `berth.yaml:6:18: "https://ghcr.io/acme" must not name a scheme`, "write ghcr.io/acme"},
		"upper-case":          {main("{prefix: ghcr.io/Acme}"), `berth.yaml:6:18: repository names are lower-case: "ghcr.io/Acme"`, "write ghcr.io/acme"},
		"upper-case variable": {main("{prefix: '${UPPER}'}"), `berth.yaml:6:18: repository names are lower-case: "ghcr.io/Acme"`, "write ghcr.io/acme"},
		"no host":             {main("{prefix: acme/web}"), `berth.yaml:6:18: "acme/web" does not start with a registry's host`, "ghcr.io/acme"},
		"no prefix":           {main("{kind: oci}"), `berth.yaml:6:3: "" does not start with a registry's host`, "ghcr.io/acme"},
		"a slash at the end":  {main("{prefix: ghcr.io/acme/}"), `berth.yaml:6:18: "ghcr.io/acme/" is not a registry's prefix`, "ghcr.io/acme"},
		"a tag":               {main("{prefix: 'ghcr.io/acme:v1'}"), `berth.yaml:6:18: "ghcr.io/acme:v1" is not a registry's prefix`, "ghcr.io/acme"},
		"a bad variable":      {main("{prefix: 'ghcr.io/${A-B}'}"), `berth.yaml:6:18: "${A-B}" is not a variable`, "${NAME}"},
		"an open variable":    {main("{prefix: 'ghcr.io/${A'}"), `berth.yaml:6:18: "${A" is not a variable`, "$${"},
		"an empty variable":   {main("{prefix: 'ghcr.io/${}'}"), `berth.yaml:6:18: "${}" is not a variable`, "${NAME}"},
		"no registry":         {dev("{}"), `berth.yaml:8:16: there is no registry ""`, "known: main"},
		"another registry":    {dev("{registry: far}"), `berth.yaml:8:32: there is no registry "far"`, "known: main"},
		"a bad branch glob":   {dev("{registry: main, refs: {branches: [main, 'a[']}}"), `berth.yaml:8:62: "a[" is not a glob`, "release/*"},
		"a bad tag glob":      {dev("{registry: main, refs: {tags: ['{a']}}"), `berth.yaml:8:52: "{a" is not a glob`, "release/*"},
		"an empty glob":       {dev("{registry: main, refs: {tags: ['']}}"), `berth.yaml:8:52: "" is not a glob`, "release/*"},
		"a bad immutable":     {dev("{registry: main, immutable: ['[']}"), `berth.yaml:8:50: "[" is not a glob`, "release/*"},
		"a bad retention":     {dev("{registry: main, retention: [{match: '*', keep: 30}]}"), `berth.yaml:8:69: "30" is not a time to keep`, "30d"},
		"retention of what":   {dev("{registry: main, retention: [{keep: 30d}]}"), `berth.yaml:8:50: "" is not a glob`, "release/*"},
		"no tag rule":         {with(`tags: [{branch: "**", set: ["v{version}"]}]`, "# none"), "berth.yaml:8:16: no tag rule holds in environment dev", "add tags:"},
		"a rule of neither":   {with(`branch: "**", `, ""), "berth.yaml:7:8: a tag rule needs exactly one of tag and branch", "keep tag"},
		"a rule of both":      {with(`branch:`, "tag: v1, branch:"), "berth.yaml:7:8: a tag rule needs exactly one of tag and branch", "keep tag"},
		"a rule's glob":       {with(`"**"`, `"["`), `berth.yaml:7:8: "[" is not a glob`, "release/*"},
		"a rule of nothing":   {with(`"v{version}"`, ""), "berth.yaml:7:8: the tag rule sets no tag", "add set"},
		"an own rule": {
			dev("{registry: main, tags: [{branch: main, set: []}]}"), "berth.yaml:8:45: the tag rule sets no tag", "add set",
		},
	})
}

func TestPromotions(t *testing.T) {
	t.Parallel()
	road := func(lines ...string) string {
		return with("environments: {dev: {registry: main}}", "environments:\n  "+strings.Join(lines, "\n  "))
	}
	testBad(t, map[string]bad{
		"from nowhere": {
			road("prd: {registry: main, promote: {from: dev, set: [a]}}"),
			`berth.yaml:9:41: there is no environment "dev"`, "known: prd",
		},
		"from itself": {
			road("prd: {registry: main, promote: {from: prd, set: [a]}}"),
			"berth.yaml:9:41: promotions go in a circle: prd → prd", "let one of them be published to",
		},
		"in a circle": {
			road("a: {registry: main, promote: {from: c, set: [a]}}", "b: {registry: main, promote: {from: a, set: [a]}}",
				"c: {registry: main, promote: {from: b, set: [a]}}"),
			"berth.yaml:10:39: promotions go in a circle: a → b → c → a", "let one of them be published to",
		},
		"into a circle": {
			road("a: {registry: main, promote: {from: b, set: [a]}}", "b: {registry: main, promote: {from: c, set: [a]}}",
				"c: {registry: main, promote: {from: b, set: [a]}}"),
			"berth.yaml:11:39: promotions go in a circle: b → c → b", "let one of them be published to",
		},
	})
}

// The library's own words would quote the file, and with it what a variable held.
func TestMessagesDoNotQuoteTheFile(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("berth.yaml", []byte(valid+"approvers: [{name: '${TOKEN}', colour: red}]\n"), env("TOKEN", "hunter2"))
	if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}
