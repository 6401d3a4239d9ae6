package build

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"runtime"

	"dagger.io/dagger"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Program builds the Go program in the root of a module for the machine of this process, and writes it to the file out.
// Nothing of the repository takes part, so that the engine remembers the outcome until the program itself changes.
func (e *Engine) Program(ctx context.Context, source *dagger.Directory, name, out string) error {
	mod, err := source.File("go.mod").Contents(ctx)
	if err != nil {
		return engineFault(err)
	}
	said, err := parseGoMod(name+"/go.mod", []byte(mod))
	if err != nil {
		return fault.New(fault.Failed, name, "", "%w", err)
	}
	base := e.toolchain(said.release()).WithMountedDirectory(engineSource, source).WithWorkdir(engineSource)
	built := path.Join(engineOut, name)
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", built, "."}
	ran, err := e.run(base, GoComponent{Name: name}, module{toolchain: said.release(), work: "off"},
		ocispec.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}, args)
	if err != nil {
		return err
	}
	if err := e.failure(ctx, ran, args); err != nil {
		return fault.New(fault.Failed, "build of "+name,
			"modules come from --go-proxy and --netrc, the toolchain from --go-image", "%w", err)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	if _, err := ran.File(built).Export(ctx, out); err != nil {
		return engineFault(err)
	}
	return nil
}
