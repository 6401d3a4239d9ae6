package retention

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/registry"
)

// held is a registry in memory that deletes as the specification says.
type held struct {
	repo  Repository
	untag bool // whether a tag can be deleted alone
}

func (h *held) Tags(context.Context) ([]string, error) {
	var names []string
	for _, t := range h.repo.Tags {
		names = append(names, t.Name)
	}
	return names, nil
}

func (h *held) Resolve(_ context.Context, ref string) (ocispec.Descriptor, error) {
	for _, t := range h.repo.Tags {
		if t.Name == ref {
			return ocispec.Descriptor{Digest: digest.Digest(t.Digest)}, nil
		}
	}
	return ocispec.Descriptor{}, registry.ErrNotFound
}

func (h *held) Delete(_ context.Context, name string) error {
	if _, ok := h.repo.Manifests[name]; !ok {
		return registry.ErrNotFound
	}
	delete(h.repo.Manifests, name)
	h.drop(func(t Tag) bool { return t.Digest == name })
	return nil
}

func (h *held) Untag(_ context.Context, tag string) error {
	if !h.untag {
		return registry.ErrUnsupported
	}
	h.drop(func(t Tag) bool { return t.Name == tag })
	return nil
}

func (h *held) drop(goes func(Tag) bool) {
	var left []Tag
	for _, t := range h.repo.Tags {
		if !goes(t) {
			left = append(left, t)
		}
	}
	h.repo.Tags = left
}

// observed is what [Observe] would find.
func (h *held) observed() Repository {
	out := h.repo
	out.Gone = map[string]bool{}
	for _, t := range out.Tags {
		if subject, ok := subjectOf(t.Name); ok && out.Manifests[subject].Digest == "" {
			out.Gone[subject] = true
		}
	}
	return out
}

// serial carries out one deletion at a time, and may break off.
type serial struct {
	Distribution
	turn  chan struct{}
	after int // deletions; -1 for no end
}

func (s *serial) Remove(ctx context.Context, d Deletion) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.after == 0 {
		return context.Canceled
	}
	s.after--
	return s.Distribution.Remove(ctx, d)
}

// random makes a repository: images, indexes that share them, indexes of indexes, things attached to any of these by
// the API or by a tag, and tags on all of them.
func random(r *rand.Rand, complete bool) Repository {
	out := Repository{Name: "quay.io/acme/web", Complete: complete, Manifests: map[string]Manifest{}}
	var digests []string
	add := func(m Manifest) {
		m.Digest, m.Read = fmt.Sprintf("sha256:%064x", len(digests)+1), true
		out.Manifests[m.Digest] = m
		digests = append(digests, m.Digest)
	}
	pick := func() string { return digests[r.IntN(len(digests))] }
	for range 2 + r.IntN(6) {
		add(Manifest{})
	}
	for range r.IntN(8) {
		m := Manifest{}
		for range 1 + r.IntN(3) {
			m.Children = append(m.Children, pick())
		}
		add(m)
	}
	for range r.IntN(6) {
		add(Manifest{Subject: pick()})
	}
	for range r.IntN(3) { // fallback indexes and signatures
		subject := pick()
		add(Manifest{Children: []string{pick()}})
		name := "sha256-" + subject[7:] + []string{"", ".sig"}[r.IntN(2)]
		if !slices.ContainsFunc(out.Tags, func(t Tag) bool { return t.Name == name }) {
			out.Tags = append(out.Tags, Tag{Name: name, Digest: digests[len(digests)-1]})
		}
	}
	kinds := []string{"dev-%07x", "test-%d", "v1.0.%d", "staging-%d", "somebodys-%d"}
	for i := range 1 + r.IntN(12) {
		t := Tag{Name: fmt.Sprintf(kinds[r.IntN(len(kinds))], i), Digest: pick()}
		if r.IntN(5) > 0 {
			t.Pushed = now().Add(-time.Duration(r.IntN(120)) * day)
		}
		out.Tags = append(out.Tags, t)
	}
	out.Tags = append(out.Tags, Tag{Name: "dev-latest", Digest: pick(), Pushed: now().Add(-900 * day)})
	return out
}

// needs is everything that must be there for a manifest: an independent, slower account of what decide.go computes.
func (h *held) needs(root string, seen map[string]bool) {
	if seen[root] {
		return
	}
	seen[root] = true
	for _, child := range h.repo.Manifests[root].Children {
		h.needs(child, seen)
	}
	for name, m := range h.repo.Manifests {
		if m.Subject == root {
			h.needs(name, seen)
		}
	}
	for _, t := range h.repo.Tags {
		if subject, ok := subjectOf(t.Name); ok && subject == root {
			h.needs(t.Digest, seen)
		}
	}
}

// Whatever a registry holds, and wherever a run breaks off: all that a kept tag needs is there afterwards, what runs is
// there, and a second run finds nothing more to do.
func TestNothingNeededIsEverDeleted(t *testing.T) {
	t.Parallel()
	rounds := 4000
	if testing.Short() {
		rounds = 400
	}
	policies := []Policy{PolicyOf(kubernaut(t), "dev"), PolicyOf(kubernaut(t), "staging")}
	deletions := 0
	for seed := range rounds {
		r := rand.New(rand.NewPCG(1, uint64(seed)))
		policy := policies[seed%2]
		h := &held{repo: random(r, r.IntN(2) == 0), untag: r.IntN(2) == 0}
		used := InUse{Digests: map[string]bool{}}
		for _, name := range slices.Sorted(maps.Keys(h.repo.Manifests)) {
			if r.IntN(12) == 0 {
				used.Digests[name] = true
			}
		}
		must := map[string]bool{}
		plan := Decide(h.observed(), policy, used, now())
		for _, v := range plan.Tags {
			if _, isAttached := subjectOf(v.Tag); v.Action == Keep && !isAttached {
				h.needs(v.Digest, must)
			}
			if why := policy.protects(v.Tag); why != "" && v.Action != Keep {
				t.Fatalf("seed %d: %s expires although %s", seed, v.Tag, why)
			}
		}
		for name := range used.Digests {
			h.needs(name, must)
		}
		before := map[string]bool{}
		for name := range h.repo.Manifests {
			before[name] = true
		}
		for _, after := range []int{r.IntN(3), -1} {
			plan := Decide(h.observed(), policy, used, now())
			out, err := Apply(t.Context(), plan, h, &serial{
				Distribution: Distribution{h}, turn: make(chan struct{}, 1), after: after,
			})
			if err != nil && after < 0 {
				t.Fatalf("seed %d: %v", seed, err)
			}
			deletions += out.Manifests
			for name := range must {
				if _, ok := h.repo.Manifests[name]; !ok && before[name] {
					t.Fatalf("seed %d: %s is needed and gone", seed, name)
				}
			}
		}
		again := Decide(h.observed(), policy, used, now())
		for _, d := range again.Delete {
			if h.untag || d.Manifest {
				t.Fatalf("seed %d: a second run would delete %+v", seed, d)
			}
		}
	}
	if deletions < rounds/4 {
		t.Errorf("only %d deletions in %d rounds: the test tests nothing", deletions, rounds)
	}
}
