package main

import (
	"context"
	"time"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/promote"
	"github.com/berth-sh/berth/pipelines/version"
)

// day is the unit of --days.
const day = 24 * time.Hour

// Sign that images may come to an environment, or take that back
//
// The images are those that promote would take. The approval is for their digests and this environment, and ends by
// itself.
//
// Example: dagger call approve --to production --role qa --key file:ada.key --key-password env:PASSWORD
//
// +cache="never"
func (b *Berth) Approve(
	ctx context.Context,
	// Environment that the images may come to.
	to string,
	// Private key of an approver of berth.yaml, for example file:ada.key or env:APPROVAL_KEY.
	key *dagger.Secret,
	// Password of the key.
	// +optional
	keyPassword *dagger.Secret,
	// Role in which you approve; default: the one that your key has.
	// +optional
	role string,
	// Version of the images; default: that of the commit.
	// +optional
	release string,
	// Digest of the image, instead of a version.
	// +optional
	digest string,
	// Components; default: all.
	// +optional
	components []string,
	// How many days the approval holds.
	// +default=30
	days int,
	// Why; everybody who sees the image can read it.
	// +optional
	comment string,
	// Take approvals back.
	// +optional
	revoke bool,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	return with(ctx, b, "", func(o *opened) (string, error) {
		picked, err := picked(to, release, components)
		if err != nil {
			return "", err
		}
		signs, err := signer(ctx, key, keyPassword)
		if err != nil {
			return "", err
		}
		receipt, err := o.pipeline.Approve(ctx, pipelines.ApproveRequest{
			Request: picked, Digest: digest, Revoke: revoke,
			Approval: approve.Approval{Signer: signs, Role: role, Life: time.Duration(days) * day, Comment: comment},
		})
		if err != nil {
			return "", err
		}
		return write(format, receipt, receipt.Text)
	})
}

// List approvals, what they are worth, and which are missing
//
// Example: dagger call approvals --to production
//
// +cache="never"
func (b *Berth) Approvals(
	ctx context.Context,
	// Environment that the images may come to; default: all that take promotions.
	// +optional
	to string,
	// Version of the images; default: that of the commit.
	// +optional
	release string,
	// Components; default: all.
	// +optional
	components []string,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	return with(ctx, b, "", func(o *opened) (string, error) {
		picked, err := picked(to, release, components)
		if err != nil {
			return "", err
		}
		found, err := o.pipeline.Approvals(ctx, picked, "")
		if err != nil {
			return "", err
		}
		return write(format, found, found.Text)
	})
}

// picked are images as a promotion picks them.
func picked(to, release string, components []string) (promote.Request, error) {
	r := promote.Request{To: to, Components: components}
	if release != "" {
		v, err := version.Parse("--release", release)
		if err != nil {
			return r, err
		}
		r.Version = v
	}
	return r, nil
}
