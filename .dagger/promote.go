package main

import (
	"bytes"
	"context"
	"strings"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/status"
)

// Bring images from one environment to the next, by digest, with approvals and a record
//
// The source is the environment that promote.from names in berth.yaml. What the rules refuse changes nothing, and the
// same call again finishes what was interrupted.
//
// Example: dagger call promote --to staging --dry-run
//
// +cache="never"
func (b *Berth) Promote(
	ctx context.Context,
	// Environment that the images come to.
	to string,
	// Version to promote or to roll back to; default: that of the commit.
	// +optional
	release string,
	// Components; default: all.
	// +optional
	components []string,
	// Tags in the source environment, or REPOSITORY:TAG, or REPOSITORY@DIGEST; default: those of the version.
	// +optional
	from []string,
	// Move the floating tags of the environment back to --release.
	// +optional
	rollback bool,
	// Only show the plan.
	// +optional
	dryRun bool,
	// Private key that signs the records, for example env:BERTH_KEY.
	// +optional
	key *dagger.Secret,
	// Password of the key.
	// +optional
	keyPassword *dagger.Secret,
	// Roles that the protected environment of this CI job gives, where promote.ci of berth.yaml allows it. The variables
	// that tell the CI are given to the constructor: --variables GITHUB_ACTIONS=true,GITHUB_ACTOR=…
	// +optional
	ciApprovals []string,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	return with(ctx, b, to, func(o *opened) (string, error) {
		picked, err := picked(to, release, components)
		if err != nil {
			return "", err
		}
		picked.From, picked.Rollback = from, rollback
		r := pipelines.PromoteRequest{Request: picked, CIApprovals: ciApprovals}
		if rollback && (release == "" || len(from) > 0) {
			return "", fault.New(fault.Usage, "--rollback", "name the version to go back to: --release VERSION",
				"it stays in its environment and needs the version")
		}
		if r.Signer, err = signer(ctx, key, keyPassword); err != nil {
			return "", err
		}
		if dryRun {
			pl, err := o.pipeline.PromotePlan(ctx, r)
			if err != nil {
				return "", err
			}
			if err := pl.Err(); err != nil {
				return "", err
			}
			return write(format, pl, pl.Text)
		}
		receipt, err := o.pipeline.Promote(ctx, r)
		if err != nil {
			return "", err
		}
		receipt.Sandbox = b.Settings.Sandbox
		return write(format, receipt, receipt.Text)
	})
}

// Show which version of each component is in which environment
//
// Example: dagger call status
//
// +cache="never"
func (b *Berth) Status(
	ctx context.Context,
	// Environments; default: all.
	// +optional
	environments []string,
	// Components; default: all.
	// +optional
	components []string,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	return with(ctx, b, one(environments), func(o *opened) (string, error) {
		board, err := o.pipeline.Status(ctx, status.Request{Environments: environments, Components: components})
		if err != nil {
			return "", err
		}
		return write(format, board, board.Text)
	})
}

// Show which version of each component is in which environment, as one page for a browser
//
// Example: dagger call board export --path board.html
//
// +cache="never"
func (b *Berth) Board(ctx context.Context) (*dagger.File, error) {
	page, err := with(ctx, b, "", func(o *opened) (string, error) {
		board, err := o.pipeline.Status(ctx, status.Request{})
		if err != nil {
			return "", err
		}
		var html bytes.Buffer
		if err := board.HTML(&html); err != nil {
			return "", err
		}
		return html.String(), nil
	})
	if err != nil {
		return nil, err
	}
	return dag.File("board.html", page), nil
}

// one is the only name of a list, "" for none or several.
func one(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return ""
}

// signer opens a private key; nil is none.
func signer(ctx context.Context, key, password *dagger.Secret) (*attest.Signer, error) {
	if key == nil {
		return nil, nil
	}
	pem, err := plaintext(ctx, "--key", key)
	if err != nil {
		return nil, err
	}
	return pipelines.Signer("--key", []byte(pem), func() ([]byte, error) {
		if password == nil {
			return nil, fault.New(fault.Credentials, "--key", "give --key-password", "the key is encrypted")
		}
		word, err := plaintext(ctx, "--key-password", password)
		return []byte(strings.TrimRight(word, "\r\n")), err
	})
}
