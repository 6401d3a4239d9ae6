package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"dagger.io/dagger"

	sdk "github.com/berth-sh/berth/.dagger/internal/dagger"
	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/report"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// serviceTimeout is how long a registry given as a service may take to answer for the first time.
const serviceTimeout = 30 * time.Second

// pullSecretVerb is how the command line is told to make a pull secret of another login.
var pullSecretVerb = regexp.MustCompile(`berth pull-secret --username (\S+) --password-stdin`)

// notOfRegistries are the subjects of credentials that no login at a registry gives.
var notOfRegistries = regexp.MustCompile(`^(--|cluster |release )`)

// appliedVerb is how it is told to write one into a cluster.
var appliedVerb = regexp.MustCompile(`berth (pull-secret --env [^|]+) \|`)

// opened is the repository in the function's own folder, with a builder in the engine.
type opened struct {
	dir      string // of the repository
	beside   string // for files that are no part of it
	pipeline *pipelines.Pipeline
	engine   *build.Engine
	helm     *sdk.Directory // the source of berth-helm
	closers  []func()
}

func (o *opened) close() {
	for i := len(o.closers) - 1; i >= 0; i-- {
		o.closers[i]()
	}
}

// with opens the repository for one function. Its errors are one line of cause and one of what to do next.
func with[T any](ctx context.Context, b *Berth, env string, do func(*opened) (T, error)) (T, error) {
	var none T
	o := &opened{}
	defer o.close()
	if err := b.open(ctx, o, env); err != nil {
		return none, o.explained(err)
	}
	out, err := do(o)
	if err != nil {
		return none, o.explained(err)
	}
	if text, ok := any(out).(string); ok {
		out, _ = any(o.relative(text)).(T)
	}
	return out, nil
}

// relative names files in a text as the caller knows them.
func (o *opened) relative(text string) string {
	if o.dir == "" {
		return text
	}
	for _, dir := range []string{o.dir, o.beside} {
		text = strings.ReplaceAll(text, dir+string(filepath.Separator), "")
	}
	return strings.ReplaceAll(text, o.dir, "the repository")
}

// explained is an error with what to do next.
func (o *opened) explained(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	text := err.Error()
	if next := fault.NextOf(err); next != "" {
		next = strings.ReplaceAll(next, "GIT_BRANCH=main berth …", "dagger call --ref main …")
		next = pullSecretVerb.ReplaceAllString(next, "dagger call --username $1 --password env:TOKEN pull-secret")
		next = appliedVerb.ReplaceAllString(next, "dagger --silent call $1 plaintext |")
		text += "\n  next: " + strings.ReplaceAll(next, "\n", "\n        ")
	}
	// A fault of an argument, such as the password of a key, says itself what is missing.
	if fault.CodeOf(err) == fault.Credentials && !notOfRegistries.MatchString(f.Subject) {
		text += "\n        No login of your machine reaches the engine by itself: " +
			"give --docker-config, or --username and --password."
	}
	return errors.New(o.relative(text))
}

func (b *Berth) open(ctx context.Context, o *opened, env string) error {
	dir, err := os.MkdirTemp("", "berth-source-")
	if err != nil {
		return err
	}
	o.dir = dir
	o.closers = append(o.closers, func() { _ = os.RemoveAll(dir) })
	if o.beside, err = os.MkdirTemp("", "berth-files-"); err != nil {
		return err
	}
	o.closers = append(o.closers, func() { _ = os.RemoveAll(o.beside) })
	if _, err := b.Source.Export(ctx, dir); err != nil {
		return fmt.Errorf("read the source: %w", err)
	}
	if err := hasGit(dir); err != nil {
		return err
	}
	client, err := dagger.Connect(ctx)
	if err != nil {
		return fmt.Errorf("connect to the engine: %w", err)
	}
	o.closers = append(o.closers, func() { _ = client.Close() })
	secrets, err := b.Accounts.forBuilds(ctx)
	if err != nil {
		return err
	}
	if o.engine, err = b.builder(ctx, client, secrets); err != nil {
		return err
	}
	options, err := b.options(o, client, dir, secrets)
	if err != nil {
		return err
	}
	p, err := pipelines.Open(options)
	if err != nil {
		return err
	}
	reach, err := b.registries(ctx, o, p, env)
	if err != nil {
		return err
	}
	p.Reach(reach)
	o.pipeline = p
	return nil
}

// hasGit refuses a source without a history: what a worktree or a submodule has instead points out of the source.
func hasGit(dir string) error {
	info, err := os.Stat(filepath.Join(dir, ".git"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fault.New(fault.Usage, "source", "call it inside a clone, or name one: --source DIR",
			"it is no git repository: it has no .git folder")
	case err != nil:
		return err
	case !info.IsDir():
		return fault.New(fault.Usage, "source", "call it in a clone of its own: git clone . ../clone",
			"it is a worktree or a submodule of git, whose history is in another folder")
	}
	return nil
}

// builder builds on this function's own session, from the function's own source.
func (b *Berth) builder(ctx context.Context, client *dagger.Client, secrets buildSecrets) (*build.Engine, error) {
	id, err := b.Source.WithoutDirectory(".git").ID(ctx)
	if err != nil {
		return nil, err
	}
	options := build.EngineOptions{
		Image: b.Settings.GoImage, Fetch: map[string]string{}, Secret: secrets.read,
	}
	if b.Settings.GoProxy != "" {
		options.Fetch["GOPROXY"] = b.Settings.GoProxy
	}
	if b.Settings.GoPrivate != "" {
		options.Fetch["GOPRIVATE"] = b.Settings.GoPrivate
	}
	if b.Accounts.Netrc != nil {
		secret, err := b.Accounts.Netrc.ID(ctx)
		if err != nil {
			return nil, err
		}
		options.Netrc = dagger.Ref[*dagger.Secret](client, dagger.ID(secret))
	}
	return build.NewEngine(client, dagger.Ref[*dagger.Directory](client, dagger.ID(id)), options), nil
}

// buildHelm builds berth-helm in the engine, when a chart needs it.
func (o *opened) buildHelm(client *dagger.Client) func(context.Context) (string, error) {
	var once sync.Mutex
	file := filepath.Join(o.beside, "berth-helm")
	return func(ctx context.Context) (string, error) {
		once.Lock()
		defer once.Unlock()
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
		report.Lines(os.Stderr, time.Now).Emit("build", "berth-helm", "in the engine, which takes minutes the first time")
		id, err := o.helm.ID(ctx)
		if err != nil {
			return "", fmt.Errorf("find the source of berth-helm: %w", err)
		}
		source := dagger.Ref[*dagger.Directory](client, dagger.ID(id))
		return file, o.engine.Program(ctx, source, "berth-helm", file)
	}
}

func (b *Berth) options(
	o *opened, client *dagger.Client, dir string, secrets buildSecrets,
) (pipelines.Options, error) {
	environment, err := b.environment()
	if err != nil {
		return pipelines.Options{}, err
	}
	return pipelines.Options{
		Absent:      b.Settings.Absent,
		Dir:         dir,
		Project:     b.Settings.Project,
		Config:      b.Settings.Config,
		Lookup:      func(name string) (string, bool) { v, ok := environment[name]; return v, ok },
		HasSecret:   secrets.has,
		Now:         time.Now,
		Toolchain:   o.engine,
		Dockerfiles: []pipelines.DockerfileBuilder{o.engine},
		Helm:        o.buildHelm(client),
		Progress:    report.Lines(os.Stderr, time.Now),
		Warn:        func(text string) { fmt.Fprintln(os.Stderr, "warning: "+text) },
	}, nil
}

// environment stands in for a CI's variables, which a function does not see.
func (b *Berth) environment() (map[string]string, error) {
	out := map[string]string{}
	s := b.Settings
	for _, v := range s.Variables {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, fault.New(fault.Usage, "--variables "+v, "write NAME=VALUE", "it is no variable with a value")
		}
		out[name] = value
	}
	for name, value := range map[string]string{
		"VERSION": s.Version, "SHA_SHORT": s.ShaShort, "REGISTRY_TYPE": s.RegistryType,
	} {
		if value != "" {
			out[name] = value
		}
	}
	switch {
	case s.Ref == "":
	case strings.HasPrefix(s.Ref, "refs/"):
		out["GITHUB_REF"] = s.Ref
	default:
		out["GIT_BRANCH"] = s.Ref
	}
	return out, nil
}

// registries says how the registries are reached: for real, through a service, or in a sandbox.
func (b *Berth) registries(
	ctx context.Context, o *opened, p *pipelines.Pipeline, env string,
) (registry.Options, error) {
	options := registry.Options{UserAgent: "berth (dagger)"}
	if b.Settings.Sandbox {
		dir, err := os.MkdirTemp("", "berth-sandbox-")
		if err != nil {
			return options, err
		}
		box, err := p.Sandbox(filepath.Join(dir, "sandbox"))
		if err != nil {
			return options, err
		}
		o.closers = append(o.closers, func() { _ = errors.Join(box.Close(), os.RemoveAll(dir)) })
		options.Transport = box.Transport()
		options.Credentials = registry.NewCredentials(pipelines.SandboxAccount(sandbox.Username))
		p.Manage(pipelines.SandboxRepositories(box))
		return options, nil
	}
	if b.Settings.RegistryService != nil {
		to, err := b.serviceAddress(ctx)
		if err != nil {
			return options, err
		}
		reroute := registry.Reroute{Base: http.DefaultTransport, To: to}
		if b.Settings.RegistryHost != "" {
			reroute.Hosts = []string{b.Settings.RegistryHost}
		}
		options.Transport = reroute
	}
	accounts, err := b.Accounts.logins(ctx, p, env)
	if err != nil {
		return options, err
	}
	sources := []registry.Source{accounts}
	if b.Accounts.DockerConfig != nil {
		sources = append(sources, dockerConfig{b.Accounts.DockerConfig})
	}
	ecr, err := b.aws(options.Transport)
	if err != nil {
		return options, err
	}
	if ecr != nil {
		p.Manage(ecr)
		sources = append(sources, ecr)
	}
	options.Credentials = registry.NewCredentials(sources...)
	return options, nil
}

// serviceAddress starts the service and asks it whether it is a registry, as the engine's tunnel to a host's port takes
// connections also when nothing listens there.
func (b *Berth) serviceAddress(ctx context.Context) (*url.URL, error) {
	next := "start the registry, or correct the address, for example --registry-service tcp://localhost:5000"
	started, err := b.Settings.RegistryService.Start(ctx)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "--registry-service", next, "it does not start: %s", err)
	}
	endpoint, err := started.Endpoint(ctx)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "--registry-service", next, "it has no address: %s", err)
	}
	to := &url.URL{Scheme: "http", Host: endpoint}
	ctx, cancel := context.WithTimeout(ctx, serviceTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, to.JoinPath("/v2/").String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "--registry-service", next, "no registry answers there")
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusUnauthorized {
		return nil, fault.New(fault.Unavailable, "--registry-service", next, "it is no registry: GET /v2/ answers %s",
			answer.Status)
	}
	return to, nil
}

// write gives a result as JSON or as a person reads it.
func write(format Format, v any, text func(io.Writer) error) (string, error) {
	var b bytes.Buffer
	if format == JSON {
		err := report.JSON(&b, v)
		return b.String(), err
	}
	err := text(&b)
	return b.String(), err
}

func line(lines ...string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
		return err
	}
}
