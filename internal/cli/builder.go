package cli

import (
	"context"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/build/buildkit"
	"github.com/berth-sh/berth/pipelines/cloud"
	"github.com/berth-sh/berth/pipelines/registry"
)

const (
	builderAuto     = "auto"
	builderGo       = "go"
	builderDocker   = "docker"
	builderBuildKit = "buildkit"
	builderDagger   = "dagger"
)

func builders() []string {
	return []string{builderAuto, builderGo, builderDocker, builderBuildKit, builderDagger}
}

// builderFlags choose where components are built.
func (a *app) builderFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.flags.builder, "builder", builderAuto,
		"what builds: dagger builds everything in its engine; all others build Go components with the go command,\n"+
			"and Dockerfiles with docker (buildx), buildkit, or, with auto or go, the first of these and dagger that answers")
	cmd.Flags().StringVar(&a.flags.goImage, "go-image", "",
		"image with the Go toolchain for --builder dagger; default: golang of the pinned version")
	_ = cmd.RegisterFlagCompletionFunc("builder",
		cobra.FixedCompletions(builders(), cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) knownBuilder() bool {
	return a.flags.builder == "" || slices.Contains(builders(), a.flags.builder)
}

// build chooses what builds.
func (a *app) build(o *pipelines.Options) {
	docker, kit := build.NewBuildx(a.process.Environ), buildkit.New(a.lookup, a.pullAccount)
	engine := build.NewSession(io.Discard, build.EngineOptions{
		Image: a.flags.goImage, Fetch: build.FetchSettings(a.lookup), Secret: a.buildSecret, Login: a.pullAccount,
	})
	a.closers = append(a.closers, engine.Close)
	switch a.flags.builder {
	case builderDagger:
		o.Toolchain, o.Dockerfiles = engine, []pipelines.DockerfileBuilder{engine}
	case builderDocker:
		o.Dockerfiles = []pipelines.DockerfileBuilder{docker}
	case builderBuildKit:
		o.Dockerfiles = []pipelines.DockerfileBuilder{kit}
	default:
		o.Dockerfiles = []pipelines.DockerfileBuilder{docker, kit, engine}
	}
}

// buildSecret reads the secret of a build from the environment.
func (a *app) buildSecret(_ context.Context, variable string) (plaintext string, ok bool, err error) {
	plaintext, ok = a.lookup(variable)
	return plaintext, ok, nil
}

// pullAccount gives BuildKit the account at the registry of a base image.
func (a *app) pullAccount(ctx context.Context, host string) (registry.Credential, error) {
	return registry.NewCredentials(a.sources(nil, cloud.NewECR(cloud.Options{}))...).For(ctx, host)
}
