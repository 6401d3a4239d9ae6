package image

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/fault"
)

const author = "berth"

// componentName is what a component may be called here: a file name in the image and part of one in WorkDir.
var componentName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Binary is a component's executable for one platform.
type Binary struct {
	Platform ocispec.Platform
	// Path is the local file.
	Path string
	// Digest is that of the file's content; empty is not known.
	Digest digest.Digest
}

// Spec says what an image is made of. Everything in it that is written into the image comes from the commit.
type Spec struct {
	// Component names the executable: it becomes /app/<component>.
	Component string
	// Title, Source, Revision and Version become the labels and annotations org.opencontainers.image.title, .source,
	// .revision and .version; an empty one is left out.
	Title, Source, Revision, Version string
	// Created is the time of the commit, or SOURCE_DATE_EPOCH. Files carry it in whole seconds.
	Created time.Time
	// CommitTime is the time of the commit. It is told apart only where it is not Created; zero is the same as Created.
	CommitTime time.Time
	// Labels are the user's own, in the configuration only. They win over the labels above.
	Labels map[string]string
	// Base is what the executable is put on.
	Base Base
	// Bases are what the images of a builder of Dockerfiles stand on, by platform as [PlatformString] writes it; only
	// their names and digests count. What stands on nothing, or on something that is not known, is left out.
	Bases map[string]Base
	// Binaries are the executables, one a platform, in any order.
	Binaries []Binary
	// WorkDir is a folder for layer files. The caller owns it and removes it when the image is no longer needed. Two
	// calls at a time need different components or different folders.
	WorkDir string
	// Store keeps layers between runs; nil keeps none.
	Store Store
}

// Assemble makes the image. Layers are written to files in WorkDir, streamed, all platforms in parallel; what is wrong
// with the Spec is a fault with code [fault.Usage].
func Assemble(ctx context.Context, s Spec) (Index, error) {
	if err := s.check(); err != nil {
		return Index{}, err
	}
	s.Created = s.Created.UTC().Truncate(time.Second)
	binaries := slices.Clone(s.Binaries)
	for i, b := range binaries {
		binaries[i].Platform = NormalizePlatform(b.Platform)
	}
	slices.SortFunc(binaries, func(a, b Binary) int {
		return cmp.Compare(PlatformString(a.Platform), PlatformString(b.Platform))
	})
	children := make([][]Blob, len(binaries))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, b := range binaries {
		group.Go(func() (err error) {
			if children[i], err = s.child(ctx, b); err != nil {
				return &fault.Error{
					Op: "assemble", Subject: s.Component + " for " + PlatformString(b.Platform),
					Err: err, Code: fault.CodeOf(err),
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return Index{}, err
	}
	platforms := make([]ocispec.Platform, len(binaries))
	for i, b := range binaries {
		platforms[i] = b.Platform
	}
	return s.index(platforms, children)
}

func (s Spec) check() error {
	if err := s.checkFacts(); err != nil {
		return err
	}
	platforms := make([]ocispec.Platform, len(s.Binaries))
	for i, b := range s.Binaries {
		platforms[i] = b.Platform
	}
	return s.checkPlatforms(platforms)
}

func (s Spec) checkFacts() error {
	if !componentName.MatchString(s.Component) {
		return fault.New(fault.Usage, s.Component, "use letters, digits, '.', '_' and '-', at most 100 of them",
			"%q cannot be the name of a component", s.Component)
	}
	if s.Created.Unix() < 0 {
		return fault.New(fault.Usage, s.Component, "", "the creation time %s is before 1970", s.Created)
	}
	return nil
}

func (s Spec) checkPlatforms(platforms []ocispec.Platform) error {
	if len(platforms) == 0 {
		return fault.New(fault.Usage, s.Component, "Name at least one platform.", "there is no platform to assemble")
	}
	seen := map[string]bool{}
	for _, platform := range platforms {
		p := PlatformString(platform)
		if seen[p] {
			return fault.New(fault.Usage, s.Component, "Name each platform once.", "platform %s is there twice", p)
		}
		seen[p] = true
	}
	return nil
}

// index puts the platforms' manifests, which are the first blob of each child, under one index.
func (s Spec) index(platforms []ocispec.Platform, children [][]Blob) (Index, error) {
	x := Index{Component: s.Component, blobs: map[digest.Digest]Blob{}}
	x.Manifest = ocispec.Index{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageIndex,
		Annotations: s.annotations(),
	}
	for i, blobs := range children {
		d := blobs[0].Descriptor
		d.Platform = &platforms[i]
		x.Manifest.Manifests = append(x.Manifest.Manifests, d)
		for _, b := range blobs {
			x.blobs[b.Descriptor.Digest] = b
		}
	}
	blob, err := jsonBlob(ocispec.MediaTypeImageIndex, x.Manifest)
	if err != nil {
		return Index{}, err
	}
	x.Descriptor = blob.Descriptor
	x.blobs[x.Descriptor.Digest] = blob
	return x, nil
}

// child makes manifest, configuration and layers of one platform, in this order.
func (s Spec) child(ctx context.Context, b Binary) ([]Blob, error) {
	base, err := s.Base.forPlatform(ctx, b.Platform)
	if err != nil {
		return nil, err
	}
	app, diffID, err := s.appLayer(ctx, b)
	if err != nil {
		return nil, err
	}
	created := s.Created
	labels := s.annotations()
	maps.Copy(labels, s.Labels)
	config, err := jsonBlob(ocispec.MediaTypeImageConfig, ocispec.Image{
		Created:  &created,
		Author:   author,
		Platform: b.Platform,
		Config: ocispec.ImageConfig{
			User:       base.user,
			Env:        base.env,
			Entrypoint: []string{"/app/" + s.Component},
			WorkingDir: "/",
			Labels:     labels,
		},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: append(slices.Clone(base.diffIDs), diffID)},
		History: append(slices.Clone(base.history), ocispec.History{
			Created: &created, Author: author, CreatedBy: "berth: /app/" + s.Component,
		}),
	})
	if err != nil {
		return nil, err
	}
	layers := append(slices.Clone(base.layers), app)
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    config.Descriptor,
	}
	for _, l := range layers {
		manifest.Layers = append(manifest.Layers, l.Descriptor)
	}
	top, err := jsonBlob(ocispec.MediaTypeImageManifest, manifest)
	if err != nil {
		return nil, err
	}
	return append([]Blob{top, config}, layers...), nil
}

// AnnotationCommitTime is the time of an image's commit, where SOURCE_DATE_EPOCH makes the image look older or newer.
// Floating tags follow the order of commits.
const AnnotationCommitTime = "sh.berth.commit.time"

func (s Spec) commitTime() string {
	if s.CommitTime.IsZero() || s.CommitTime.Equal(s.Created) {
		return ""
	}
	return s.CommitTime.UTC().Format(time.RFC3339)
}

// annotations are the standard keys of the OCI image specification that have a value, and the commit's time where it is
// not the image's.
func (s Spec) annotations() map[string]string {
	all := map[string]string{
		ocispec.AnnotationTitle:           s.Title,
		ocispec.AnnotationSource:          s.Source,
		ocispec.AnnotationRevision:        s.Revision,
		ocispec.AnnotationCreated:         s.Created.Format(time.RFC3339),
		AnnotationCommitTime:              s.commitTime(),
		ocispec.AnnotationVersion:         s.Version,
		ocispec.AnnotationBaseImageName:   s.Base.Name,
		ocispec.AnnotationBaseImageDigest: s.Base.Digest.String(),
	}
	maps.DeleteFunc(all, func(_, v string) bool { return v == "" })
	return all
}
