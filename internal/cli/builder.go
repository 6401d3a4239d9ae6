package cli

import (
	"context"
	"io"
	"sync"

	"dagger.io/dagger"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

const (
	builderGo     = "go"
	builderDagger = "dagger"
)

// builderFlags choose where Go components are built.
func (a *app) builderFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.flags.builder, "builder", builderGo, "where Go components are built: go or dagger")
	cmd.Flags().StringVar(&a.flags.goImage, "go-image", "",
		"image with the Go toolchain for --builder dagger; default: golang of the pinned version")
	_ = cmd.RegisterFlagCompletionFunc("builder",
		cobra.FixedCompletions([]string{builderGo, builderDagger}, cobra.ShellCompDirectiveNoFileComp))
}

// engineToolchain builds in a Dagger engine. It connects when the first component is built, as the repository is known
// only then.
type engineToolchain struct {
	log     io.Writer
	options build.EngineOptions

	mu     sync.Mutex
	client *dagger.Client
	engine *build.Engine
}

// Build implements pipelines.Toolchain.
func (t *engineToolchain) Build(
	ctx context.Context, c build.GoComponent, platforms []ocispec.Platform, o build.Options,
) ([]image.Binary, error) {
	engine, err := t.connect(ctx, o.Root)
	if err != nil {
		return nil, err
	}
	return engine.Build(ctx, c, platforms, o)
}

func (t *engineToolchain) connect(ctx context.Context, root string) (*build.Engine, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.engine != nil {
		return t.engine, nil
	}
	// The session outlives a build that fails: it is closed with the process.
	client, err := dagger.Connect(context.WithoutCancel(ctx), dagger.WithLogOutput(t.log))
	if err != nil {
		return nil, &fault.Error{
			Op: "connect to the Dagger engine", Err: err, Code: fault.Usage,
			Next: "run berth under it (dagger run berth …), start an engine, or use --builder go",
		}
	}
	t.client = client
	source := client.Host().Directory(root, dagger.HostDirectoryOpts{Exclude: []string{".git", "**/.berth", "**/.bin"}})
	t.engine = build.NewEngine(client, source, t.options)
	return t.engine, nil
}

func (t *engineToolchain) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.client != nil {
		_ = t.client.Close()
		t.client, t.engine = nil, nil
	}
}
