package chart

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
)

// Receipt is what this package reads of the receipt of a publish or a promotion.
type Receipt struct {
	Environment string `json:"environment"`
	// Version is that of a publish; a promotion has one an image.
	Version string  `json:"version"`
	Images  []Image `json:"images"`
}

// Image is one image of a receipt.
type Image struct {
	Component  string `json:"component"`
	Repository string `json:"repository"`
	Digest     string `json:"digest"`
	Version    string `json:"version"`
	Tags       []Tag  `json:"tags"`
}

// Tag is one tag of an image.
type Tag struct {
	Name  string `json:"name"`
	Class string `json:"class"`
	// Action is kept for a tag that does not name this image.
	Action string `json:"action"`
}

// ReadReceipt reads the JSON of `berth publish --format json` or `berth promote --format json`. name is only used in
// messages.
func ReadReceipt(name string, content []byte) (Receipt, error) {
	var r Receipt
	const next = "give the JSON that `berth publish --format json` or `berth promote --format json` printed"
	d := json.NewDecoder(bytes.NewReader(content))
	if err := d.Decode(&r); err != nil {
		return r, fault.New(fault.Usage, name, next, "it is no receipt: %w", err)
	}
	if r.Environment == "" || len(r.Images) == 0 {
		return r, fault.New(fault.Usage, name, next, "it is no receipt: it names no environment or no image")
	}
	for i := range r.Images {
		if r.Images[i].Version == "" {
			r.Images[i].Version = r.Version
		}
	}
	return r, nil
}

// Merge puts the images of several receipts together; of an image in several, the last counts. All must be of one
// environment.
func Merge(receipts []Receipt) (Receipt, error) {
	var out Receipt
	for i, r := range receipts {
		if i > 0 && r.Environment != out.Environment {
			return out, fault.New(fault.Usage, "--receipt", "give receipts of one environment",
				"one is of environment %s and another of %s", out.Environment, r.Environment)
		}
		out.Environment, out.Version = r.Environment, r.Version
		for _, x := range r.Images {
			out.Images = slices.DeleteFunc(out.Images, func(y Image) bool { return y.Component == x.Component })
			out.Images = append(out.Images, x)
		}
	}
	return out, nil
}

// checkReceipt refuses a receipt of another environment, of other repositories, or with digests that cannot be right.
func checkReceipt(c *config.Config, environment, name string, r Receipt) error {
	if r.Environment != environment {
		return fault.New(fault.Usage, name, "give the receipt of that environment, or --env "+r.Environment,
			"it is the receipt of environment %s, not of %s", r.Environment, environment)
	}
	owner := map[string]string{}
	for _, x := range r.Images {
		if _, ok := c.Components[x.Component]; !ok {
			return fault.New(fault.Usage, name, "give a receipt of this project", "berth.yaml has no component %q", x.Component)
		}
		if want := c.FullRepositoryOf(environment, x.Component); x.Repository != want {
			return fault.New(fault.Usage, name, "publish or promote to the registry that berth.yaml names for "+environment,
				"component %s is in %s there, but environment %s takes it from %s", x.Component, x.Repository, environment, want)
		}
		if _, err := digest.Parse(x.Digest); err != nil {
			return fault.New(fault.Usage, name, "", "%q of component %s is no digest: %w", x.Digest, x.Component, err)
		}
		if other, taken := owner[x.Digest]; taken {
			return fault.New(fault.Usage, name, "give the receipt as it was written: every image of berth names its component",
				"components %s and %s have the same digest %s", other, x.Component, x.Digest)
		}
		owner[x.Digest] = x.Component
	}
	return nil
}

// tag is the one that names a release best: the version tag, else the first that names the image.
func (x Image) tag() string {
	for _, t := range x.Tags {
		if t.Class == "version" && t.Action != "kept" {
			return t.Name
		}
	}
	for _, t := range x.Tags {
		if t.Action != "kept" {
			return t.Name
		}
	}
	return ""
}
