package config

import (
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/berth-sh/berth/pipelines/registry"
)

// APIVersion is the only value of apiVersion that this release reads.
const APIVersion = "berth/v1"

// FileName is the configuration's name in the project folder.
const FileName = "berth.yaml"

// VersionFromGit is the value of version.file that takes the version from the newest git tag instead of a file.
const VersionFromGit = "git"

// Config is berth.yaml: the components a repository builds, the registries it uses, the tags its git refs get, and what
// each environment accepts.
type Config struct {
	// Schema of this file; always "berth/v1".
	APIVersion string `yaml:"apiVersion" jsonschema:"required,enum=berth/v1"`
	// Name of the project, used in messages and in the commits and git tags of releases.
	Project string `yaml:"project" jsonschema:"required"`
	// Address of the source repository, for the label org.opencontainers.image.source. Default: the remote "origin". Set
	// it so that clones from forks and mirrors give the same digests.
	Source string `yaml:"source,omitempty" jsonschema:"format=uri"`
	// Where the version comes from and what `berth version bump` rewrites.
	Version Version `yaml:"version,omitempty"`
	// Platforms of every component, as os/architecture[/variant]. Default: linux/amd64 and linux/arm64.
	Platforms []string `yaml:"platforms,omitempty"`
	// The images that this repository builds, by name.
	Components map[string]Component `yaml:"components" jsonschema:"required,minProperties=1"`
	// The registries, by a name of your choice.
	Registries map[string]Registry `yaml:"registries" jsonschema:"required,minProperties=1"`
	// Tag rules; the first that matches the git ref gives the tags. An environment's own tags come before these.
	Tags []TagRule `yaml:"tags,omitempty"`
	// The environments, by name.
	Environments map[string]Environment `yaml:"environments" jsonschema:"required,minProperties=1"`
	// People whose signed approvals count for promotions.
	Approvers []Approver `yaml:"approvers,omitempty"`
	// Keys whose records of promotions are trusted, beside those of the approvers.
	Recorders []Recorder `yaml:"recorders,omitempty"`
	// What images may be built on.
	Policy Policy `yaml:"policy,omitempty"`

	// Where the builds of Dockerfiles keep their caches between machines, for components without a cache of their own: a
	// repository, such as ghcr.io/acme/cache, where each component has a tag; a folder, written with ./ or / at its
	// beginning; gha for the cache of GitHub Actions; or off. It is written in CI only, and a repository or folder not by
	// pull requests. Default: gha in a job that has its token, else off.
	BuildCache string `yaml:"buildCache,omitempty"`

	// The Helm chart that deploys the images.
	Chart *Chart `yaml:"chart,omitempty"`

	// What calls of the Dagger module take of the repository.
	Dagger Dagger `yaml:"dagger,omitempty"`

	source *source
}

// Version says where the version is kept.
type Version struct {
	// File that holds the version: a Chart.yaml, package.json, any YAML or JSON with a top-level version, a plain VERSION
	// file, or `git` for the newest matching git tag. Default: git.
	File string `yaml:"file,omitempty"`
	// Name of a release's git tag; {version} stands for the version. Default: v{version}.
	GitTag string `yaml:"gitTag,omitempty"`
	// Files that `berth version bump` rewrites. Default: the file above.
	Bump []string `yaml:"bump,omitempty"`
}

// Component is one image: built by the Go toolchain or from a Dockerfile.
type Component struct {
	// Build with the Go toolchain, without a Dockerfile.
	Go *Go `yaml:"go,omitempty"`
	// Build from a Dockerfile.
	Dockerfile *Dockerfile `yaml:"dockerfile,omitempty"`
	// Platforms of this component instead of the project's.
	Platforms []string `yaml:"platforms,omitempty"`
	// Base image of a Go component: static (CA roots, nonroot user, /tmp, tzdata), scratch, or a reference pinned by
	// digest. Default: static.
	Base string `yaml:"base,omitempty"`
	// Labels added to the image's configuration.
	Labels map[string]string `yaml:"labels,omitempty"`
	// Repository below the registry's prefix. Default: the component's name.
	Repository string `yaml:"repository,omitempty"`
}

// Go builds one main package.
type Go struct {
	// Folder of the Go module or of a package in it, relative to the project.
	Dir string `yaml:"dir,omitempty"`
	// Main package, relative to dir. Default: the package in dir.
	Package string `yaml:"package,omitempty"`
	// Linker flags instead of the default ones; {version} and {commit} are replaced.
	LDFlags []string `yaml:"ldflags,omitempty"`
	// Build tags.
	Tags []string `yaml:"tags,omitempty"`
	// Environment of the go command, for example GOEXPERIMENT.
	Env map[string]string `yaml:"env,omitempty"`
}

// Dockerfile builds from a Dockerfile.
type Dockerfile struct {
	// Build context, relative to the project and inside the repository. Default: the project.
	Context string `yaml:"context,omitempty"`
	// Dockerfile, relative to the project; it may lie outside the context, but not outside the repository. Default:
	// Dockerfile in the context.
	File string `yaml:"file,omitempty"`
	// Stage to build. Default: the last one.
	Target string `yaml:"target,omitempty"`
	// Build arguments, beside VERSION, GIT_COMMIT, BUILD_DATE and SOURCE_DATE_EPOCH, which berth computes and these
	// replace. They are no place for secrets.
	Args map[string]string `yaml:"args,omitempty"`
	// Secrets for RUN --mount=type=secret.
	Secrets []BuildSecret `yaml:"secrets,omitempty"`
	// SSH agents and keys for RUN --mount=type=ssh.
	SSH []BuildSSH `yaml:"ssh,omitempty"`
	// Where the cache of the build is kept between machines.
	Cache BuildCache `yaml:"cache,omitempty"`
	// What the builder says about the image. It is published beside the image, whose digest does not depend on it.
	Attestations BuildAttestations `yaml:"attestations,omitempty"`
}

// BuildAttestations are statements of a builder, without a signature, which are attached to the image of each platform.
type BuildAttestations struct {
	// How the image was built, as SLSA provenance: min, or max for every step and all build arguments as well. Default:
	// none.
	Provenance string `yaml:"provenance,omitempty" jsonschema:"enum=min,enum=max"`
	// Image of the generator that lists what is in the image (SBOM, SPDX), for example
	// docker/buildkit-syft-scanner:stable-1. Default: none.
	SBOM string `yaml:"sbom,omitempty"`
}

// BuildSecret is a secret of a build, from a file or from the environment.
type BuildSecret struct {
	// Name of the secret in the Dockerfile.
	ID string `yaml:"id" jsonschema:"required"`
	// File that holds the secret, relative to the project or absolute.
	File string `yaml:"file,omitempty"`
	// Environment variable that holds the secret.
	Env string `yaml:"env,omitempty"`
}

// BuildSSH gives steps of a build an SSH agent or keys.
type BuildSSH struct {
	// Name in the Dockerfile. Default: default.
	ID string `yaml:"id,omitempty"`
	// An agent's socket or private keys, relative to the project or absolute. Default: the agent of SSH_AUTH_SOCK.
	Paths []string `yaml:"paths,omitempty"`
}

// BuildCache says where builds import their cache from and export it to, in the words of docker buildx, for example
// type=registry,ref=ghcr.io/acme/cache.
type BuildCache struct {
	// Caches to read.
	From []string `yaml:"from,omitempty"`
	// Caches to write, in CI only: a laptop would overwrite them with work in progress.
	To []string `yaml:"to,omitempty"`
}

// Registry is a place for images: a host and a path.
type Registry struct {
	// Kind of registry. Default: recognised by the host; oci where nothing else fits. A Harbor or GitLab of your own is
	// not recognised.
	Kind string `yaml:"kind,omitempty" jsonschema:"enum=ghcr,enum=ecr,enum=gcr,enum=quay,enum=dockerhub,enum=acr,enum=harbor,enum=gitlab,enum=oci"` //nolint:lll // a tag cannot be broken
	// Host and path before the repository's name, for example ghcr.io/OWNER.
	Prefix string `yaml:"prefix" jsonschema:"required"`
	// Create missing repositories before the first push, where the registry needs that (ECR): scanned on push, with
	// version tags that the registry itself holds as far as it can. It takes an AWS login that may do so.
	CreateRepositories bool `yaml:"createRepositories,omitempty"`
	// Tags of repositories that are created, for the cloud's bills and rules.
	RepositoryTags map[string]string `yaml:"repositoryTags,omitempty"`
	// What the registry is for: development and testing take branch builds, staging and production releases. A push that
	// does not fit is refused. Empty means everything.
	Purpose []string `yaml:"purpose,omitempty" jsonschema:"enum=development,enum=testing,enum=staging,enum=production"`
	// Accounts that may write; empty means any.
	Writers []string `yaml:"writers,omitempty"`
	// Allow plain HTTP to a host that is not loopback.
	Insecure bool `yaml:"insecure,omitempty"`
	// PEM file with the authority of the registry's certificate, where it is one of your own. The path starts from the
	// project. The registry is then reached over HTTPS also on loopback.
	CA string `yaml:"ca,omitempty"`
}

// Host is the registry's host, with its port where it has one.
func (r Registry) Host() string {
	host, _, _ := strings.Cut(r.Prefix, "/")
	return host
}

// RegistryKind is the kind that the file gives the registry, else the one that its host tells.
func (r Registry) RegistryKind() registry.Kind {
	if r.Kind != "" {
		return registry.Kind(r.Kind)
	}
	return registry.KindOf(r.Host())
}

// TagRule gives the tags of one kind of git ref. Exactly one of Tag and Branch is set.
type TagRule struct {
	// Glob over git tags.
	Tag string `yaml:"tag,omitempty"`
	// Glob over branches; ** also matches slashes.
	Branch string `yaml:"branch,omitempty"`
	// Templates of the image tags, for example "v{version}", latest or "{sha}".
	Set []string `yaml:"set" jsonschema:"required,minItems=1"`
}

// Environment is one stage on the way of an image, such as dev or prd.
type Environment struct {
	// Name of the registry, from registries.
	Registry string `yaml:"registry" jsonschema:"required"`
	// Git refs that may publish here. Without refs, any may, and the environment is never chosen by itself.
	Refs *Refs `yaml:"refs,omitempty"`
	// Tag rules of this environment, before the project's.
	Tags []TagRule `yaml:"tags,omitempty"`
	// Globs over image tags that are never moved here, beside the version tags that never move anywhere. They also keep
	// an uncommitted change out of this environment.
	Immutable []string `yaml:"immutable,omitempty"`
	// Accounts that may write here; empty means those of the registry.
	Writers []string `yaml:"writers,omitempty"`
	// How images come here from another environment.
	Promote *Promote `yaml:"promote,omitempty"`
	// How long tags are kept.
	Retention []RetentionRule `yaml:"retention,omitempty"`
}

// Refs lists git refs.
type Refs struct {
	// Globs over branches.
	Branches []string `yaml:"branches,omitempty"`
	// Globs over git tags.
	Tags []string `yaml:"tags,omitempty"`
	// Accept builds of pull requests. Branch globs never match those.
	PullRequests bool `yaml:"pullRequests,omitempty"`
}

// Promote says where an environment's images come from.
type Promote struct {
	// Environment that the images come from.
	From string `yaml:"from" jsonschema:"required"`
	// Roles that must have approved, each by another person. A role that is named twice needs two people.
	Approvals []string `yaml:"approvals,omitempty"`
	// Roles among them that a CI may give, whose environment for this job waits for the approval of a person. Whoever can
	// change the job's definition can give them, so that the CI must protect that as well.
	CI []string `yaml:"ci,omitempty"`
	// Want the records of promotions to be signed by a recorder or an approver: `berth promote` then needs a key, and
	// `berth verify` refuses what has no such record.
	Signed bool `yaml:"signed,omitempty"`
	// Templates of the tags at the target.
	Set []string `yaml:"set" jsonschema:"required,minItems=1"`
}

// RetentionRule keeps tags for a time; the first rule that matches a tag holds.
type RetentionRule struct {
	// Glob over image tags.
	Match string `yaml:"match" jsonschema:"required"`
	// Days ("30d") or forever.
	Keep string `yaml:"keep" jsonschema:"required,pattern=^([0-9]+d|forever)$"`
}

// Approver is a person whose signature counts.
type Approver struct {
	// Name of the person.
	Name string `yaml:"name" jsonschema:"required"`
	// Role in which the person approves.
	Role string `yaml:"role" jsonschema:"required"`
	// File with the public key, relative to the project: ECDSA on P-256, as cosign makes them, or Ed25519. Several keys of
	// one person are several entries.
	Key string `yaml:"key" jsonschema:"required"`
}

// Recorder is a key that signs records of promotions, such as that of a CI.
type Recorder struct {
	// Name of the system or person.
	Name string `yaml:"name" jsonschema:"required"`
	// File with the public key, relative to the project.
	Key string `yaml:"key" jsonschema:"required"`
}

// Policy says what images may be built on. What is built on anything else is refused.
type Policy struct {
	// Images that components may be built on and copy from: globs over repositories, such as quay.io/acme/*, or hosts
	// alone, such as registry.access.redhat.com. Default: any. Stages, scratch and static are always allowed.
	BaseImages []string `yaml:"baseImages,omitempty"`
	// Refuse base images that no digest pins.
	Pinned bool `yaml:"pinned,omitempty"`
}

// Dagger says what calls of the Dagger module take of the repository.
type Dagger struct {
	// Paths that are not uploaded to the engine: what no image is built from. Patterns of .dockerignore, relative to the
	// repository's root. What git tracks there counts as unchanged. The constructor's `exclude` comes on top.
	Exclude []string `yaml:"exclude,omitempty"`
}

// ComponentNames lists the components in the order in which berth treats and prints them.
func (c *Config) ComponentNames() []string { return sortedKeys(c.Components) }

// EnvironmentNames lists the environments, sorted.
func (c *Config) EnvironmentNames() []string { return sortedKeys(c.Environments) }

// PlatformsOf lists the platforms of a component.
func (c *Config) PlatformsOf(component string) []string {
	if own := c.Components[component].Platforms; len(own) > 0 {
		return own
	}
	return c.Platforms
}

// RepositoryOf is the path of a component's repository below the registry's prefix.
func (c *Config) RepositoryOf(component string) string {
	if own := c.Components[component].Repository; own != "" {
		return own
	}
	return component
}

// PrefixOf is the host and path before the names of an environment's repositories.
func (c *Config) PrefixOf(environment string) string {
	return c.Registries[c.Environments[environment].Registry].Prefix
}

// FullRepositoryOf is the full name of a component's repository in an environment, with its host.
func (c *Config) FullRepositoryOf(environment, component string) string {
	return c.PrefixOf(environment) + "/" + c.RepositoryOf(component)
}

// TagRulesOf lists the tag rules that hold in an environment, in the order in which they are tried.
func (c *Config) TagRulesOf(environment string) []TagRule {
	return slices.Concat(c.Environments[environment].Tags, c.Tags)
}

// TemplatesOf lists the templates of all tags that an environment gives its images, by promotion or by any git ref.
func (c *Config) TemplatesOf(environment string) []string {
	if promote := c.Environments[environment].Promote; promote != nil {
		return promote.Set
	}
	var out []string
	for _, rule := range c.TagRulesOf(environment) {
		out = append(out, rule.Set...)
	}
	return out
}

// WritersOf lists the accounts that may write to an environment; empty means any.
func (c *Config) WritersOf(environment string) []string {
	e := c.Environments[environment]
	if len(e.Writers) > 0 {
		return e.Writers
	}
	return c.Registries[e.Registry].Writers
}

// Match reports whether a glob of berth.yaml matches a git ref or an image tag. A single * stops at slashes, ** does
// not.
func Match(glob, name string) bool {
	// Globs are checked when the file is loaded, so that an error cannot happen here.
	ok, err := doublestar.Match(glob, name)
	return err == nil && ok
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
