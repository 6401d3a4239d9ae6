package retention

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/registry"
)

// readers is how many manifests are read at once. The client's budget for each host holds below it.
const readers = 16

// maxConfig is the largest image configuration that is read, in bytes.
const maxConfig = 1 << 20

// labelExpiry makes Quay delete the tag of an image.
// Source: https://docs.quay.io/use_quay.html (section "Tag Expiration")
const labelExpiry = "quay.expires-after"

// Source is one repository over the registry API.
type Source interface {
	// Tags lists every tag.
	Tags(ctx context.Context) ([]string, error)
	// Manifest reads a manifest by tag or digest.
	Manifest(ctx context.Context, ref string) ([]byte, ocispec.Descriptor, error)
	// Resolve asks for the descriptor of a tag or digest without reading it.
	Resolve(ctx context.Context, ref string) (ocispec.Descriptor, error)
	// Fetch opens a blob.
	Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error)
}

// Lister lists a repository by an interface of the registry's own that tells more than the registry API.
type Lister interface {
	// List returns the tags with the digests and times that the registry knows. Manifests need not be read.
	List(ctx context.Context) (Repository, error)
}

// reader reads what is behind the tags.
type reader struct {
	source Source
	policy Policy
	kind   registry.Kind

	mu   sync.Mutex
	repo Repository
}

// Observe looks at a repository. Without a lister, every tag costs one request, and the age of an image that does not
// say it in an annotation two more. With one, tags come in pages, and only manifests that decide something are read. A
// repository that does not exist yet is empty.
func Observe(
	ctx context.Context, name string, kind registry.Kind, s Source, l Lister, p Policy, used InUse,
) (Repository, error) {
	r := &reader{
		source: s, policy: p, kind: kind, repo: Repository{Name: name, Manifests: map[string]Manifest{}},
	}
	var err error
	if l == nil {
		err = r.readTags(ctx)
	} else {
		err = r.readListed(ctx, l, used)
	}
	if errors.Is(err, registry.ErrNotFound) {
		return Repository{Name: name}, nil
	}
	if err != nil {
		return r.repo, err
	}
	return r.repo, r.findGone(ctx)
}

// findGone looks for the images that attached tags belong to, where nothing else told of them: a run that broke off may
// have deleted the image and left what belongs to it.
func (r *reader) findGone(ctx context.Context) error {
	r.repo.Gone = map[string]bool{}
	tagged := map[string]bool{}
	for _, t := range r.repo.Tags {
		tagged[t.Digest] = true
	}
	for _, t := range r.repo.Tags {
		subject, ok := subjectOf(t.Name)
		if _, known := r.repo.Manifests[subject]; !ok || known || tagged[subject] {
			continue
		}
		_, err := r.source.Resolve(ctx, subject)
		if err != nil && !errors.Is(err, registry.ErrNotFound) {
			return err
		}
		r.repo.Gone[subject] = err != nil
	}
	return nil
}

// readTags reads the manifest of every tag.
func (r *reader) readTags(ctx context.Context) error {
	names, err := r.source.Tags(ctx)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for _, name := range names {
		g.Go(func() error {
			body, desc, err := r.source.Manifest(gctx, name)
			if errors.Is(err, registry.ErrNotFound) {
				return nil // deleted meanwhile
			}
			if err != nil {
				return err
			}
			r.mu.Lock()
			r.repo.Tags = append(r.repo.Tags, Tag{Name: name, Digest: desc.Digest.String()})
			r.mu.Unlock()
			return r.take(gctx, desc.Digest.String(), body, r.wanted(name))
		})
	}
	return g.Wait()
}

// readListed reads those manifests of a listed repository that decide something: all, where manifests are deleted with
// their children, and where something in use was not found among the tags; else none.
func (r *reader) readListed(ctx context.Context, l Lister, used InUse) error {
	listed, err := l.List(ctx)
	if errors.Is(err, registry.ErrUnsupported) {
		return r.readTags(ctx)
	}
	if err != nil {
		return err
	}
	listed.Name = r.repo.Name
	r.repo = listed
	if r.repo.Manifests == nil {
		r.repo.Manifests = map[string]Manifest{}
	}
	var digests []string
	if listed.Complete {
		for digest := range listed.Manifests {
			digests = append(digests, digest)
		}
	} else if r.unknownInUse(used) {
		for _, t := range listed.Tags {
			if r.policy.mayExpire(t.Name) {
				digests = append(digests, t.Digest)
			}
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for _, digest := range digests {
		g.Go(func() error {
			body, _, err := r.source.Manifest(gctx, digest)
			if errors.Is(err, registry.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			return r.take(gctx, digest, body, details{})
		})
	}
	return g.Wait()
}

// unknownInUse reports whether something runs that no tag names: it may be one platform of what a tag names.
func (r *reader) unknownInUse(used InUse) bool {
	tagged := map[string]bool{}
	for _, t := range r.repo.Tags {
		tagged[t.Digest] = true
	}
	for digest := range used.Digests {
		if !tagged[digest] {
			return true
		}
	}
	return false
}

// details are what is looked up in the configuration of an image.
type details struct{ age, expiry bool }

// wanted are the details that can decide about a tag.
func (r *reader) wanted(tag string) details {
	if _, isAttached := subjectOf(tag); isAttached {
		return details{}
	}
	may := r.policy.mayExpire(tag)
	return details{age: may, expiry: !may && r.kind == registry.Quay}
}

// content is the part of manifests and indexes that is read.
type content struct {
	Config      *ocispec.Descriptor  `json:"config"`
	Manifests   []ocispec.Descriptor `json:"manifests"`
	Subject     *ocispec.Descriptor  `json:"subject"`
	Annotations map[string]string    `json:"annotations"`
}

// take keeps what a manifest says.
func (r *reader) take(ctx context.Context, digest string, body []byte, want details) error {
	var c content
	if err := json.Unmarshal(body, &c); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.repo.Opaque = true
		return nil
	}
	r.mu.Lock()
	m := r.repo.Manifests[digest]
	r.mu.Unlock()
	m.Digest, m.Read = digest, true
	m.Children = nil
	for _, child := range c.Manifests {
		m.Children = append(m.Children, child.Digest.String())
	}
	if c.Subject != nil {
		m.Subject = c.Subject.Digest.String()
	}
	if at, err := time.Parse(time.RFC3339, c.Annotations[ocispec.AnnotationCreated]); err == nil {
		m.Created = at
	}
	if want.expiry || want.age && m.Created.IsZero() {
		if err := r.look(ctx, c, &m); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.repo.Manifests[digest] = m
	return nil
}

// look reads the configuration of an image, for an index that of its first one.
func (r *reader) look(ctx context.Context, c content, m *Manifest) error {
	if c.Config == nil && len(c.Manifests) > 0 {
		body, _, err := r.source.Manifest(ctx, c.Manifests[0].Digest.String())
		if errors.Is(err, registry.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		c = content{}
		if err := json.Unmarshal(body, &c); err != nil {
			return nil
		}
	}
	if c.Config == nil || c.Config.Size > maxConfig {
		return nil
	}
	body, err := r.source.Fetch(ctx, *c.Config)
	if errors.Is(err, registry.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	var image struct {
		Created time.Time `json:"created"`
		Config  struct {
			Labels map[string]string `json:"Labels"`
		} `json:"config"`
	}
	if err := json.NewDecoder(io.LimitReader(body, maxConfig)).Decode(&image); err != nil {
		return nil // not the configuration of an image
	}
	// Some tools write the beginning of the epoch, or of the calendar, for "not known".
	if m.Created.IsZero() && image.Created.Unix() > 0 {
		m.Created = image.Created
	}
	m.Expiry = image.Config.Labels[labelExpiry]
	return nil
}
