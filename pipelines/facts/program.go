package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"

	"github.com/go-git/go-git/v5"

	"github.com/berth-sh/berth/pipelines/fault"
)

// errNoGit means that writing was asked for and no git program is installed. Reading needs none.
var errNoGit = errors.New("no git program found")

// programError is a run of git that failed.
type programError struct {
	args   []string
	output string
	err    error
}

func (e *programError) Error() string {
	if e.output == "" {
		return fmt.Sprintf("git %s: %v", e.args[0], e.err)
	}
	return fmt.Sprintf("git %s: %s", e.args[0], e.output)
}

func (e *programError) Unwrap() error { return e.err }

// run runs git in the work tree and returns its output. What it printed is part of the error, without credentials.
func (r *Repository) run(ctx context.Context, input []byte, args ...string) (string, error) {
	program, err := exec.LookPath("git")
	if err != nil {
		return "", errNoGit
	}
	cmd := exec.CommandContext(ctx, program, append(r.settings(), args...)...)
	cmd.Dir = r.root
	cmd.Env = r.programEnviron()
	cmd.Stdin = bytes.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		output := strings.TrimSpace(stdout.String() + stderr.String())
		return stdout.String(), &programError{args: args, output: r.redact(output), err: err}
	}
	return stdout.String(), nil
}

// settings are options of every run. useConfigOnly makes git ask for an author rather than invent one from the host's
// name. The helper answers for the origin alone, after the user's own helpers, and reads the token from the
// environment, so that it is never on a command line.
func (r *Repository) settings() []string {
	settings := []string{"-c", "user.useConfigOnly=true"}
	if r.token() == "" {
		return settings
	}
	base := r.originBase()
	if base == "" {
		return settings
	}
	const helper = `!f() { test "$1" = get && echo username=x-access-token && echo "password=$BERTH_GIT_TOKEN"; }; f`
	return append(settings, "-c", "credential."+base+".helper="+helper)
}

// token is what pushes over https log in with when nothing else does: GIT_TOKEN, else GITHUB_TOKEN for GitHub's host.
func (r *Repository) token() string {
	if token := r.getenv("GIT_TOKEN"); token != "" {
		return token
	}
	server := r.getenv("GITHUB_SERVER_URL")
	if server == "" {
		server = "https://github.com"
	}
	if r.originBase() == strings.TrimRight(server, "/") {
		return r.getenv("GITHUB_TOKEN")
	}
	return ""
}

var webBase = regexp.MustCompile(`^(https://|http://(?:[^/@]*@)?(?:127\.0\.0\.1|localhost)[:/])`)

// originBase is scheme and host of the origin, empty unless a token may be sent there: https, or http to this machine.
func (r *Repository) originBase() string {
	cfg, err := r.git.Config()
	if err != nil {
		return ""
	}
	remote := cfg.Remotes[git.DefaultRemoteName]
	if remote == nil || len(remote.URLs) == 0 || !webBase.MatchString(remote.URLs[0]) {
		return ""
	}
	scheme, rest, _ := strings.Cut(remote.URLs[0], "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host[strings.LastIndex(host, "@")+1:]
}

// programEnviron is the environment without what would point git at another repository (set inside git's hooks), with
// English messages, literal paths and the clock.
func (r *Repository) programEnviron() []string {
	var environ []string
	for _, entry := range r.environ {
		name, _, _ := strings.Cut(entry, "=")
		if !localVariable(name) {
			environ = append(environ, entry)
		}
	}
	now := r.now()
	date := fmt.Sprintf("@%d %s", now.Unix(), now.Format("-0700"))
	environ = append(environ, "LC_ALL=C", "GIT_LITERAL_PATHSPECS=1", "BERTH_GIT_TOKEN="+r.token())
	for _, name := range []string{"GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"} {
		if _, ok := r.lookupEnv(name); !ok {
			environ = append(environ, name+"="+date)
		}
	}
	return environ
}

// localVariable is true for the variables that `git rev-parse --local-env-vars` lists.
func localVariable(name string) bool {
	switch name {
	case "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE",
		"GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS",
		"GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_COMMON_DIR", "GIT_INTERNAL_SUPER_PREFIX":
		return true
	default:
		return false
	}
}

func (r *Repository) lookupEnv(name string) (string, bool) {
	for i := len(r.environ) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(r.environ[i], name+"="); ok {
			return value, true
		}
	}
	return "", false
}

func (r *Repository) getenv(name string) string {
	value, _ := r.lookupEnv(name)
	return value
}

var userInfo = regexp.MustCompile(`(://)[^/\s@]+@`)

// redact removes credentials from git's output: those in addresses, and tokens of the environment.
func (r *Repository) redact(text string) string {
	for _, name := range []string{"GIT_TOKEN", "GITHUB_TOKEN"} {
		if secret := r.getenv(name); secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return userInfo.ReplaceAllString(text, "${1}***@")
}

// checkIdentity makes sure that git knows an author and a committer before anything is written.
func (r *Repository) checkIdentity(ctx context.Context) error {
	for _, who := range []string{"GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"} {
		if _, err := r.run(ctx, nil, "var", who); err != nil {
			if errors.Is(err, errNoGit) || ctx.Err() != nil {
				return r.writeFault("commit in", err)
			}
			return &fault.Error{
				Op: "commit in", Subject: r.root, Code: fault.Usage,
				Err: errors.New("git does not know who the author is"),
				Next: "tell git once:\n  git config --global user.name \"Your Name\"\n" +
					"  git config --global user.email you@example.com",
			}
		}
	}
	return nil
}

// writeFault describes a failed commit or tag.
func (r *Repository) writeFault(op string, err error) error {
	f := &fault.Error{Op: op, Subject: r.root, Err: err, Code: fault.Failed}
	if errors.Is(err, errNoGit) {
		f.Code, f.Next = fault.Usage, "install git: commits, tags and pushes are made by it."
	}
	return f
}
