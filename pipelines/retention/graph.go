package retention

// graph is how the manifests of a repository need each other.
type graph struct {
	needs   map[string][]string // an index its children, an attachment its subject, an image what is attached to it
	parents map[string][]string // a child the indexes that hold it
}

func graphOf(r Repository) graph {
	g := graph{needs: map[string][]string{}, parents: map[string][]string{}}
	for digest, m := range r.Manifests {
		for _, child := range m.Children {
			g.needs[digest] = append(g.needs[digest], child)
			g.parents[child] = append(g.parents[child], digest)
		}
		if m.Subject != "" {
			g.needs[digest] = append(g.needs[digest], m.Subject)
			g.needs[m.Subject] = append(g.needs[m.Subject], digest)
		}
	}
	for _, t := range r.Tags {
		if subject, ok := subjectOf(t.Name); ok {
			g.needs[subject] = append(g.needs[subject], t.Digest)
		}
	}
	return g
}

// closure is everything that the roots need, and the roots.
func (g graph) closure(roots []string) map[string]bool {
	return walk(g.needs, roots)
}

// containing is everything that holds one of the digests, and the digests.
func (g graph) containing(digests map[string]bool) map[string]bool {
	var roots []string
	for d := range digests {
		roots = append(roots, d)
	}
	return walk(g.parents, roots)
}

func walk(edges map[string][]string, roots []string) map[string]bool {
	seen := map[string]bool{}
	for len(roots) > 0 {
		last := roots[len(roots)-1]
		roots = roots[:len(roots)-1]
		if !seen[last] {
			seen[last] = true
			roots = append(roots, edges[last]...)
		}
	}
	return seen
}
