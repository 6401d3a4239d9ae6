package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The repository of the retention case: each image has two tags. The peers look at a sample, and their numbers are
// multiplied: one process a tag would take minutes.
const (
	heldTags   = 10_000
	sampleTags = 100
)

// retentionCases decide which of 10,000 tags have expired, against scripts that ask for the age of each tag.
func retentionCases() []Case {
	return []Case{{
		Name: "retention-10000", What: fmt.Sprintf("which of %d tags have expired; peers: the age of %d of the tags, "+
			"eight at a time, times %d", heldTags, sampleTags, heldTags/sampleTags),
		Rounds: 1, // it takes long enough to be steady
		Setup:  retentionSetup,
	}}
}

func retentionSetup(ctx context.Context, l *Lab) (Setup, error) {
	if err := l.target.wipe(ctx); err != nil {
		return Setup{}, err
	}
	names, err := fillRepository(filepath.Join(l.target.dir, "docker/registry/v2"), "berth/app")
	if err != nil {
		return Setup{}, err
	}
	dir := filepath.Join(l.dir, "retention")
	if err := l.commitFiles(ctx, dir, map[string]string{
		"VERSION": "1.2.3\n", "app/go.mod": "module example.com/app\n\ngo 1.26.0\n", "app/main.go": "package main\n",
		"berth.yaml": fmt.Sprintf(`apiVersion: berth/v1
project: bench
source: https://github.com/example/bench
version: {file: VERSION, gitTag: "v{version}"}
components: {app: {go: {dir: app}}}
registries: {bench: {kind: oci, prefix: %s/berth}}
tags: [{branch: "**", set: ["dev-{sha}"]}]
environments:
  dev: {registry: bench, retention: [{match: "keep-*", keep: forever}, {match: "*", keep: 30d}]}
`, l.target.host),
	}); err != nil {
		return Setup{}, err
	}
	s := Setup{
		LowerBound: 1 + heldTags, Why: "the list, and 1 look at each tag", Latency: 20 * time.Millisecond,
		Sides: []Side{{Name: "berth", Run: func(ctx context.Context) *exec.Cmd {
			return l.command(ctx, dir, nil, l.berth, "retention", "plan", "--env", "dev", "--format", "json")
		}}},
	}
	sample := strings.Join(names[:sampleTags], "\n") + "\n"
	for _, peer := range []struct{ name, script string }{
		{"crane", `"$TOOL" config "$REPOSITORY:$0"`},
		{"regctl", `"$TOOL" image inspect --format '{{.Created}}' "$REPOSITORY:$0"`},
		{"skopeo", `"$TOOL" inspect --tls-verify=false "docker://$REPOSITORY:$0"`},
	} {
		tool := l.peers[peer.name]
		if tool == "" {
			continue
		}
		s.Sides = append(s.Sides, Side{
			Name: peer.name + ", 8 at a time", Scale: heldTags / sampleTags,
			Run: func(ctx context.Context) *exec.Cmd {
				cmd := l.command(ctx, l.dir, []string{"TOOL=" + tool, "REPOSITORY=" + l.target.host + "/berth/app"},
					l.peers["xargs"], "-P", "8", "-n", "1", "sh", "-ec", peer.script)
				cmd.Stdin = strings.NewReader(sample)
				return cmd
			},
		})
	}
	return s, nil
}

// fillRepository writes images straight into the folder of docker-registry, for 10,000 tags by its API would take
// longer than all cases together. Half of the tags are kept by a rule, half are old.
func fillRepository(root, repository string) ([]string, error) {
	w := disk{root: root, repository: filepath.Join(root, "repositories", filepath.FromSlash(repository))}
	layer, err := w.blob(layerType, []byte("not a real layer, and never pulled"))
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range heldTags / 2 {
		digest, err := w.image(i, layer)
		if err != nil {
			return nil, err
		}
		kind := "keep"
		if i%2 == 0 {
			kind = "dev"
		}
		for _, suffix := range []string{"", "-again"} {
			name := fmt.Sprintf("%s-%05d%s", kind, i, suffix)
			if err := w.tag(name, digest); err != nil {
				return nil, err
			}
			names = append(names, name)
		}
	}
	return names, nil
}

// disk writes the files of one repository as docker-registry does.
type disk struct{ root, repository string }

func (w disk) image(i int, layer descriptor) (string, error) {
	index := manifest{SchemaVersion: 2, MediaType: indexType, Annotations: map[string]string{
		"org.opencontainers.image.title": "app", "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
		"org.opencontainers.image.version": fmt.Sprintf("1.0.%d", i),
	}}
	for _, arch := range []string{"amd64", "arm64"} {
		config, err := w.json(configType, map[string]any{
			"os": "linux", "architecture": arch, "created": "2026-01-02T03:04:05Z",
			"config": map[string]any{"Labels": map[string]string{"number": fmt.Sprint(i)}},
			"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layer.Digest}},
		}, "_layers")
		if err != nil {
			return "", err
		}
		d, err := w.json(manifestType, manifest{
			SchemaVersion: 2, MediaType: manifestType, Config: &config, Layers: []descriptor{layer},
		}, "_manifests/revisions")
		if err != nil {
			return "", err
		}
		d.Platform = &platform{OS: "linux", Architecture: arch}
		index.Manifests = append(index.Manifests, d)
	}
	d, err := w.json(indexType, index, "_manifests/revisions")
	return d.Digest, err
}

func (w disk) json(mediaType string, v any, links string) (descriptor, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	d, err := w.blob(mediaType, body)
	return d, errors.Join(err, w.link(filepath.Join(links, digestPath(d.Digest)), d.Digest))
}

func (w disk) blob(mediaType string, body []byte) (descriptor, error) {
	d := describeBytes(mediaType, body)
	hex := strings.TrimPrefix(d.Digest, "sha256:")
	return d, writeFile(filepath.Join(w.root, "blobs", "sha256", hex[:2], hex, "data"), body)
}

func (w disk) tag(name, digest string) error {
	at := filepath.Join("_manifests/tags", name)
	return errors.Join(w.link(filepath.Join(at, "current"), digest),
		w.link(filepath.Join(at, "index", digestPath(digest)), digest))
}

func (w disk) link(folder, digest string) error {
	return writeFile(filepath.Join(w.repository, folder, "link"), []byte(digest))
}

func digestPath(digest string) string { return strings.Replace(digest, ":", "/", 1) }

func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}

// commitFiles makes a repository with one commit.
func (l *Lab) commitFiles(ctx context.Context, dir string, files map[string]string) error {
	if err := removeAll(dir); err != nil {
		return err
	}
	for name, text := range files {
		if err := writeFile(filepath.Join(dir, name), []byte(text)); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"commit", "-q", "-m", "Start"}} {
		if out, err := l.command(ctx, dir, nil, l.peers["git"], args...).CombinedOutput(); err != nil {
			return fmt.Errorf("git %v: %w\n%s", args, err, out)
		}
	}
	return nil
}
