package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	"sigs.k8s.io/yaml"

	"github.com/berth-sh/berth/cmd/berth-helm/internal/wire"
)

// object is one object of a manifest.
type object map[string]any

func (o object) kind() string { s, _ := o["kind"].(string); return s }

func (o object) metadata() map[string]any { m, _ := o["metadata"].(map[string]any); return m }

func (o object) name() string { s, _ := o.metadata()["name"].(string); return s }

// objects reads the objects of a manifest, in its order. Those of a List count one by one.
func objects(manifest string) ([]object, error) {
	var out []object
	for _, text := range documents(manifest) {
		var o object
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			return nil, &failure{code: codeUsage, subject: source(text), next: "correct the template", err: err}
		}
		items, ok := o["items"].([]any)
		if !ok || !strings.HasSuffix(o.kind(), "List") {
			if len(o) > 0 {
				out = append(out, o)
			}
			continue
		}
		for _, item := range items {
			if one, ok := item.(map[string]any); ok {
				out = append(out, one)
			}
		}
	}
	return out, nil
}

// documents splits a manifest, in order.
func documents(manifest string) []string {
	parts := releaseutil.SplitManifests(manifest)
	keys := slices.Collect(maps.Keys(parts))
	slices.SortFunc(keys, func(x, y string) int { return releaseIndex(x) - releaseIndex(y) })
	out := make([]string, 0, len(keys))
	for _, key := range keys {
		out = append(out, parts[key])
	}
	return out
}

// releaseIndex is the number in a key of Helm's, such as manifest-12.
func releaseIndex(key string) int {
	n := 0
	_, _ = fmt.Sscanf(key, "manifest-%d", &n)
	return n
}

// source is the template that a document comes from, as Helm notes it above it.
func source(document string) string {
	for line := range strings.Lines(document) {
		if at, ok := strings.CutPrefix(line, "# Source: "); ok {
			return strings.TrimSpace(at)
		}
	}
	return "manifest"
}

// inspect lists images and foreign pull secrets.
func inspect(manifest string, a *wire.Answer) error {
	all, err := objects(manifest)
	if err != nil {
		return err
	}
	images, wanted, own := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, o := range all {
		if o.kind() == "Secret" {
			own[o.name()] = true
		}
		walk(map[string]any(o), images, wanted)
	}
	for name := range own {
		delete(wanted, name)
	}
	a.Images = slices.Sorted(maps.Keys(images))
	a.PullSecrets = slices.Sorted(maps.Keys(wanted))
	return nil
}

// walk finds containers wherever they stand: in pods, in templates of pods, in custom resources.
func walk(node any, images, secrets map[string]bool) {
	switch n := node.(type) {
	case []any:
		for _, v := range n {
			walk(v, images, secrets)
		}
	case map[string]any:
		for key, v := range n {
			list, _ := v.([]any)
			switch key {
			case "containers", "initContainers", "ephemeralContainers":
				collect(list, "image", images)
			case "imagePullSecrets":
				collect(list, "name", secrets)
			}
			walk(v, images, secrets)
		}
	}
}

func collect(list []any, key string, into map[string]bool) {
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			if s, ok := m[key].(string); ok && s != "" {
				into[s] = true
			}
		}
	}
}

// hidden replaces the Secrets of a manifest by a line, as Helm does in a dry run.
func hidden(manifest string) string {
	var out strings.Builder
	for _, text := range documents(manifest) {
		var o object
		if err := yaml.Unmarshal([]byte(text), &o); err != nil || o.kind() == "Secret" {
			fmt.Fprintf(&out, "---\n# Source: %s\n# HIDDEN: The Secret output has been suppressed\n", source(text))
			continue
		}
		fmt.Fprintf(&out, "---\n%s\n", strings.TrimSpace(text))
	}
	return out.String()
}
