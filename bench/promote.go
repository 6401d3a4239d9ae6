package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// services is the number of images of a promotion, as in the larger of the two systems that berth was made for.
const services = 14

// state is what the target has before a promotion.
type state string

const (
	nothing   state = "nothing is there"
	half      state = "half of the images are there"
	unchanged state = "everything is there"
)

// promoteCases copy 14 images of two platforms from one registry to another, and within one.
func promoteCases() []Case {
	var cases []Case
	add := func(
		name string, within bool, before state, latency time.Duration, target float64, rounds int, sequential bool,
	) {
		where := "between two registries"
		if within {
			where = "within one registry"
		}
		cases = append(cases, Case{
			Name: name, What: fmt.Sprintf("promote %d images of 2 platforms %s, %s", services, where, before),
			Target: target, Rounds: rounds,
			Setup: func(ctx context.Context, l *Lab) (Setup, error) {
				f, err := newFleet(ctx, l, within)
				if err != nil {
					return Setup{}, err
				}
				return f.setup(before, latency, sequential)
			},
		})
	}
	add("promote-cold-0ms", false, nothing, 0, 0, 2, false)
	add("promote-cold-20ms", false, nothing, 20*time.Millisecond, 0.7, 3, true)
	add("promote-cold-100ms", false, nothing, 100*time.Millisecond, 0, 2, false)
	add("promote-half-20ms", false, half, 20*time.Millisecond, 0, 2, false)
	add("promote-unchanged-20ms", false, unchanged, 20*time.Millisecond, 0.3, 5, true)
	add("promote-unchanged-100ms", false, unchanged, 100*time.Millisecond, 0, 2, false)
	add("promote-within-20ms", true, nothing, 20*time.Millisecond, 0, 3, false)
	return cases
}

// fleet is the images and the project that promotes them.
type fleet struct {
	lab      *Lab
	dir      string
	names    []string
	tag      string // in the source
	from, to string // repositories' prefixes
	target   *registry
	within   bool
}

// newFleet fills the source registry: each image has a layer of its own a platform, from 1 to 40 MB, and two that all
// share.
func newFleet(ctx context.Context, l *Lab, within bool) (*fleet, error) {
	f := &fleet{lab: l, dir: filepath.Join(l.dir, fmt.Sprintf("fleet-%t", within)), within: within, target: l.target}
	f.from, f.to = l.source.host+"/dev", l.target.host+"/prod"
	if within {
		f.to, f.target = l.source.host+"/prod", l.source
	}
	for i := range services {
		f.names = append(f.names, fmt.Sprintf("service-%02d", i+1))
	}
	if err := errors.Join(removeAll(f.dir), l.source.wipe(ctx), l.target.wipe(ctx)); err != nil {
		return nil, err
	}
	if err := f.project(ctx); err != nil {
		return nil, err
	}
	head, err := l.command(ctx, f.dir, nil, l.peers["git"], "rev-parse", "HEAD").Output()
	if err != nil {
		return nil, err
	}
	commit := strings.TrimSpace(string(head))
	f.tag = "dev-" + commit[:7]
	size := int64(1 << 20)
	for i, name := range f.names {
		layers := map[string][]noise{}
		for a, arch := range []string{"amd64", "arm64"} {
			layers[arch] = []noise{
				{seed: uint64(10 + a), size: 2 << 20},
				{seed: uint64(20 + a), size: 5 << 20},
				{seed: uint64(1000 + 10*i + a), size: size},
			}
		}
		if _, err := (uploader{l.source.host, "dev/" + name}).image(ctx, layers, map[string]string{
			"org.opencontainers.image.title": name, "org.opencontainers.image.version": "1.2.3",
			"org.opencontainers.image.revision": commit, "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
			"org.opencontainers.image.source": "https://github.com/example/bench",
		}, f.tag); err != nil {
			return nil, err
		}
		size = size * 133 / 100
	}
	return f, nil
}

func (f *fleet) project(ctx context.Context) error {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: berth/v1
project: bench
source: https://github.com/example/bench
version: {file: VERSION}
registries:
  source: {kind: oci, prefix: %s}
  target: {kind: oci, prefix: %s}
tags: [{branch: "**", set: ["dev-{sha}"]}]
environments:
  dev: {registry: source, refs: {branches: ["**"]}}
  production: {registry: target, promote: {from: dev, set: ["v{version}"]}}
components:
`, f.from, f.to)
	for _, name := range f.names {
		fmt.Fprintf(&b, "  %s: {go: {dir: app}}\n", name)
	}
	files := map[string]string{
		"berth.yaml": b.String(), "VERSION": "1.2.3\n", "app/go.mod": "module example.com/app\n\ngo 1.26.0\n",
		"app/main.go": "package main\n\nfunc main() {}\n",
	}
	if err := os.MkdirAll(filepath.Join(f.dir, "app"), 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"commit", "-q", "-m", "Start"}} {
		if out, err := f.lab.command(ctx, f.dir, nil, f.lab.peers["git"], args...).CombinedOutput(); err != nil {
			return fmt.Errorf("git %v: %w\n%s", args, err, out)
		}
	}
	return nil
}

func (f *fleet) setup(before state, latency time.Duration, sequential bool) (Setup, error) {
	l := f.lab
	s := Setup{Latency: latency}
	s.LowerBound, s.Copies, s.Why = f.fewest(before)
	add := func(name string, run func(ctx context.Context) *exec.Cmd) {
		s.Sides = append(s.Sides, Side{
			Name: name, Run: run,
			Prepare: func(ctx context.Context) error { return f.prepare(ctx, before, run) },
			Check: func(ctx context.Context) error {
				var errs []error
				for _, x := range f.names {
					errs = append(errs, has(ctx, f.target.host, "prod/"+x, "v1.2.3"))
				}
				return errors.Join(errs...)
			},
		})
	}
	add("berth", func(ctx context.Context) *exec.Cmd {
		return l.command(ctx, f.dir, nil, l.berth, "promote", "--to", "production", "--format", "json")
	})
	for _, peer := range []struct{ name, script string }{
		{"crane", `"$TOOL" copy "$FROM/$0:$TAG" "$TO/$0:v1.2.3"`},
		{"regctl", `"$TOOL" image copy --referrers "$FROM/$0:$TAG" "$TO/$0:v1.2.3"`},
		{"skopeo", `"$TOOL" copy --quiet --all --preserve-digests --src-tls-verify=false --dest-tls-verify=false ` +
			`"docker://$FROM/$0:$TAG" "docker://$TO/$0:v1.2.3"`},
	} {
		tool := l.peers[peer.name]
		if tool == "" {
			continue
		}
		for _, jobs := range []int{1, 8} {
			if jobs == 1 && !sequential {
				continue
			}
			add(fmt.Sprintf("%s, %d at a time", peer.name, jobs), func(ctx context.Context) *exec.Cmd {
				cmd := l.command(ctx, f.dir, []string{"TOOL=" + tool, "FROM=" + f.from, "TO=" + f.to, "TAG=" + f.tag},
					l.peers["xargs"], "-P", fmt.Sprint(jobs), "-n", "1", "sh", "-ec", peer.script)
				cmd.Stdin = strings.NewReader(strings.Join(f.names, "\n") + "\n")
				return cmd
			})
		}
	}
	return s, nil
}

// prepare brings the target to the state before. The state "everything" is made by the side's own first run.
func (f *fleet) prepare(ctx context.Context, before state, run func(context.Context) *exec.Cmd) error {
	repositories := filepath.Join(f.target.repositories(), "prod")
	if before == nothing || before == half {
		if err := removeAll(repositories); err != nil {
			return err
		}
		// Between two registries the blobs go too; within one they belong to the source.
		if !f.within {
			if err := f.target.wipe(ctx); err != nil {
				return err
			}
		}
	}
	if before == nothing {
		return nil
	}
	cmd := run(ctx)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	if before == unchanged {
		return nil
	}
	for i, name := range f.names {
		if i%2 == 1 {
			if err := removeAll(filepath.Join(repositories, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// fewest derives the requests that no client can do without who keeps berth's promises, and those for the copies alone.
// What is known at the target only by asking is asked.
func (f *fleet) fewest(before state) (all, copies int, why string) {
	const looks = 2 // one at each side an image, which tell that nothing is to do
	switch before {
	case unchanged:
		return looks * services, 0, "1 look at each side an image"
	case half:
		all, copies, why = f.fewestOf(services / 2)
		rest := looks * (services - services/2)
		return all + rest, copies + rest, "half of the images 1 look at each side; the others: " + why
	default:
		return f.fewestOf(services)
	}
}

// fewestOf derives them for images that are missing.
func (f *fleet) fewestOf(images int) (all, copies int, why string) {
	const (
		manifests = 3 // the index and one a platform: read, and put
		own       = 4 // blobs that only one image has
		shared    = 4 // blobs that all have
		// The tag is looked at when planning, before the first tag of all is put and before it is put itself; it is put
		// after the index, and read back.
		tag = 3 + 1 + 1
		// The tags of the source tell what is attached.
		attached = 1
		// A record is a document (opened and put), a configuration (mounted) and a manifest; it is noted in an index under
		// a tag (read and put), as this registry has no referrers API, and read back.
		record = 2 + 1 + 1 + 2 + 1
		// Once a run: is the first tag still there after the wait, the first configuration of a record is put, and is there
		// a referrers API, asked by its address and by the tag in its place.
		run = 1 + 1 + 2
	)
	promises := images*(tag+attached+record) + run
	if f.within {
		// Each blob is mounted. The configurations, which may tell the registry to delete the image, are read.
		copies = images * (2*manifests + own + shared)
		return copies + promises + images*2, copies, fmt.Sprintf("an image %d manifests read and put, %d blobs mounted "+
			"(%d in all); 2 configurations read, the tag guarded by 4 requests, the index put before it, 1 list of what is "+
			"attached, a record of 7, and %d a run", manifests, own+shared, copies, run)
	}
	// A blob of its own: read, POST, PUT. The shared ones: once that, then mounted. A layer is
	// asked for before it is sent.
	copies = images*2*manifests + 3*(own*images+shared) + shared*(images-1)
	return copies + promises + images*2 + shared, copies, fmt.Sprintf("an image %d manifests read and put; a blob read, "+
		"opened and put once, then mounted (%d in all); a look before a layer is sent, the tag guarded by 4 requests, the "+
		"index put before it, 1 list of what is attached, a record of 7, and %d a run", manifests, copies, run)
}
