package facts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Push pushes branches and tags to origin, all or none. It runs the git program, so the user's ssh configuration,
// credential helpers and hooks hold; over https GIT_TOKEN, or GITHUB_TOKEN on GitHub, is used when they have no answer.
// A push that the remote refuses because it is ahead is a fault with code [fault.Failed] around [ErrRejected].
func (r *Repository) Push(ctx context.Context, refs []string) error {
	cfg, err := r.git.Config()
	if err != nil {
		return unreadable(r.root, err)
	}
	if cfg.Remotes[git.DefaultRemoteName] == nil {
		return fault.New(fault.Usage, r.root, "Add it: git remote add origin ADDRESS", "there is no remote named origin")
	}
	if len(refs) == 0 {
		return nil
	}
	args := append([]string{"push", "--atomic", "--porcelain", "--", git.DefaultRemoteName}, refs...)
	output, err := r.run(ctx, nil, args...)
	if err == nil {
		return nil
	}
	f := &fault.Error{
		Op: "push", Subject: strings.Join(refs, " ") + " to origin", Err: err, Code: fault.Failed,
		Next: "run the push by hand to see what is missing: git push --atomic origin " + strings.Join(refs, " "),
	}
	if errors.Is(err, errNoGit) {
		f.Code, f.Next = fault.Usage, "install git: commits, tags and pushes are made by it."
		return f
	}
	if rejected := rejections(output); len(rejected) > 0 {
		f.Err = fmt.Errorf("%w: %s: %w", ErrRejected, strings.Join(rejected, ", "), err)
		f.Next = "Bring the clone up to date and run the command again: git pull --rebase origin && git fetch --tags"
	}
	return f
}

// rejections reads the lines of `git push --porcelain` whose flag is "!": the names and reasons of what was refused.
// "atomic push failed" is what the others get when one is refused.
func rejections(output string) []string {
	var refused []string
	for line := range strings.Lines(output) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 3 || fields[0] != "!" || strings.Contains(fields[2], "atomic push failed") {
			continue
		}
		_, target, _ := strings.Cut(fields[1], ":")
		refused = append(refused, target+" "+fields[2])
	}
	slices.Sort(refused)
	return refused
}
