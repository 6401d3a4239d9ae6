package build

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

// defaultLDFlags leave out symbols and the build ID, which nothing in a container reads, and name the version.
const defaultLDFlags = "-s -w -buildid= -X main.version={version} -X main.commit={commit}"

// target is one run of the compiler.
type target struct {
	platform ocispec.Platform
	name     string // of the platform
	out      string // the binary
	args     []string
	env      []string
}

func newTarget(t *tool, c GoComponent, m module, p ocispec.Platform, o Options) (target, error) {
	p = image.NormalizePlatform(p)
	name := image.PlatformString(p)
	env, err := settings(c, m, p)
	if err != nil {
		return target{}, err
	}
	if m.temp != "" {
		env["PWD"], env["GOTMPDIR"] = c.Dir, m.temp
	}
	full := slices.Clone(t.env)
	for _, k := range slices.Sorted(maps.Keys(env)) {
		full = append(full, k+"="+env[k])
	}
	out := binaryPath(c, p, o)
	return target{platform: p, name: name, out: out, args: buildArgs(c, o, out), env: full}, nil
}

// settings are the variables that decide what the compiler makes of a component for a platform: the same wherever it
// runs.
func settings(c GoComponent, m module, p ocispec.Platform) (map[string]string, error) {
	arch, ok := archEnv(p)
	if !ok {
		return nil, fault.New(fault.Usage, c.Name+" for "+image.PlatformString(p), "correct the component's platforms",
			"Go knows no variant %q of %s", p.Variant, p.Architecture)
	}
	env := map[string]string{
		"CGO_ENABLED": "0", "GOOS": p.OS, "GOARCH": p.Architecture, "GOWORK": m.work, "GOTOOLCHAIN": m.toolchain,
	}
	maps.Copy(env, arch)
	maps.Copy(env, c.Env)
	return env, nil
}

// binaryPath is where the caller finds the binary of a platform.
func binaryPath(c GoComponent, p ocispec.Platform, o Options) string {
	return filepath.Join(o.Out, c.Name, strings.ReplaceAll(image.PlatformString(p), "/", "_"), c.Name)
}

// buildArgs are the arguments of the go command that build a component into out.
func buildArgs(c GoComponent, o Options, out string) []string {
	flags := defaultLDFlags
	if len(c.LDFlags) > 0 {
		flags = strings.Join(c.LDFlags, " ")
	}
	flags = strings.NewReplacer("{version}", o.Version, "{commit}", o.Commit).Replace(flags)
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", flags}
	if o.NoCache {
		args = append(args, "-a")
	}
	args = append(args, tagArgs(c)...)
	return append(args, "-o", out, "--", mainPackage(c))
}

func tagArgs(c GoComponent) []string {
	if len(c.Tags) == 0 {
		return nil
	}
	return []string{"-tags", strings.Join(c.Tags, ",")}
}

func mainPackage(c GoComponent) string {
	if c.Package == "" {
		return "."
	}
	return c.Package
}

// archEnv is the toolchain's setting for the architecture's variant. It is always set where Go has one, for the default
// may be another one in a distribution's build of Go.
func archEnv(p ocispec.Platform) (map[string]string, bool) {
	one := func(name, value string) (map[string]string, bool) { return map[string]string{name: value}, true }
	switch v := p.Variant; {
	case p.Architecture == "amd64" && v == "":
		return one("GOAMD64", "v1")
	case p.Architecture == "amd64" && slices.Contains([]string{"v2", "v3", "v4"}, v):
		return one("GOAMD64", v)
	case p.Architecture == "arm64" && v == "":
		return one("GOARM64", "v8.0")
	case p.Architecture == "arm64" && (strings.HasPrefix(v, "v8.") || strings.HasPrefix(v, "v9.")):
		return one("GOARM64", v)
	case p.Architecture == "arm" && slices.Contains([]string{"v5", "v6", "v7"}, v):
		return one("GOARM", strings.TrimPrefix(v, "v"))
	case v != "":
		return nil, false
	case p.Architecture == "386":
		return one("GO386", "sse2")
	case p.Architecture == "ppc64le":
		return one("GOPPC64", "power8")
	case p.Architecture == "riscv64":
		return one("GORISCV64", "rva20u64")
	default:
		return nil, true
	}
}
