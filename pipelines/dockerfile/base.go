package dockerfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

// scratch is the name of the base without content.
const scratch = "scratch"

// Base is an image that a component takes content from, and where that is written.
type Base struct {
	// Component that is built.
	Component string
	// File and Line of the instruction, for messages; Line counts from 1.
	File string
	Line int
	// Instruction that names the image: FROM, COPY --from, RUN --mount, or base for a Go component.
	Instruction string
	// Image as the build reads it, after the variables.
	Image string
	// Repository in full, for example docker.io/library/golang.
	Repository string
	// Tag, or "".
	Tag string
	// Digest, or "". Where there is one, the tag means nothing to a build.
	Digest string

	last int // line of the instruction
}

// Inputs are what decides which images a build of a Dockerfile takes.
type Inputs struct {
	// Target is the stage to build; "" is the last one.
	Target string
	// Args are the build arguments.
	Args map[string]string
	// Platforms that are built.
	Platforms []ocispec.Platform
}

// NewBase reads a reference to an image as Docker does.
func NewBase(text string) (Base, error) {
	named, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		return Base{}, err
	}
	b := Base{Image: text, Repository: named.Name()}
	if tagged, ok := named.(reference.Tagged); ok {
		b.Tag = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		b.Digest = digested.Digest().String()
	}
	return b, nil
}

// Bases lists the images that a build of the target takes content from, in the order of the file. Stages that the
// target does not need are left out, as BuildKit does not build them. A name may depend on the platform: then all of
// them are listed. Faults have [fault.Usage] and name the line.
//
// The image of a "# syntax=" line is not among them: it is a program of the builder.
func (d *File) Bases(in Inputs) ([]Base, error) {
	hosts, err := builders()
	if err != nil {
		return nil, err
	}
	var out []Base
	for _, host := range hosts { // which platform builds is up to the machine
		for _, p := range in.Platforms {
			found, err := d.basesFor(in, host, p)
			if err != nil {
				return nil, err
			}
			for _, b := range found {
				if !slices.Contains(out, b) {
					out = append(out, b)
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Base) int { return a.Line - b.Line })
	return out, nil
}

// graph are the stages with their names resolved, for one platform.
type graph struct {
	*File
	bases []string // of the stages, expanded
	on    []int    // the stage that a stage is built on; -1: an image
	named map[string]int
}

func (d *File) basesFor(in Inputs, host, p ocispec.Platform) ([]Base, error) {
	g, target, err := d.resolve(in, host, p)
	if err != nil {
		return nil, err
	}
	return g.collect(target, map[int]bool{})
}

// resolve finds the stages that FROM lines name, and the stage to build.
func (d *File) resolve(in Inputs, host, p ocispec.Platform) (g graph, target int, err error) {
	g = graph{File: d, named: map[string]int{}}
	env, err := d.environment(in, host, p)
	if err != nil {
		return g, 0, err
	}
	for i, s := range d.stages {
		base, unmatched, err := d.lex.ProcessWord(s.BaseName, env)
		if err != nil {
			return g, 0, syntaxFault(d.name, spanOf(s.Location).first, err)
		}
		if base == "" {
			return g, 0, d.blank(s, unmatched)
		}
		on, ok := g.named[base] // a stage is known to the FROM lines below it only
		if !ok {
			on = -1
		}
		g.bases, g.on = append(g.bases, base), append(g.on, on)
		if s.Name != "" {
			g.named[s.Name] = i
		}
	}
	target = len(d.stages) - 1
	if in.Target != "" {
		var ok bool
		if target, ok = g.named[strings.ToLower(in.Target)]; !ok {
			next := "no stage has a name: write FROM IMAGE AS NAME"
			if names := d.names(); len(names) > 0 {
				next = "known stages: " + strings.Join(names, ", ")
			}
			return g, 0, fault.New(fault.Usage, d.name, next, "there is no stage %q to build", in.Target)
		}
	}
	return g, target, nil
}

// collect lists the images that a stage needs, directly and through other stages.
func (g graph) collect(i int, seen map[int]bool) ([]Base, error) {
	if seen[i] {
		return nil, nil
	}
	seen[i] = true
	var out []Base
	s := g.stages[i]
	take := func(stage int, instruction, text string, lines span) error {
		if stage >= 0 {
			below, err := g.collect(stage, seen)
			out = append(out, below...)
			return err
		}
		if text == scratch {
			return nil
		}
		b, err := NewBase(text)
		if err != nil {
			return fault.New(fault.Usage, fmt.Sprintf("%s:%d", g.name, lines.first), "write REGISTRY/NAME:TAG",
				"%s %s names no image: %w", instruction, text, err)
		}
		b.File, b.Line, b.Instruction, b.last = g.name, lines.first, instruction, lines.last
		out = append(out, b)
		return nil
	}
	if err := take(g.on[i], "FROM", g.bases[i], spanOf(s.Location)); err != nil {
		return nil, err
	}
	for _, src := range s.sources {
		if err := take(g.find(src), src.instruction, src.from, src.lines); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// builders are the platforms that a build may run on, where the answer must not depend on it.
func builders() ([]ocispec.Platform, error) {
	var out []ocispec.Platform
	for _, name := range []string{"linux/amd64", "linux/arm64"} {
		p, err := image.ParsePlatform(name)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// StandsOn is the image below the stage to build, for a platform. It is empty for scratch, and where another machine
// would build on another image. Its faults are those of [File.Bases].
func (d *File) StandsOn(in Inputs, p ocispec.Platform) (Base, error) {
	hosts, err := builders()
	if err != nil {
		return Base{}, err
	}
	var found []string
	for _, host := range hosts {
		l, err := d.Lineage(in, host, p)
		if err != nil {
			return Base{}, err
		}
		found = append(found, l.Image)
	}
	if found = slices.Compact(found); len(found) > 1 || found[0] == "" {
		return Base{}, nil
	}
	return NewBase(found[0])
}

// Lineage is what the stage to build stands on, without what it copies.
type Lineage struct {
	// Image is the image below the first of the stages; "" is scratch.
	Image string
	// Arguments are the build arguments that the stages declare and no ENV of theirs sets: they are in force while the
	// image is built, and not in it.
	Arguments []string
}

// Lineage follows the FROM lines from the stage to build down to an image, for a build on one platform for another. Its
// faults are those of [File.Bases].
func (d *File) Lineage(in Inputs, host, p ocispec.Platform) (Lineage, error) {
	g, i, err := d.resolve(in, host, p)
	if err != nil {
		return Lineage{}, err
	}
	var args, env []string
	for {
		args, env = append(args, g.stages[i].args...), append(env, g.stages[i].env...)
		if g.on[i] < 0 {
			break
		}
		i = g.on[i]
	}
	l := Lineage{Image: g.bases[i]}
	if l.Image == scratch {
		l.Image = ""
	}
	for _, name := range args {
		if !slices.Contains(env, name) && !slices.Contains(l.Arguments, name) {
			l.Arguments = append(l.Arguments, name)
		}
	}
	return l, nil
}

// find is the stage that a COPY or RUN takes files from; -1 is none, so that an image is meant.
func (g graph) find(s source) int {
	if i, err := strconv.Atoi(s.from); err == nil && s.byIndex && i >= 0 && i < len(g.stages) {
		return i
	}
	if i, ok := g.named[strings.ToLower(s.from)]; ok {
		return i
	}
	return -1
}

func (d *File) names() []string {
	var out []string
	for _, s := range d.stages {
		if s.Name != "" {
			out = append(out, s.Name)
		}
	}
	return out
}

// blank is a FROM whose variables have no value.
func (d *File) blank(s stage, unmatched map[string]struct{}) error {
	next := "name an image"
	if names := slices.Sorted(maps.Keys(unmatched)); len(names) > 0 {
		next = fmt.Sprintf("give %s a value: ARG %s=… before the first FROM, or args in berth.yaml",
			strings.Join(names, ", "), names[0])
	}
	return fault.New(fault.Usage, fmt.Sprintf("%s:%d", d.name, spanOf(s.Location).first), next,
		"FROM %s names no image", s.BaseName)
}

// environment are the variables that FROM lines may use: the platforms', and the ARGs before the first FROM with their
// defaults or the build's own values.
// Source: https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope
func (d *File) environment(in Inputs, host, p ocispec.Platform) (shell.EnvGetter, error) {
	target := cmp.Or(in.Target, d.stages[len(d.stages)-1].Name, "default")
	env := map[string]string{
		"BUILDPLATFORM": image.PlatformString(host), "BUILDOS": host.OS, "BUILDOSVERSION": "", "BUILDARCH": host.Architecture,
		"BUILDVARIANT": host.Variant, "TARGETPLATFORM": image.PlatformString(p), "TARGETOS": p.OS,
		"TARGETOSVERSION": p.OSVersion, "TARGETARCH": p.Architecture, "TARGETVARIANT": p.Variant, "TARGETSTAGE": target,
	}
	for name := range env {
		if v, ok := in.Args[name]; ok {
			env[name] = v
		}
	}
	for _, command := range d.args {
		for _, arg := range command.Args {
			if v, ok := in.Args[arg.Key]; ok {
				env[arg.Key] = v
			} else if arg.Value != nil {
				v, _, err := d.lex.ProcessWord(*arg.Value, getter(env))
				if err != nil {
					return nil, syntaxFault(d.name, spanOf(command.Location()).first, err)
				}
				env[arg.Key] = v
			}
		}
	}
	return getter(env), nil
}

func getter(env map[string]string) shell.EnvGetter {
	list := make([]string, 0, len(env))
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	return shell.EnvsFromSlice(list)
}
