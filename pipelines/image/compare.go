package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Difference is one thing that two builds of an image do not have in common.
type Difference struct {
	// Platform is that of the image, "" for what stands in the index.
	Platform string `json:"platform"`
	// Where is a part of the image: "configuration", "layer 2", counted from 1 at the bottom.
	Where string `json:"where"`
	// Path is the file in the layer or the field of the document; "" for the part as a whole.
	Path string `json:"path"`
	// What differs, in a few words with both values.
	What string `json:"what"`
}

// String is the difference in one line.
func (d Difference) String() string {
	return strings.TrimSpace(strings.Join([]string{d.Platform, d.Where, d.Path}, " ")) + ": " + d.What
}

// Compare says what differs between two images of a component, down to the files of their layers. Images with the same
// digest have no difference, and nothing of them is read.
func Compare(ctx context.Context, a, b Index) ([]Difference, error) {
	if a.Descriptor.Digest == b.Descriptor.Digest {
		return nil, nil
	}
	out := compareMaps("", "annotations", a.Manifest.Annotations, b.Manifest.Annotations)
	for _, child := range a.Manifest.Manifests {
		platform := PlatformString(*child.Platform)
		other, ok := pickPlatform(b.Manifest.Manifests, *child.Platform)
		if !ok {
			out = append(out, Difference{Platform: platform, Where: "index", What: "only the first build has this platform"})
			continue
		}
		if child.Digest == other.Digest {
			continue
		}
		found, err := compareChildren(ctx, platform, a, b, child, other)
		if err != nil {
			return nil, fmt.Errorf("compare %s for %s: %w", a.Component, platform, err)
		}
		out = append(out, found...)
	}
	return out, nil
}

func compareChildren(ctx context.Context, platform string, a, b Index, x, y ocispec.Descriptor) ([]Difference, error) {
	var first, second ocispec.Manifest
	if err := fetchJSON(ctx, a, x, &first); err != nil {
		return nil, err
	}
	if err := fetchJSON(ctx, b, y, &second); err != nil {
		return nil, err
	}
	var out []Difference
	if first.Config.Digest != second.Config.Digest {
		found, err := compareConfigs(ctx, platform, a, b, first.Config, second.Config)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	if len(first.Layers) != len(second.Layers) {
		return append(out, Difference{
			Platform: platform, Where: "layers", What: fmt.Sprintf("%d and %d", len(first.Layers), len(second.Layers)),
		}), nil
	}
	for i, layer := range first.Layers {
		if layer.Digest == second.Layers[i].Digest {
			continue
		}
		found, err := compareLayers(ctx, a, b, layer, second.Layers[i])
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			d.Platform, d.Where = platform, fmt.Sprintf("layer %d", i+1)
			out = append(out, d)
		}
	}
	return out, nil
}

// compareConfigs leaves out the digests of layers, which are compared as layers.
func compareConfigs(
	ctx context.Context, platform string, a, b Index, x, y ocispec.Descriptor,
) ([]Difference, error) {
	first, second := map[string]string{}, map[string]string{}
	for _, side := range []struct {
		from Index
		desc ocispec.Descriptor
		into map[string]string
	}{{a, x, first}, {b, y, second}} {
		data, err := fetchSmall(ctx, side.from, side.desc)
		if err != nil {
			return nil, err
		}
		var document any
		if err := json.Unmarshal(data, &document); err != nil {
			return nil, err
		}
		flatten("", document, side.into)
	}
	layers := func(name, _ string) bool { return strings.HasPrefix(name, "rootfs.") }
	maps.DeleteFunc(first, layers)
	maps.DeleteFunc(second, layers)
	return compareMaps(platform, "configuration", first, second), nil
}

// flatten writes the values of a JSON document under their paths.
func flatten(at string, v any, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			flatten(strings.TrimPrefix(at+"."+k, "."), child, into)
		}
	case []any:
		for i, child := range v {
			flatten(fmt.Sprintf("%s[%d]", at, i), child, into)
		}
	default:
		into[at] = fmt.Sprint(v)
	}
}

func compareMaps(platform, where string, first, second map[string]string) []Difference {
	var out []Difference
	keys := maps.Clone(first)
	if keys == nil {
		keys = map[string]string{}
	}
	maps.Copy(keys, second)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		x, inFirst := first[k]
		y, inSecond := second[k]
		d := Difference{Platform: platform, Where: where, Path: k}
		switch {
		case inFirst && inSecond && x == y:
			continue
		case !inSecond:
			d.What = "only the first build has it"
		case !inFirst:
			d.What = "only the second build has it"
		default:
			d.What = fmt.Sprintf("%q and %q", x, y)
		}
		out = append(out, d)
	}
	return out
}

// member is what a layer says of a file.
type member struct {
	header  *tar.Header
	content string // its hash
	order   int
}

func compareLayers(ctx context.Context, a, b Index, x, y ocispec.Descriptor) ([]Difference, error) {
	first, err := members(ctx, a, x)
	if err != nil {
		return nil, err
	}
	second, err := members(ctx, b, y)
	if err != nil {
		return nil, err
	}
	var out []Difference
	names := maps.Clone(first)
	maps.Copy(names, second)
	moved := 0
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f, inFirst := first[name]
		s, inSecond := second[name]
		switch {
		case !inSecond:
			out = append(out, Difference{Path: name, What: "only the first build has it"})
		case !inFirst:
			out = append(out, Difference{Path: name, What: "only the second build has it"})
		default:
			out = append(out, compareMembers(name, f, s)...)
			if f.order != s.order {
				moved++
			}
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case moved > 0:
		return []Difference{{What: "the same files in another order"}}, nil
	}
	return []Difference{{What: "the same files, packed in another way"}}, nil
}

func compareMembers(name string, f, s member) []Difference {
	var out []Difference
	differ := func(what string, x, y any) {
		if x != y {
			out = append(out, Difference{Path: name, What: fmt.Sprintf("%s %v and %v", what, x, y)})
		}
	}
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
	differ("type", string(f.header.Typeflag), string(s.header.Typeflag))
	differ("mode", fmt.Sprintf("%#o", f.header.Mode), fmt.Sprintf("%#o", s.header.Mode))
	differ("owner", f.header.Uid, s.header.Uid)
	differ("group", f.header.Gid, s.header.Gid)
	differ("modification time", stamp(f.header.ModTime), stamp(s.header.ModTime))
	differ("link to", f.header.Linkname, s.header.Linkname)
	if f.header.Size != s.header.Size {
		differ("size", f.header.Size, s.header.Size)
	} else {
		differ("content", f.content, s.content)
	}
	return out
}

// members reads a layer's files; a name that is there twice counts as the later one, as when it is unpacked.
func members(ctx context.Context, x Index, d ocispec.Descriptor) (map[string]member, error) {
	packed, err := x.Fetch(ctx, d)
	if err != nil {
		return nil, err
	}
	defer packed.Close()
	plain, closePlain, err := unpack(contextReader{ctx, packed}, d.MediaType)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", d.Digest, err)
	}
	defer closePlain()
	out := map[string]member{}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", d.Digest, err)
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, archive); err != nil { //nolint:gosec // hashed, not kept: it costs time alone
			return nil, fmt.Errorf("layer %s: %s: %w", d.Digest, header.Name, err)
		}
		out["/"+strings.TrimPrefix(header.Name, "./")] = member{
			header: header, content: "sha256:" + hex.EncodeToString(sum.Sum(nil))[:12], order: len(out),
		}
	}
}

// unpack removes a layer's compression.
func unpack(r io.Reader, mediaType string) (io.Reader, func(), error) {
	switch {
	case strings.HasSuffix(mediaType, "gzip"):
		plain, err := gzip.NewReader(r)
		return plain, func() {}, err
	case strings.HasSuffix(mediaType, "zstd"):
		plain, err := zstd.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return plain, plain.Close, nil
	default:
		return r, func() {}, nil
	}
}
