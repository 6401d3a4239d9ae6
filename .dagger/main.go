// Berth puts every container image in its right registry: one file, berth.yaml, and one verb.
//
// It builds the components of a repository for every platform, computes version and tags from git, picks the registry
// by environment and publishes: all images first, then the tags. The same commit gives the same digests as the berth
// command line.
package main

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
	berthconfig "github.com/berth-sh/berth/pipelines/config"
)

// Format is how a result is written.
type Format string

const (
	// For people.
	Table Format = "table"
	// For machines: the JSON of the berth command line.
	JSON Format = "json"
)

// Berth is a repository with a berth.yaml, and what berth needs to publish it.
type Berth struct {
	// +private
	Source *dagger.Directory
	// +private
	Settings Settings
	// +private
	Accounts Accounts
}

// Settings are the plain arguments of the constructor.
type Settings struct {
	// Absent is what was not uploaded.
	// +private
	Absent []string
	// Place is the folder of the repository in which the caller stands; "." is its root.
	// +private
	Place string
	// +private
	Project string
	// +private
	Config string
	// +private
	Ref string
	// +private
	Version string
	// +private
	ShaShort string
	// +private
	RegistryType string
	// +private
	Variables []string
	// +private
	Sandbox bool
	// +private
	GoImage string
	// +private
	GoProxy string
	// +private
	GoPrivate string
	// +private
	RegistryService *dagger.Service
	// +private
	RegistryHost string
}

// Accounts are the secrets of the constructor.
type Accounts struct {
	// +private
	DockerConfig *dagger.Secret
	// +private
	Username string
	// +private
	Password *dagger.Secret
	// +private
	GhcrUsername string
	// +private
	GhcrToken *dagger.Secret
	// +private
	EcrPassword *dagger.Secret
	// +private
	AwsAccessKeyID *dagger.Secret
	// +private
	AwsSecretAccessKey *dagger.Secret
	// +private
	AwsSessionToken *dagger.Secret
	// +private
	GcrToken *dagger.Secret
	// +private
	QuayUsername string
	// +private
	QuayToken *dagger.Secret
	// +private
	Netrc *dagger.Secret
	// +private
	BuildSecrets []*dagger.Secret
}

// New takes a repository and the accounts to publish it with. Run it from a clone, and everything has a default.
//
// The repository is the caller's, also when the module is another's (dagger -m): a default path would give the
// module's.
func New(
	ctx context.Context,
	// Where the caller stands. Dagger fills it in.
	workspace *dagger.Workspace,
	// The repository, its .git folder included, as branch, commit and tags come from there; default: the one around the
	// current folder.
	// +optional
	source *dagger.Directory,
	// Paths that are not uploaded, beside dagger.exclude of berth.yaml: patterns of .dockerignore, from the repository's
	// root. No image may be built from what git tracks there.
	// +default=["**/.bin", "**/node_modules"]
	exclude []string,
	// Folder of berth.yaml in the repository; default: the nearest one, from the current folder upwards.
	// +optional
	project string,
	// Configuration file in the repository, instead of berth.yaml in the project.
	// +optional
	config string,
	// Git ref to publish as, instead of the branch that is checked out: refs/heads/BRANCH, refs/tags/TAG,
	// refs/pull/N/merge, or a branch's name. CI jobs pass theirs, as they check out commits.
	// +optional
	ref string,
	// Version, instead of that of the version file.
	// +optional
	version string,
	// Short commit in tags, instead of its first seven digits.
	// +optional
	shaShort string,
	// Leave only the environments on the registry of this name or kind: ghcr, ecr, gcr, quay.
	// +optional
	registryType string,
	// Variables that berth.yaml names as ${NAME}, each as NAME=VALUE: a function does not see the caller's.
	// +optional
	variables []string,
	// Publish into registries that exist for one call, to see what would happen.
	// +optional
	sandbox bool,
	// Docker's configuration with logins, for example file:///home/me/.docker/config.json. Credential helpers do not
	// run in a container.
	// +optional
	dockerConfig *dagger.Secret,
	// User name at the environment's registry, with --password.
	// +optional
	username string,
	// Password or token at the environment's registry, for example env:REGISTRY_TOKEN.
	// +optional
	password *dagger.Secret,
	// User name at ghcr.io, with --ghcr-token.
	// +optional
	ghcrUsername string,
	// Token for ghcr.io: GITHUB_TOKEN with packages: write, or a classic token with write:packages.
	// +optional
	ghcrToken *dagger.Secret,
	// Password for ECR, as aws ecr get-login-password prints it.
	// +optional
	ecrPassword *dagger.Secret,
	// Access key of AWS, for example env:AWS_ACCESS_KEY_ID, instead of --ecr-password: with it berth asks AWS itself for
	// logins, and creates repositories where berth.yaml has createRepositories.
	// +optional
	awsAccessKeyID *dagger.Secret,
	// Secret of the access key, for example env:AWS_SECRET_ACCESS_KEY.
	// +optional
	awsSecretAccessKey *dagger.Secret,
	// Session token of a temporary key, of a role or of SSO, for example env:AWS_SESSION_TOKEN.
	// +optional
	awsSessionToken *dagger.Secret,
	// Access token for gcr.io and Artifact Registry, as gcloud auth print-access-token prints it, or the key file of a
	// service account, for example file:key.json.
	// +optional
	gcrToken *dagger.Secret,
	// User name or robot account at quay.io, with --quay-token.
	// +optional
	quayUsername string,
	// Password or token for quay.io.
	// +optional
	quayToken *dagger.Secret,
	// A service that answers instead of the registries, for tests and for people without one, for example
	// tcp://localhost:5000. Repositories and tags keep their names.
	// +optional
	registryService *dagger.Service,
	// Only this registry host is answered by --registry-service; default: all.
	// +optional
	registryHost string,
	// Image with the Go toolchain, for mirrors and air gaps; default: golang of the version that the component pins.
	// +optional
	goImage string,
	// GOPROXY for builds, for mirrors and air gaps.
	// +optional
	goProxy string,
	// GOPRIVATE for builds.
	// +optional
	goPrivate string,
	// Logins for private Go modules, as a netrc file.
	// +optional
	netrc *dagger.Secret,
	// Secrets that builds from Dockerfiles have as env: NAME in berth.yaml, each as env:NAME.
	// +optional
	buildSecrets []*dagger.Secret,
) (*Berth, error) {
	// Parts of a repository that decide nothing, and can be large.
	exclude = append([]string{"**/.berth", ".git/hooks", ".git/lfs", ".git/logs", ".git/modules"}, exclude...)
	place := "."
	if source == nil {
		var err error
		if source, place, project, exclude, err = around(ctx, workspace, exclude, project, config); err != nil {
			return nil, err
		}
	} else {
		source = source.Filter(dagger.DirectoryFilterOpts{Exclude: exclude})
	}
	return &Berth{
		Source: source,
		Settings: Settings{
			Absent: exclude, Place: place, Project: project, Config: config, Ref: ref, Version: version, ShaShort: shaShort,
			RegistryType: registryType, Variables: variables, Sandbox: sandbox, GoImage: goImage, GoProxy: goProxy,
			GoPrivate: goPrivate, RegistryService: registryService, RegistryHost: registryHost,
		},
		Accounts: Accounts{
			DockerConfig: dockerConfig, Username: username, Password: password,
			GhcrUsername: ghcrUsername, GhcrToken: ghcrToken, EcrPassword: ecrPassword,
			AwsAccessKeyID: awsAccessKeyID, AwsSecretAccessKey: awsSecretAccessKey, AwsSessionToken: awsSessionToken,
			GcrToken: gcrToken, QuayUsername: quayUsername, QuayToken: quayToken, Netrc: netrc, BuildSecrets: buildSecrets,
		},
	}, nil
}

// around is the repository in which the caller stands: its content, the place in it, the folder of the nearest
// berth.yaml unless project or config name one, and all that is not uploaded of it.
func around(
	ctx context.Context, workspace *dagger.Workspace, exclude []string, project, config string,
) (source *dagger.Directory, place, folder string, absent []string, err error) {
	if place, err = workspace.Path(ctx); err != nil {
		return nil, "", "", nil, fmt.Errorf("look for the repository: %w", err)
	}
	file := config
	switch {
	case config != "":
	case project != "":
		file = path.Join(project, berthconfig.FileName)
	default:
		if file, err = workspace.FindUp(ctx, berthconfig.FileName); err != nil {
			return nil, "", "", nil, fmt.Errorf("look for %s: %w", berthconfig.FileName, err)
		}
		project = path.Dir(strings.TrimPrefix(file, "/"))
	}
	// Where it cannot be read, everything is uploaded, and opening the repository says what is wrong.
	if text, err := workspace.File(path.Join("/", file)).Contents(ctx); err == nil {
		exclude = append(exclude, berthconfig.Excluded([]byte(text))...)
	}
	return workspace.Directory("/", dagger.WorkspaceDirectoryOpts{Exclude: exclude}), place, project, exclude, nil
}
