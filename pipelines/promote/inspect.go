package promote

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
)

// expiryLabel makes Quay delete an image some time after it was pushed. It is a label of the image's configuration, so
// that a promoted image would carry it along.
// Source: https://docs.quay.io/guides/tag-expiration.html
const expiryLabel = "quay.expires-after"

// found is an image at the source, read as far as a promotion needs it.
type found struct {
	manifest []byte
	said     guard.Said
	// children are the manifests below an index, attestations included; none for a single manifest.
	children []ocispec.Descriptor
	// platforms are those of the children that are images.
	platforms []string
	// expires is the value of the label by which Quay would delete it, "" when it has none.
	expires string
}

// inspect reads the index of an image, its children and their configurations.
func inspect(ctx context.Context, c *registry.Copier, desc ocispec.Descriptor) (found, error) {
	raw, err := c.Read(ctx, desc)
	if err != nil {
		return found{}, err
	}
	x := found{manifest: raw, said: guard.Read(raw)}
	var index ocispec.Index
	// What is no index has no manifests: a single image, or something that has no platform at all.
	_ = json.Unmarshal(raw, &index)
	x.children = index.Manifests
	images := []ocispec.Descriptor{desc}
	if len(x.children) > 0 {
		images = slices.DeleteFunc(slices.Clone(x.children), image.IsAttestation)
	}
	platforms, expires := make([]string, len(images)), make([]string, len(images))
	g, gctx := errgroup.WithContext(ctx)
	for i, m := range images {
		g.Go(func() error {
			config, err := configOf(gctx, c, m)
			if err != nil {
				return err
			}
			platforms[i], expires[i] = image.PlatformString(config.Platform), config.Config.Labels[expiryLabel]
			if m.Platform != nil {
				platforms[i] = image.PlatformString(*m.Platform)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return found{}, err
	}
	x.platforms = platforms
	if i := slices.IndexFunc(expires, func(s string) bool { return s != "" }); i >= 0 {
		x.expires = expires[i]
	}
	return x, nil
}

// configOf reads the configuration of an image; one of another kind, such as a Helm chart's, is empty.
func configOf(ctx context.Context, c *registry.Copier, desc ocispec.Descriptor) (ocispec.Image, error) {
	var config ocispec.Image
	raw, err := c.Read(ctx, desc)
	if err != nil {
		return config, err
	}
	var m ocispec.Manifest
	_ = json.Unmarshal(raw, &m) // what is no manifest has no configuration
	if m.Config.Digest == "" {
		return config, nil
	}
	raw, err = c.Read(ctx, m.Config)
	if err != nil {
		return config, err
	}
	_ = json.Unmarshal(raw, &config) // what is no JSON has no labels
	return config, nil
}

// check lists the reasons against promoting an image, whatever tags it would get.
func (p *Promoter) check(r route, j *job) []plan.Refusal {
	var out []plan.Refusal
	subject := j.source.String() + "@" + j.picked.desc.Digest.String()
	add := func(next, reason string, args ...any) {
		out = append(out, plan.Refusal{Subject: subject, Reason: fmt.Sprintf(reason, args...), Next: next})
	}
	var missing []string
	for _, want := range p.Config.PlatformsOf(j.component) {
		platform, err := image.ParsePlatform(want)
		if err == nil && !slices.Contains(j.found.platforms, image.PlatformString(platform)) {
			missing = append(missing, want)
		}
	}
	if len(missing) > 0 {
		add("publish it to "+r.from+" for all platforms", "the image lacks %s", strings.Join(missing, ", "))
	}
	if j.found.expires != "" {
		add("build it without the label: let development tags expire by a policy of the registry (retention)",
			"its label %s=%s would make Quay delete it in %s, too", expiryLabel, j.found.expires, r.to)
	}
	said := j.found.said
	switch {
	case said.Version == nil && r.Version == nil:
		add("name it: --version 1.2.3", "the image does not say which version it is")
	case said.Version != nil && r.Version != nil && !said.Version.Equal(r.Version):
		add("promote an image of that version, or leave out --version",
			"the image is of version %s, not %s", said.Version, r.Version)
	}
	if strings.HasSuffix(said.Revision, dirtySuffix) {
		add("commit the work and publish it to "+r.from+" again", "the image holds uncommitted work on commit %s",
			facts.Short(strings.TrimSuffix(said.Revision, dirtySuffix)))
	} else if j.picked.commit != "" && said.Revision != "" && said.Revision != j.picked.commit {
		add("look who put it there", "tag %s stands for commit %s, but the image says that it is of commit %s",
			j.picked.tag, facts.Short(j.picked.commit), facts.Short(said.Revision))
	}
	return out
}

// dirtySuffix marks the revision of an image with uncommitted work.
const dirtySuffix = "-dirty"
