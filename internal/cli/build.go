package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/report"
)

// built is one image of `berth build`.
type built struct {
	Component string   `json:"component"`
	Digest    string   `json:"digest"`
	Platforms []string `json:"platforms"`
	// References are the names under which the image was loaded into Docker.
	References []string `json:"references"`
}

// buildFlags are what `berth build` does with the images.
type buildFlags struct {
	output      string
	load, twice bool
}

func buildCommand(a *app) *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the images without publishing them",
		Long: `Build the images without publishing them, and print their digests.

--output writes an OCI image layout, which publish --from, skopeo and crane read. --load puts the images into
the Docker daemon under every tag that publish would use. --check-reproducible builds everything a second time
without caches, and fails with what differs, down to the files of a layer.

Binaries and layers that were made from the same source before are taken from a cache of this machine, in berth
below the system's folder for caches. BERTH_CACHE moves it to another folder; BERTH_CACHE=off does without.`,
		Example: `  berth build
  berth build --output images
  berth build --component knative-lambda-builder --load
  berth build --check-reproducible`,
		Args: noArgs,
	}
	selected := a.selectFlags(cmd)
	a.builderFlags(cmd)
	cmd.Flags().StringVar(&f.output, "output", "", "write an OCI image layout to this folder")
	cmd.Flags().BoolVar(&f.load, "load", false, "load the images into the Docker daemon with every tag of the plan")
	cmd.Flags().BoolVar(&f.twice, "check-reproducible", false,
		"build a second time without caches, and fail when anything differs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.runBuild(cmd, selected, f) }
	return cmd
}

func (a *app) runBuild(cmd *cobra.Command, selected *selection, f buildFlags) error {
	// What is asked for is checked before the sandbox's state is made: a refused build leaves nothing behind.
	p, err := a.openBuilding()
	if err != nil {
		return err
	}
	if err := p.CanBuild(a.buildRequest(selected)); err != nil {
		return err
	}
	if err := a.reach(cmd.Context(), p); err != nil {
		return err
	}
	if f.load { // a plan that cannot be loaded is known before minutes of building
		if err := a.loadable(cmd, p, selected); err != nil {
			return err
		}
	}
	images, release, err := p.Build(cmd.Context(), a.buildRequest(selected))
	if err != nil {
		return err
	}
	defer release()
	if f.twice {
		err = a.reproduce(cmd, p, selected, images)
	}
	if err == nil && f.output != "" {
		err = image.WriteLayout(cmd.Context(), a.path(f.output), images)
	}
	if err != nil {
		return err
	}
	result := results(images)
	if f.load {
		if err := a.load(cmd, p, selected, images, result); err != nil {
			return err
		}
	}
	return a.show(result, func(w io.Writer) error { return writeBuilt(w, result, f.output) })
}

func (a *app) buildRequest(s *selection) pipelines.BuildRequest {
	return pipelines.BuildRequest{Components: s.components, Platforms: s.platforms}
}

// shownDifferences is how many differences of a component are printed; --format json has all of them.
const shownDifferences = 20

// reproduce builds again, and fails with what differs.
func (a *app) reproduce(cmd *cobra.Command, p *pipelines.Pipeline, s *selection, images []image.Index) error {
	all, err := p.Reproduce(cmd.Context(), a.buildRequest(s), images)
	if err != nil {
		return err
	}
	var lines []string
	for _, one := range all {
		if len(one.Differences) == 0 {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: %s, then %s", one.Component, one.First, one.Second))
		for i, d := range one.Differences {
			if i == shownDifferences {
				lines = append(lines, fmt.Sprintf("  and %d more", len(one.Differences)-i))
				break
			}
			lines = append(lines, "  "+d.String())
		}
	}
	if len(lines) == 0 {
		return nil
	}
	if a.flags.format == formatJSON {
		if err := a.show(all, nil); err != nil {
			return err
		}
	}
	return &fault.Error{
		Op: "build the same image twice", Err: errors.New("\n" + strings.Join(lines, "\n")), Code: fault.Failed,
		Next: "make what differs depend on the sources alone: no clock, no random names, versions pinned",
	}
}

func results(images []image.Index) []built {
	out := make([]built, 0, len(images))
	for _, x := range images {
		out = append(out, built{
			Component: x.Component, Digest: x.Descriptor.Digest.String(), Platforms: x.Platforms(), References: []string{},
		})
	}
	return out
}

func (a *app) loadable(cmd *cobra.Command, p *pipelines.Pipeline, s *selection) error {
	pl, err := p.Plan(cmd.Context(), a.request(s))
	if err != nil {
		return err
	}
	if err := pl.Err(); err != nil {
		return err
	}
	return p.CanLoad(cmd.Context())
}

func (a *app) load(
	cmd *cobra.Command, p *pipelines.Pipeline, s *selection, images []image.Index, result []built,
) error {
	pl, err := p.Plan(cmd.Context(), a.request(s))
	if err != nil {
		return err
	}
	loaded, err := p.Load(cmd.Context(), pl, images)
	if err != nil {
		return err
	}
	for _, one := range loaded {
		for i := range result {
			if result[i].Component == one.Component {
				result[i].References = one.References
			}
		}
	}
	return nil
}

func writeBuilt(w io.Writer, result []built, output string) error {
	t := &report.Table{Head: []string{"COMPONENT", "DIGEST", "PLATFORMS"}}
	for _, b := range result {
		t.Add(b.Component, b.Digest, strings.Join(b.Platforms, ","))
	}
	if err := t.Text(w); err != nil {
		return err
	}
	for _, b := range result {
		for _, reference := range b.References {
			if _, err := fmt.Fprintln(w, "loaded", reference); err != nil {
				return err
			}
		}
	}
	if output == "" {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nOCI layout in %s; publish it with: berth publish --from %s\n", output, output)
	return err
}
