package pipelines

import (
	"context"
	"errors"
	"strings"

	"github.com/berth-sh/berth/pipelines/cloud"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
)

// checkImmutability compares the tags that environments promise never to move with what the registry itself holds.
// berth's own guard holds them in any case; a registry that does not lets other programs move them.
func (p *Pipeline) checkImmutability(ctx context.Context, out *CheckedRegistry, name, repository string) {
	var promised []string
	for _, e := range out.Environments {
		if globs := p.Config.Environments[e].Immutable; len(globs) > 0 {
			promised = append(promised, e+": "+strings.Join(globs, " "))
		}
	}
	text := strings.Join(promised, "; ")
	r := p.Config.Registries[name]
	if address, ok := registry.ParseECR(r.Host()); !ok || address.Public || p.repositories == nil {
		out.unknown("immutability", text, cannotSee(r.RegistryKind()))
		return
	}
	found, err := p.repositories.Describe(ctx, repository)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		out.unknown("immutability", text, repository+" does not exist yet")
		return
	case errors.Is(err, cloud.ErrNoCredentials):
		out.unknown("immutability", text, "cannot be seen: "+cloud.ErrNoCredentials.Error())
		return
	case err != nil:
		out.unknown("immutability", text, err.Error())
		return
	}
	saw := string(found.Mutability)
	if len(found.Exclusions) > 0 {
		saw += " (" + strings.Join(found.Exclusions, " ") + ")"
	}
	if err := p.mismatch(repository, r.Prefix, len(promised) > 0, found); err != nil {
		out.failed("immutability", text, err)
		return
	}
	out.ok("immutability", text, saw)
}

// mismatch finds a tag that the registry holds although berth would move it, and one that it lets others move although
// it is promised not to and ECR could hold it.
func (p *Pipeline) mismatch(repository, prefix string, promised bool, found registry.RepositorySettings) error {
	floating, fixed := plan.TagClasses(p.Config, prefix)
	for _, wildcard := range floating {
		if wildcard == plan.DirtyTags {
			continue // work in progress, that a stricter registry may well refuse
		}
		if tag := strings.ReplaceAll(wildcard, "*", "x"); found.Holds(tag) {
			return fault.New(fault.Refused, repository,
				"let the registry move it: aws ecr put-image-tag-mutability, IMMUTABLE_WITH_EXCLUSION with the filter "+wildcard,
				"it is %s, so that the floating tag %s cannot move", found.Mutability, wildcard)
		}
	}
	wanted := plan.Fitting(floating, fixed)
	if !promised || wanted.Mutability == registry.Mutable {
		return nil
	}
	for _, tag := range fixed {
		if wanted.Holds(tag) && !found.Holds(tag) {
			filters := ""
			if len(wanted.Exclusions) > 0 {
				filters = " with the filters " + strings.Join(wanted.Exclusions, " ")
			}
			return fault.New(fault.Refused, repository,
				"make the registry hold it: aws ecr put-image-tag-mutability, "+string(wanted.Mutability)+filters,
				"it is %s, so that others than berth can move a tag such as %s", found.Mutability, tag)
		}
	}
	return nil
}

// cannotSee says why nothing is known of a kind's immutability.
func cannotSee(kind registry.Kind) string {
	switch kind {
	case registry.ECR:
		return "cannot be seen: no AWS login here; berth's own guard holds version tags"
	case registry.GHCR:
		return "GHCR holds no tags; berth's own guard does"
	case registry.GCR:
		return "a setting of the repository that this login does not show; berth's own guard holds version tags"
	case registry.Quay:
		return "a setting that only an OAuth token of Quay's API shows; berth's own guard holds version tags"
	case registry.Harbor:
		return "a rule of the project that the registry API does not show; berth's own guard holds version tags"
	default:
		return "the registry API does not show it; berth's own guard holds version tags"
	}
}
