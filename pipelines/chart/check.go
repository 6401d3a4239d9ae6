package chart

import (
	"strings"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
)

// CheckImages refuses rendered images that environment and receipt do not allow: from a registry of berth.yaml that is
// not the environment's, and other than those of the receipt (which may be nil).
func CheckImages(c *config.Config, environment string, receipt *Receipt, images []string) error {
	own := c.PrefixOf(environment)
	for _, x := range images {
		for name, r := range c.Registries {
			if within(x, r.Prefix) && !within(x, own) {
				return fault.New(fault.Refused, "image "+x, "give it the environment's registry by its path in chart of berth.yaml",
					"it is from registry %s, but environment %s uses %s", name, environment, own)
			}
		}
	}
	if receipt == nil {
		return nil
	}
	for _, x := range images {
		if err := checkImage(c, *receipt, x); err != nil {
			return err
		}
	}
	return nil
}

// within tells whether an image is below a registry's prefix.
func within(image, prefix string) bool { return strings.HasPrefix(image, prefix+"/") }

// checkImage compares one rendered image with the receipt.
func checkImage(c *config.Config, receipt Receipt, rendered string) error {
	for _, x := range receipt.Images {
		if repositoryOf(rendered) != x.Repository || !pinned(c, x.Component) {
			continue
		}
		_, digest, _ := strings.Cut(rendered, "@")
		if digest == x.Digest {
			return nil
		}
		for _, other := range receipt.Images {
			if digest != "" && other.Digest == digest {
				return fault.New(fault.Refused, "image "+rendered, "give each component its own digest",
					"its digest is that of component %s", other.Component)
			}
		}
		return fault.New(fault.Refused, "image "+rendered,
			"check the value's path in "+c.Where("chart", "components", x.Component)+", and what --set or --values say",
			"the receipt says %s for component %s, but the chart does not render that", x.Digest, x.Component)
	}
	return nil
}

// repositoryOf is an image without tag and digest.
func repositoryOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		return image[:i]
	}
	return image
}

// pinned tells whether the chart takes the digest of a component.
func pinned(c *config.Config, component string) bool {
	for _, template := range c.Chart.Components[component] {
		if strings.Contains(template, "{digest}") || strings.Contains(template, "{image}") {
			return true
		}
	}
	return false
}
