package promote_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/promote"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/retention"
)

// sequences of a normal run; BERTH_MODEL sets another number.
const sequences, steps = 2000, 7

// Thousands of random sequences of publishing, approving, promoting, rolling back, late jobs and crashes. After every
// step: no version tag has changed its digest, no floating tag went back without a rollback's record, nothing came to
// staging or production without its approvals and a record, and nothing that a tag names is incomplete.
func TestModel(t *testing.T) {
	t.Parallel()
	n := sequences
	if text, ok := os.LookupEnv("BERTH_MODEL"); ok {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	} else if testing.Short() || raceDetector {
		n = 80
	}
	const workers = 2
	images := &sync.Map{}
	var did [len(stepNames)][2]int
	var mu sync.Mutex
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for seed := w; seed < n && !t.Failed(); seed += workers {
				m := newModel(t, uint64(seed), images)
				m.run()
				mu.Lock()
				for i := range did {
					did[i][0] += m.did[i][0]
					did[i][1] += m.did[i][1]
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	for i, name := range stepNames {
		t.Logf("%-10s %6d done, %6d refused or crashed", name, did[i][0], did[i][1])
		if n >= 100 && did[i][0] == 0 {
			t.Errorf("no %s ever succeeded", name)
		}
	}
}

var stepNames = [...]string{"publish", "approve", "promote", "rollback", "retention", "road"}

const (
	doPublish = iota
	doApprove
	doPromote
	doRollback
	doRetention
	doRoad
)

// model is one sequence: a yard, what was done in it, and what its tags named after each step.
type model struct {
	*yard

	rand  *rand.Rand
	seed  uint64
	built []cargo
	day   int
	tags  map[string]string // host/component:tag → digest
	due   map[string]bool   // what the last retention judged to have served its time
	trace []string
	did   [len(stepNames)][2]int
}

func newModel(t *testing.T, seed uint64, images *sync.Map) *model {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	m := &model{
		yard: newYard(t, options{approvals: true, small: true, fallback: r.IntN(3) == 0}),
		rand: r, seed: seed, tags: map[string]string{},
	}
	m.wait = func(context.Context, time.Duration) error { return nil } // nobody else is about
	m.shared = images
	return m
}

func (m *model) run() {
	defer m.close()
	for range steps {
		kind := m.pickStep()
		ctx, cancel := context.WithCancel(context.Background())
		crash := m.rand.IntN(4) == 0
		if crash {
			m.crash(cancel)
		}
		err := m.step(ctx, kind)
		m.hooks(nil, nil)
		cancel()
		if err == nil {
			m.did[kind][0]++
		} else {
			m.did[kind][1]++
			if code := fault.CodeOf(err); !crash && code != fault.Refused {
				m.fail("code %d: %v", code, err)
			}
		}
		m.trace = append(m.trace, fmt.Sprintf("  → crash %v, %v", crash, err))
		m.check(kind)
		if m.t.Failed() {
			return
		}
	}
}

// pickStep begins with a publish; after that, promotions and approvals are the most frequent.
func (m *model) pickStep() int {
	if len(m.built) == 0 {
		return doPublish
	}
	return []int{
		doPublish, doApprove, doApprove, doPromote, doPromote, doPromote, doRollback, doRollback, doRetention,
		doRoad, doRoad, doRoad, doRoad,
	}[m.rand.IntN(13)]
}

// crash ends the run at some request: before it arrives, or after it was answered and before the answer is there.
func (m *model) crash(cancel func()) {
	left, lost := m.rand.IntN(120), m.rand.IntN(2) == 0
	var mu sync.Mutex
	hit := func() error {
		mu.Lock()
		defer mu.Unlock()
		if left--; left >= 0 {
			return nil
		}
		cancel()
		return context.Canceled
	}
	if lost {
		m.hooks(nil, func(*http.Request, *http.Response) error { return hit() })
		return
	}
	m.hooks(func(*http.Request) error { return hit() }, nil)
}

func (m *model) say(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf(format, args...))
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Errorf("seed %d: %s\n%s", m.seed, fmt.Sprintf(format, args...), strings.Join(m.trace, "\n"))
}

func (m *model) step(ctx context.Context, kind int) error {
	switch kind {
	case doPublish:
		k := m.nextCargo()
		m.say("publish %s of day %d", k.version, k.day)
		return m.publish(ctx, k)
	case doApprove:
		return m.stepApprove(ctx)
	case doRetention:
		return m.stepRetention(ctx)
	case doRoad:
		return m.stepRoad(ctx)
	case doRollback:
		k := m.any()
		to := []string{"staging", "production"}[m.rand.IntN(2)]
		m.say("rollback of %s to %s", to, k.version)
		_, err := m.promote(ctx, k, promote.Request{To: to, Rollback: true, Version: version(k.version)})
		return err
	default:
		k := m.any()
		r := promote.Request{To: []string{"staging", "production"}[m.rand.IntN(2)]}
		if m.rand.IntN(4) == 0 && r.To == "production" {
			r.Version = version(k.version)
		}
		if m.rand.IntN(2) == 0 { // somebody has approved in time, before anything can crash
			m.hooksFor(func() { _ = m.approveAll(context.Background(), r.To, k) })
		}
		m.say("promote %s of day %d to %s", k.version, k.day, r.To)
		_, err := m.promote(ctx, k, r)
		return err
	}
}

// nextCargo is a new commit, of the same version, of the next one in some line, of a pre-release, or an old commit again.
func (m *model) nextCargo() cargo {
	if len(m.built) > 0 && m.rand.IntN(5) == 0 {
		return m.any()
	}
	versions := []string{"1.0.0", "1.0.1", "1.1.0", "1.1.1", "2.0.0-rc.1", "2.0.0"}
	m.day++
	k := cargo{version: versions[m.rand.IntN(len(versions))], day: m.day}
	m.built = append(m.built, k)
	return k
}

// any is mostly the newest commit, and sometimes an older one: a late job.
func (m *model) any() cargo {
	if m.rand.IntN(3) > 0 {
		return m.built[len(m.built)-1]
	}
	return m.built[m.rand.IntN(len(m.built))]
}

// stepRoad takes a commit, mostly a new one, the whole way to production.
func (m *model) stepRoad(ctx context.Context) error {
	k := m.nextCargo()
	m.say("road of %s of day %d", k.version, k.day)
	if err := m.publish(ctx, k); err != nil {
		return err
	}
	for _, to := range []string{"staging", "production"} {
		m.hooksFor(func() { _ = m.approveAll(context.Background(), to, k) })
		if _, err := m.promote(ctx, k, promote.Request{To: to}); err != nil {
			return err
		}
	}
	return nil
}

// stepApprove approves a build for staging, or what staging has for production, mostly in both roles.
func (m *model) stepApprove(ctx context.Context) error {
	k := m.any()
	to, tag := "staging", "dev-"+commit(k.day)[:7]
	people := [][2]string{{"ann", "release-manager"}}
	if m.rand.IntN(2) == 0 {
		to, tag = "production", "staging-latest"
		people = append(people, [2]string{"bob", "qa"})
		if m.rand.IntN(4) == 0 {
			people = people[m.rand.IntN(2):][:1]
		}
	}
	for _, p := range people {
		m.say("%s approves %s for %s", p[0], tag, to)
		err := m.approve(ctx, p[0], p[1], to, tag)
		if errors.Is(err, registry.ErrNotFound) {
			return fault.New(fault.Refused, tag, "", "there is none yet")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stepRetention deletes what has served its time, some weeks or months later.
func (m *model) stepRetention(ctx context.Context) error {
	environment := []string{"dev", "staging", "production"}[m.rand.IntN(3)]
	now := day(1).Add(time.Duration(m.rand.IntN(120)) * 24 * time.Hour)
	m.say("retention of %s on %s", environment, now.Format(time.DateOnly))
	name := m.config.Registries[m.config.Environments[environment].Registry].Prefix + "/alpha"
	r, err := m.client("cleaner").Repository(name)
	if err != nil {
		return err
	}
	policy := retention.PolicyOf(m.config, environment)
	held, err := retention.Observe(ctx, name, registry.OCI, r, nil, policy, retention.InUse{})
	if err != nil {
		return err
	}
	m.due = map[string]bool{}
	judged := retention.Decide(held, policy, retention.InUse{}, now)
	for _, d := range judged.Delete {
		for _, tag := range d.Tags {
			m.due[name+":"+tag] = true
		}
	}
	_, err = retention.Apply(ctx, judged, r, retention.Distribution{Repository: r})
	return err
}

// mayGo tells whether retention may delete a tag: never a release, never what floats.
func (m *model) mayGo(kind int, name string) bool {
	_, tag, _ := strings.Cut(name, ":")
	return kind == doRetention && m.due[name] && !strings.HasPrefix(tag, "v") && !strings.HasSuffix(tag, "latest")
}

// approveAll approves what a promotion would take, in every role; what is not there cannot be approved.
func (m *model) approveAll(ctx context.Context, to string, k cargo) error {
	tag := "dev-" + commit(k.day)[:7]
	if to == "production" {
		tag = "staging-latest"
		if err := m.approve(ctx, "bob", "qa", to, tag); err != nil {
			return err
		}
	}
	return m.approve(ctx, "ann", "release-manager", to, tag)
}

// hooksFor does something without the hooks that are set.
func (m *model) hooksFor(do func()) {
	m.mu.Lock()
	before, after := m.before, m.after
	m.mu.Unlock()
	m.hooks(nil, nil)
	do()
	m.hooks(before, after)
}

// check compares what the registries have with what they had.
func (m *model) check(kind int) {
	now := map[string]string{}
	for _, host := range []string{"dev.example.com", "prd.example.com"} {
		for tag, d := range m.yard.tags(host) {
			now[host+"/o/"+tag] = d
		}
	}
	for name, was := range m.tags {
		if now[name] == "" && !m.mayGo(kind, name) {
			m.fail("%s is gone, it named %s", name, was)
		}
	}
	for name, is := range now {
		if was := m.tags[name]; was != is {
			m.changed(kind, name, was, is)
		}
	}
	if kind == doRetention {
		for name, is := range now { // whatever is named must have stayed whole
			repository, _, _ := strings.Cut(name, ":")
			m.complete(repository, is)
		}
	}
	m.tags = now
}

// changed checks one tag that names something new.
func (m *model) changed(kind int, name, was, is string) {
	repository, tag, _ := strings.Cut(name, ":")
	if was != "" && !strings.HasSuffix(tag, "latest") && strings.Count(tag, ".") != 1 && tag != "v1" && tag != "v2" {
		m.fail("version tag %s named %s and now %s", name, was, is)
	}
	m.complete(repository, is)
	if strings.HasPrefix(name, "dev.") {
		if was != "" && m.of(is).day < m.of(was).day {
			m.fail("%s went back from day %d to %d", name, m.of(was).day, m.of(is).day)
		}
		return
	}
	to := "production"
	if strings.HasPrefix(tag, "staging-") {
		to = "staging"
	}
	rolledBack := m.recorded(repository, is, to, tag, was)
	if kind != doRollback {
		m.approved(repository, is, to)
	}
	if was != "" && m.back(to, was, is) && !rolledBack {
		m.fail("%s went back from %s (day %d) to %s (day %d) without a rollback's record", name,
			m.of(was).version, m.of(was).day, m.of(is).version, m.of(is).day)
	}
}

// back tells whether a floating tag that named one image and now names another went back.
func (m *model) back(to, was, is string) bool {
	if to == "staging" {
		return m.of(is).day < m.of(was).day
	}
	return version(m.of(is).version).LessThan(version(m.of(was).version))
}

// of is the cargo of a digest.
func (m *model) of(d string) cargo {
	for _, k := range m.built {
		if m.digest(k, "alpha") == d {
			return k
		}
	}
	m.fail("%s was never built", d)
	return cargo{}
}

// recorded wants a record of every tag that came to staging or production, and tells whether a rollback's covers the
// move of this one.
func (m *model) recorded(repository, is, to, tag, was string) (rolledBack bool) {
	found := false
	for _, r := range m.recordsAt(repository, is) {
		if r.To == to && slices.Contains(r.Tags, tag) {
			found = true
			rolledBack = rolledBack || r.Rollback && r.MovedFrom[tag] == was
		}
	}
	if !found {
		m.fail("%s:%s names %s without a record", repository, tag, is)
	}
	return rolledBack
}

// approved wants every approval of an image that came to an environment, in the repository that it came to.
func (m *model) approved(repository, is, to string) {
	rules, err := approve.RulesFor(m.config, m.keys, to)
	if err != nil {
		m.fail("%v", err)
		return
	}
	v, err := approve.Check(context.Background(), rules, m.repository(repository), digest.Digest(is), nil, m.clock())
	if err != nil || len(v.Missing) > 0 {
		m.fail("%s@%s is in %s without approvals: %+v, %v", repository, is, to, v.Missing, err)
	}
}

// complete wants everything that an index names to be there.
func (m *model) complete(repository, d string) {
	r := m.repository(repository)
	raw, _, err := r.Manifest(context.Background(), d)
	var index ocispec.Index
	if err = errors.Join(err, json.Unmarshal(raw, &index)); err != nil {
		m.fail("%s@%s: %v", repository, d, err)
		return
	}
	for _, child := range index.Manifests {
		raw, _, err := r.Manifest(context.Background(), child.Digest.String())
		var manifest ocispec.Manifest
		if err = errors.Join(err, json.Unmarshal(raw, &manifest)); err != nil {
			m.fail("%s@%s of %s: %v", repository, child.Digest, d, err)
			return
		}
		for _, blob := range append(manifest.Layers, manifest.Config) {
			if there, err := r.Exists(context.Background(), blob); err != nil || !there {
				m.fail("%s lacks the blob %s of %s: %v", repository, blob.Digest, d, err)
			}
		}
	}
}
