package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
)

// formatMermaid is a chart for Markdown.
const formatMermaid = "mermaid"

// lookFlags pick images that are looked at.
type lookFlags struct {
	version    string
	components []string
}

func (a *app) lookFlags(cmd *cobra.Command, f *lookFlags) {
	cmd.Flags().StringVar(&f.version, "version", "", "version of the images of --env; default: what is there now")
	cmd.Flags().StringSliceVar(&f.components, "component", nil, "component, repeatable; default: all of --env")
	a.complete(cmd, "component", func(p *pipelines.Pipeline) []string { return p.Config.ComponentNames() })
}

// look opens the project and says which images are meant.
func (a *app) look(
	ctx context.Context, cmd *cobra.Command, f lookFlags, refs []string,
) (*pipelines.Pipeline, pipelines.LookRequest, error) {
	r := pipelines.LookRequest{Refs: refs, Environment: a.flags.env, Components: f.components}
	switch {
	case len(refs) == 0 && a.flags.env == "":
		return nil, r, usage(cmd, "name an image, such as REPOSITORY:TAG, or an environment: --env ENV")
	case len(refs) > 0 && f.version != "":
		return nil, r, usage(cmd, "--version is for the images of an environment: drop it, or the reference")
	}
	var err error
	if r.Version, err = versionFlag(f.version); err != nil {
		return nil, r, err
	}
	p, err := a.openBuilding()
	if err != nil {
		return nil, r, err
	}
	return p, r, a.reach(ctx, p)
}

func auditCommand(a *app) *cobra.Command {
	var f lookFlags
	cmd := &cobra.Command{
		Use:   "audit [REF…]",
		Short: "Tell what happened to an image: built, approved, promoted, rolled back, and who signed it",
		Long: `Tell what happened to an image: built, approved, promoted, rolled back, and who signed it.

REF is REPOSITORY:TAG, REPOSITORY@DIGEST, COMPONENT:TAG with --env, or oci:FOLDER of an OCI layout. Without one, the
components of --env are told. What is told comes from the statements that travel with the image. Anybody who may write
to the registry can attach one, so the column SIGNATURE says what it is worth: good (by a key that berth.yaml lists),
unsigned, foreign key (or changed), wrong role.`,
		Example: `  berth audit quay.io/kubernaut/gateway:v1.4.0
  berth audit --env production --component gateway
  berth audit --env production --version 1.4.0 --format json
  berth audit --env production --format mermaid >> release-notes.md`,
		Args:        cobra.ArbitraryArgs,
		Annotations: map[string]string{moreFormats: formatMermaid},
	}
	a.lookFlags(cmd, &f)
	cmd.RunE = func(cmd *cobra.Command, refs []string) error {
		p, request, err := a.look(cmd.Context(), cmd, f, refs)
		if err != nil {
			return err
		}
		trails, err := p.Audit(cmd.Context(), request)
		if err != nil {
			return err
		}
		if a.flags.format == formatMermaid {
			a.close()
			return trails.Mermaid(a.process.Stdout)
		}
		return a.show(trails, trails.Text)
	}
	return cmd
}

func verifyCommand(a *app) *cobra.Command {
	var f lookFlags
	var save string
	cmd := &cobra.Command{
		Use:   "verify [REF…]",
		Short: "Check an image: its bytes, platforms, approvals, record and signatures",
		Long: `Check an image: its bytes, platforms, approvals, record and signatures.

REF is as in berth audit. What the image must show is what berth.yaml says of the environment: --env, or the one whose
repository and tags fit the reference. In an environment that takes promotions there must be a record, signed where
promote.signed says so, and the approvals must have held when it was made; one that was taken back since does not.
What does not hold ends with exit code 3.

oci:FOLDER checks the images of an OCI layout without a network; every byte is read. --save writes such a layout.`,
		Example: `  berth verify quay.io/kubernaut/gateway:v1.4.0
  berth verify --env production
  berth verify --env production --version 1.4.0 --save release
  berth verify --env production oci:release`,
		Args: cobra.ArbitraryArgs,
	}
	a.lookFlags(cmd, &f)
	cmd.Flags().StringVar(&save, "save", "", "also write the images that hold, with what is attached, as an OCI layout")
	cmd.RunE = func(cmd *cobra.Command, refs []string) error {
		p, request, err := a.look(cmd.Context(), cmd, f, refs)
		if err != nil {
			return err
		}
		found, err := p.Verify(cmd.Context(), request, save)
		if err != nil {
			return err
		}
		if err := a.show(found, found.Text); err != nil {
			return err
		}
		return found.Err()
	}
	return cmd
}
