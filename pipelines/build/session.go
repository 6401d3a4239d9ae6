package build

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"

	"dagger.io/dagger"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

// Session builds in the Dagger engine that the environment names. It connects when the first component is built, as the
// repository is known only then.
type Session struct {
	log     io.Writer
	options EngineOptions

	mu     sync.Mutex
	client *dagger.Client
	engine *Engine
}

// NewSession makes a builder that is not connected yet. log gets the engine's progress.
func NewSession(log io.Writer, o EngineOptions) *Session { return &Session{log: log, options: o} }

// Build builds a component for each platform, as [Engine.Build] does.
func (t *Session) Build(
	ctx context.Context, c GoComponent, platforms []ocispec.Platform, o Options,
) ([]image.Binary, error) {
	engine, err := t.connect(ctx, o.Root)
	if err != nil {
		return nil, err
	}
	return engine.Build(ctx, c, platforms, o)
}

// Ready reports why there is no engine to build in.
func (t *Session) Ready(context.Context) error {
	for _, name := range []string{"DAGGER_SESSION_PORT", "_EXPERIMENTAL_DAGGER_CLI_BIN"} {
		if os.Getenv(name) != "" {
			return nil
		}
	}
	if _, err := exec.LookPath("dagger"); err != nil {
		return errors.New("Dagger: there is no dagger program in PATH") //nolint:staticcheck // a name
	}
	return nil
}

// BuildDockerfile builds a component for each platform, as [Engine.BuildDockerfile] does.
func (t *Session) BuildDockerfile(
	ctx context.Context, c DockerfileComponent, platforms []ocispec.Platform, o Options,
) ([]string, error) {
	engine, err := t.connect(ctx, o.Root)
	if err != nil {
		return nil, err
	}
	return engine.BuildDockerfile(ctx, c, platforms, o)
}

func (t *Session) connect(ctx context.Context, root string) (*Engine, error) {
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
	if agent := os.Getenv("SSH_AUTH_SOCK"); agent != "" && t.options.Agent == nil {
		t.options.Agent = client.Host().UnixSocket(agent)
	}
	source := client.Host().Directory(root, dagger.HostDirectoryOpts{Exclude: []string{".git", "**/.berth", "**/.bin"}})
	t.engine = NewEngine(client, source, t.options)
	// A build context is sent by itself, so that what it ignores never is.
	t.engine.folder = func(path string, exclude []string) *dagger.Directory {
		return client.Host().Directory(path, dagger.HostDirectoryOpts{Exclude: append(exclude, ".git", "**/.berth")})
	}
	return t.engine, nil
}

// Close ends the session.
func (t *Session) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.client != nil {
		_ = t.client.Close()
		t.client, t.engine = nil, nil
	}
}
