package image

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Adopt makes the image of what a builder of Dockerfiles built: layouts are OCI image layouts, folders or tar archives,
// that together hold a manifest for each of the platforms. Layers are kept byte for byte and read from the layouts when
// the image is copied, so that the caller keeps those until then. Index, annotations and labels are those of
// [Assemble], with those of the Spec's Bases; its Base and Binaries are not used. Attestations are taken out of the
// builder's index, because they would make the digest another one in every build: they are [Index.Attestations]. A
// platform that was not built is a fault with code [fault.Failed].
func Adopt(ctx context.Context, s Spec, platforms []ocispec.Platform, layouts ...string) (Index, error) {
	if err := s.checkFacts(); err != nil {
		return Index{}, err
	}
	if err := s.checkPlatforms(platforms); err != nil {
		return Index{}, err
	}
	s.Created = s.Created.UTC().Truncate(time.Second)
	found := newFindings()
	for _, layout := range layouts {
		if err := findBuilt(ctx, layout, found); err != nil {
			return Index{}, &fault.Error{Op: "read what was built of", Subject: s.Component, Err: err, Code: fault.Failed}
		}
	}
	platforms = slices.Clone(platforms)
	for i, p := range platforms {
		platforms[i] = NormalizePlatform(p)
	}
	slices.SortFunc(platforms, func(a, b ocispec.Platform) int {
		return strings.Compare(PlatformString(a), PlatformString(b))
	})
	return s.adoptAll(ctx, platforms, found)
}

// adoptAll makes the image of what was found in the layouts.
func (s Spec) adoptAll(ctx context.Context, platforms []ocispec.Platform, found *findings) (Index, error) {
	children := make([][]Blob, len(platforms))
	var said [][]attested
	for i, p := range platforms {
		b, ok := found.images[PlatformString(p)]
		if !ok {
			return Index{}, fault.New(fault.Failed, s.Component+" for "+PlatformString(p),
				"leave the platform out, or use a base image that has it",
				"the builder made no image for it, but for %s", strings.Join(slices.Sorted(maps.Keys(found.images)), ", "))
		}
		broken := func(err error) error {
			return &fault.Error{
				Op: "read what was built of", Subject: s.Component + " for " + PlatformString(p), Err: err, Code: fault.Failed,
			}
		}
		var err error
		if children[i], err = s.on(p).adopt(b); err != nil {
			return Index{}, broken(err)
		}
		statements, err := s.attest(ctx, p, children[i][0].Descriptor, b, found.statements[b.digest])
		if err != nil {
			return Index{}, broken(err)
		}
		said = append(said, statements)
	}
	x, err := s.on(platforms...).index(platforms, children)
	if err != nil {
		return Index{}, err
	}
	for _, statements := range said {
		for _, one := range statements {
			x.attach(one)
		}
	}
	return x, nil
}

// on is the Spec with the base of platforms, where all have the same.
func (s Spec) on(platforms ...ocispec.Platform) Spec {
	s.Base = s.Bases[PlatformString(platforms[0])]
	for _, p := range platforms {
		if other := s.Bases[PlatformString(p)]; other.Name != s.Base.Name || other.Digest != s.Base.Digest {
			s.Base = Base{}
		}
	}
	return s
}

// built is the image of one platform in a layout.
type built struct {
	from     *archive
	digest   digest.Digest
	manifest ocispec.Manifest
	config   []byte
}

// findings are what builders wrote into layouts.
type findings struct {
	// images by their platform.
	images map[string]built
	// statements about a manifest, by its digest.
	statements map[digest.Digest][]statements
}

func newFindings() *findings {
	return &findings{images: map[string]built{}, statements: map[digest.Digest][]statements{}}
}

// findBuilt adds the images of a layout, and what is said of them.
func findBuilt(ctx context.Context, layout string, found *findings) error {
	a, err := openArchive(layout)
	if err != nil {
		return err
	}
	index, err := a.index()
	if err != nil {
		return err
	}
	return a.find(ctx, index.Manifests, maxDepth, found)
}

func (a *archive) find(
	ctx context.Context, manifests []ocispec.Descriptor, depth int, found *findings,
) error {
	if depth == 0 {
		return fmt.Errorf("%s: indexes are nested more than %d deep", a.path, maxDepth)
	}
	for _, d := range manifests {
		switch {
		case IsAttestation(d):
			if err := a.findStatements(ctx, d, found); err != nil {
				return err
			}
			continue
		case isIndex(d.MediaType):
			var index ocispec.Index
			if err := fetchJSON(ctx, a, d, &index); err != nil {
				return err
			}
			if err := a.find(ctx, index.Manifests, depth-1, found); err != nil {
				return err
			}
			continue
		case !isManifest(d.MediaType):
			return fmt.Errorf("%s: media type %q is neither manifest nor index", d.Digest, d.MediaType)
		}
		b := built{from: a, digest: d.Digest}
		if err := fetchJSON(ctx, a, d, &b.manifest); err != nil {
			return err
		}
		var err error
		if b.config, err = fetchSmall(ctx, a, b.manifest.Config); err != nil {
			return err
		}
		var platform ocispec.Platform
		if err := json.Unmarshal(b.config, &platform); err != nil {
			return fmt.Errorf("%s: %w", b.manifest.Config.Digest, err)
		}
		found.images[PlatformString(platform)] = b
	}
	return nil
}

// adopt makes manifest, configuration and layers of one platform, in this order.
func (s Spec) adopt(b built) ([]Blob, error) {
	config, err := s.adoptConfig(b.config)
	if err != nil {
		return nil, err
	}
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    config.Descriptor,
		Layers:    []ocispec.Descriptor{},
	}
	layers := make([]Blob, 0, len(b.manifest.Layers))
	seen := map[digest.Digest]bool{}
	for _, l := range b.manifest.Layers {
		media, ok := layerMediaType(l.MediaType)
		if !ok {
			return nil, fmt.Errorf("layer %s has the media type %q, which berth does not know", l.Digest, l.MediaType)
		}
		d := ocispec.Descriptor{
			MediaType: media, Digest: l.Digest, Size: l.Size, Annotations: layerAnnotations(l.Annotations),
		}
		manifest.Layers = append(manifest.Layers, d)
		if !seen[d.Digest] { // some images have the empty layer more than once
			seen[d.Digest] = true
			layers = append(layers, fetchBlob(d, b.from))
		}
	}
	top, err := jsonBlob(ocispec.MediaTypeImageManifest, manifest)
	if err != nil {
		return nil, err
	}
	return append([]Blob{top, config}, layers...), nil
}

// layerAnnotations keeps what says how a layer is packed, such as the table of contents of eStargz, and drops the notes
// of the builder to itself.
func layerAnnotations(all map[string]string) map[string]string {
	kept := maps.Clone(all)
	maps.DeleteFunc(kept, func(k, _ string) bool {
		return strings.HasPrefix(k, "buildkit/") || k == "containerd.io/uncompressed"
	})
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// adoptConfig adds the labels to a configuration and makes no time in it later than the image. All else stays, also
// what the OCI specification does not name, such as Docker's health checks.
func (s Spec) adoptConfig(data []byte) (Blob, error) {
	all := object{}
	if err := json.Unmarshal(data, &all); err != nil {
		return Blob{}, err
	}
	var settings object
	if err := all.get("config", &settings); err != nil {
		return Blob{}, err
	}
	if settings == nil {
		settings = object{}
	}
	labels := map[string]string{}
	if err := settings.get("Labels", &labels); err != nil {
		return Blob{}, err
	}
	if labels == nil { // written as null
		labels = map[string]string{}
	}
	if s.Base.Name != "" { // what a base image says of its own base is not true of what is built on it
		delete(labels, ocispec.AnnotationBaseImageName)
		delete(labels, ocispec.AnnotationBaseImageDigest)
	}
	maps.Copy(labels, s.annotations())
	maps.Copy(labels, s.Labels)
	if err := settings.set("Labels", labels); err != nil {
		return Blob{}, err
	}
	if err := all.set("config", settings); err != nil {
		return Blob{}, err
	}
	if err := all.set("created", s.Created); err != nil {
		return Blob{}, err
	}
	if err := s.clampHistory(all); err != nil {
		return Blob{}, err
	}
	return jsonBlob(ocispec.MediaTypeImageConfig, all)
}

// clampHistory makes no step of a configuration's history later than the image.
func (s Spec) clampHistory(config object) error {
	var history []object
	if err := config.get("history", &history); err != nil || history == nil {
		return err
	}
	for _, step := range history {
		if step == nil { // written as null
			continue
		}
		var at time.Time
		if err := step.get("created", &at); err != nil {
			return err
		}
		if at.After(s.Created) {
			if err := step.set("created", s.Created); err != nil {
				return err
			}
		}
	}
	return config.set("history", history)
}

// object is a JSON object whose fields are kept as they are unless they are set.
type object map[string]json.RawMessage

// get reads a field; one that is not there leaves the value alone.
func (o object) get(name string, into any) error {
	data, ok := o[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("configuration: %s: %w", name, err)
	}
	return nil
}

func (o object) set(name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	o[name] = data
	return nil
}
