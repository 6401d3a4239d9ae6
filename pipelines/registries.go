package pipelines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/report"
)

// CheckRequest says which registries to check. Empty means all of the configuration.
type CheckRequest struct {
	// Registries by name.
	Registries []string
	// Environment limits the check to its registry, and to what it promises.
	Environment string
}

// Verdict is how a check ended.
type Verdict string

const (
	// VerdictOK is a promise that was found to be kept.
	VerdictOK Verdict = "ok"
	// VerdictFailed is one that was not.
	VerdictFailed Verdict = "failed"
	// VerdictUnknown is one that cannot be seen from here.
	VerdictUnknown Verdict = "unknown"
)

// RegistryReport is what was found at the registries. It has no secret.
type RegistryReport struct {
	Registries []CheckedRegistry `json:"registries"`
}

// CheckedRegistry is what was found at one registry.
type CheckedRegistry struct {
	Registry     string          `json:"registry"`
	Kind         string          `json:"kind"`
	Prefix       string          `json:"prefix"`
	Environments []string        `json:"environments"`
	Checks       []RegistryCheck `json:"checks"`

	failures []error
}

// RegistryCheck is one question to a registry.
type RegistryCheck struct {
	// Check is reachable, login, write, writers, immutability or referrers.
	Check string `json:"check"`
	// Promised is what berth.yaml says; empty where it says nothing.
	Promised string  `json:"promised"`
	Found    string  `json:"found"`
	Verdict  Verdict `json:"verdict"`
	// Code is the exit code that this check alone would have.
	Code fault.Code `json:"exitCode"`
}

// Text writes the report for people.
func (r RegistryReport) Text(w io.Writer) error {
	t := &report.Table{Head: []string{"REGISTRY", "CHECK", "PROMISED", "FOUND", "VERDICT"}}
	for _, x := range r.Registries {
		for _, c := range x.Checks {
			promised := c.Promised
			if promised == "" {
				promised = "-"
			}
			t.Add(x.Registry, c.Check, promised, strings.ReplaceAll(c.Found, "\n", " "), string(c.Verdict))
		}
	}
	return t.Text(w)
}

// Err returns what failed, with every next step, or nil.
func (r RegistryReport) Err() error {
	var all []error
	for _, x := range r.Registries {
		all = append(all, x.failures...)
	}
	return fault.Join(all...)
}

// CheckRegistries asks registries whether they are as berth.yaml says: reachable, logged in, writable, by an account
// among the writers, with tags that they hold. What fails is part of the report; an error means that there is none.
func (p *Pipeline) CheckRegistries(ctx context.Context, r CheckRequest) (RegistryReport, error) {
	names, err := p.registriesToCheck(r)
	if err != nil {
		return RegistryReport{}, err
	}
	out := RegistryReport{Registries: make([]CheckedRegistry, len(names))}
	asked := len(r.Registries) > 0 || r.Environment != ""
	g, gctx := errgroup.WithContext(ctx)
	for i, name := range names {
		if err := p.Config.RequireSet("registries", name); err != nil {
			if asked {
				return RegistryReport{}, err
			}
			out.Registries[i] = p.checkedRegistry(name, r.Environment)
			out.Registries[i].unknown("configuration", "", err.Error())
			continue
		}
		g.Go(func() error {
			out.Registries[i] = p.checkRegistry(gctx, name, r.Environment)
			return gctx.Err()
		})
	}
	return out, g.Wait()
}

func (p *Pipeline) registriesToCheck(r CheckRequest) ([]string, error) {
	known := slices.Sorted(maps.Keys(p.Config.Registries))
	if r.Environment != "" {
		e, ok := p.Config.Environments[r.Environment]
		if !ok {
			return nil, fault.New(fault.Usage, "--env "+r.Environment,
				"known: "+strings.Join(p.Config.EnvironmentNames(), ", "), "there is no such environment")
		}
		if len(r.Registries) > 0 && !slices.Contains(r.Registries, e.Registry) {
			return nil, fault.New(fault.Usage, "--env "+r.Environment, "leave out the environment or the registry",
				"it uses registry %s", e.Registry)
		}
		return []string{e.Registry}, nil
	}
	for _, name := range r.Registries {
		if !slices.Contains(known, name) {
			return nil, fault.New(fault.Usage, name, "known: "+strings.Join(known, ", "), "berth.yaml has no such registry")
		}
	}
	if len(r.Registries) > 0 {
		return r.Registries, nil
	}
	return known, nil
}

// checkedRegistry is a report without a check.
func (p *Pipeline) checkedRegistry(name, environment string) CheckedRegistry {
	r := p.Config.Registries[name]
	out := CheckedRegistry{
		Registry: name, Kind: string(r.RegistryKind()), Prefix: r.Prefix, Environments: []string{},
		Checks: []RegistryCheck{},
	}
	for _, e := range p.Config.EnvironmentNames() {
		if p.Config.Environments[e].Registry == name && (environment == "" || environment == e) {
			out.Environments = append(out.Environments, e)
		}
	}
	return out
}

func (p *Pipeline) checkRegistry(ctx context.Context, name, environment string) CheckedRegistry {
	out := p.checkedRegistry(name, environment)
	r := p.Config.Registries[name]
	cred, ok := p.checkLogin(ctx, &out, r.Host())
	if !ok {
		return out
	}
	repository := r.Prefix + "/" + p.Config.RepositoryOf(p.Config.ComponentNames()[0])
	p.checkWrite(ctx, &out, name, repository)
	p.checkWriters(&out, cred.Username)
	p.checkImmutability(ctx, &out, name, repository)
	p.checkReferrers(ctx, &out, repository)
	return out
}

// checkLogin asks the base of the API. The rest has no meaning without an answer.
func (p *Pipeline) checkLogin(ctx context.Context, out *CheckedRegistry, host string) (registry.Credential, bool) {
	cred, err := p.client.Credential(ctx, host)
	if err == nil {
		err = registry.CheckForm(host, cred)
	}
	if err != nil {
		out.failed("login", "", err)
		return cred, false
	}
	err = p.client.Ping(ctx, host)
	who := "anonymous"
	if !cred.Anonymous() {
		who = fmt.Sprintf("%s (%s)", cred.Username, cred.Source)
	}
	switch {
	case err == nil:
		out.ok("reachable", "", "yes")
		out.ok("login", "", who)
	case fault.CodeOf(err) == fault.Credentials && cred.Anonymous():
		// Many registries let nobody in here and still show public images: writing will tell.
		out.ok("reachable", "", "yes")
		out.failed("login", "", err)
		return cred, false
	case fault.CodeOf(err) == fault.Credentials:
		out.ok("reachable", "", "yes")
		out.failed("login", who, err)
		return cred, false
	default:
		out.failed("reachable", "", err)
		return cred, false
	}
	return cred, true
}

func (p *Pipeline) checkWrite(ctx context.Context, out *CheckedRegistry, name, repository string) {
	r, err := p.client.Repository(repository)
	if err == nil {
		err = r.CanPush(ctx)
	}
	switch {
	case err == nil:
		out.ok("write", "", "yes, to "+repository)
	case errors.Is(err, registry.ErrNotFound) && plan.Repositories(p.Config, name) != nil:
		out.unknown("write", "createRepositories", repository+" is missing, and publish creates it")
	default:
		out.failed("write", "", err)
	}
}

// checkWriters fails when the account may write to none of the environments: one account is seldom in all.
func (p *Pipeline) checkWriters(out *CheckedRegistry, account string) {
	var promised, in []string
	for _, e := range out.Environments {
		writers := p.Config.WritersOf(e)
		if len(writers) == 0 {
			continue
		}
		promised = append(promised, e+": "+strings.Join(writers, " "))
		if slices.Contains(writers, account) {
			in = append(in, e)
		}
	}
	text := strings.Join(promised, "; ")
	switch {
	case len(promised) == 0:
		out.ok("writers", "", "any account")
	case len(in) > 0:
		out.ok("writers", text, account+" is one of "+strings.Join(in, ", "))
	default:
		if account == "" {
			account = "nobody (anonymous)"
		}
		out.failed("writers", text, fault.New(fault.Refused, "registry "+out.Registry,
			"log in as one of them: "+text, "%s is not among the accounts that may write to it", account))
	}
}

func (p *Pipeline) checkReferrers(ctx context.Context, out *CheckedRegistry, repository string) {
	r, err := p.client.Repository(repository)
	if err != nil {
		out.failed("referrers", "", err)
		return
	}
	switch api, err := r.HasReferrersAPI(ctx); {
	case errors.Is(err, registry.ErrNotFound):
		out.unknown("referrers", "", repository+" does not exist yet")
	case err != nil:
		out.unknown("referrers", "", err.Error())
	case api:
		out.ok("referrers", "", "API")
	default:
		out.ok("referrers", "", "fallback tags")
	}
}

func (r *CheckedRegistry) ok(check, promised, found string) {
	r.Checks = append(r.Checks, RegistryCheck{Check: check, Promised: promised, Found: found, Verdict: VerdictOK})
}

func (r *CheckedRegistry) unknown(check, promised, found string) {
	r.Checks = append(r.Checks, RegistryCheck{Check: check, Promised: promised, Found: found, Verdict: VerdictUnknown})
}

func (r *CheckedRegistry) failed(check, promised string, err error) {
	found := err.Error()
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Err != nil {
		found = f.Err.Error()
	}
	r.Checks = append(r.Checks, RegistryCheck{
		Check: check, Promised: promised, Found: found, Verdict: VerdictFailed, Code: fault.CodeOf(err),
	})
	r.failures = append(r.failures, err)
}
