package facts

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5"
	formatconfig "github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/plumbing/format/index"
)

// stateDir is where berth keeps its own files. It is never an input, even when no .gitignore says so.
const stateDir = ".berth"

// untracked lists files inside the inputs that are neither tracked nor ignored. A repository inside an input that is
// not a submodule is listed as one path.
func (r *Repository) untracked(ctx context.Context, idx *index.Index, inputs []string) ([]string, error) {
	folders := outermost(inputs)
	if len(folders) == 0 {
		return nil, nil
	}
	w := walk{root: r.root, tracked: make(map[string]bool, len(idx.Entries))}
	for _, e := range idx.Entries {
		w.tracked[e.Name] = true
	}
	rules, err := r.sharedRules()
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		if err := w.enter(ctx, folder, rules); err != nil {
			return nil, err
		}
	}
	return w.found, nil
}

// outermost cleans the folders and drops those inside another, so that nothing is walked twice.
func outermost(folders []string) []string {
	var kept []string
	for _, folder := range folders {
		folder = path.Clean(filepath.ToSlash(folder))
		if folder == ".." || strings.HasPrefix(folder, "../") || path.IsAbs(folder) {
			continue
		}
		kept = append(kept, folder)
	}
	slices.Sort(kept)
	kept = slices.Compact(kept)
	return slices.DeleteFunc(kept, func(folder string) bool {
		return slices.ContainsFunc(kept, func(other string) bool {
			return other != folder && (other == "." || strings.HasPrefix(folder, other+"/"))
		})
	})
}

// walk looks for untracked files below one folder after the other.
type walk struct {
	root    string
	tracked map[string]bool
	found   []string
}

// enter reads the ignore files from the root down to the folder, then walks it. Nothing inside an ignored folder
// counts.
func (w *walk) enter(ctx context.Context, folder string, rules []ignoreRule) error {
	if folder == "." {
		return w.visit(ctx, "", rules)
	}
	parts := strings.Split(folder, "/")
	for i := range parts {
		if parts[i] == git.GitDirName || parts[i] == stateDir {
			return nil
		}
		own, err := w.ignoreFile(strings.Join(parts[:i], "/"))
		if err != nil {
			return err
		}
		rules = slices.Concat(rules, own)
		if ignored(rules, strings.Join(parts[:i+1], "/"), true) {
			return nil
		}
	}
	if info, err := os.Lstat(w.full(folder)); err == nil && !info.IsDir() { // an input may be a single file
		if !w.tracked[folder] {
			w.found = append(w.found, folder)
		}
		return nil
	}
	return w.visit(ctx, folder, rules)
}

func (w *walk) visit(ctx context.Context, folder string, rules []ignoreRule) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	children, err := os.ReadDir(w.full(folder))
	if err != nil {
		if gone(err) {
			return nil
		}
		return err
	}
	own, err := w.ignoreFile(folder)
	if err != nil {
		return err
	}
	rules = slices.Concat(rules, own)
	for _, child := range children {
		name := child.Name()
		if name == git.GitDirName || name == stateDir && child.IsDir() {
			continue
		}
		below := path.Join(folder, name)
		if w.tracked[below] || ignored(rules, below, child.IsDir()) {
			continue
		}
		if !child.IsDir() {
			w.found = append(w.found, below)
			continue
		}
		if inner, err := gitDirOf(w.full(below)); err == nil && inner != "" {
			w.found = append(w.found, below)
			continue
		}
		if err := w.visit(ctx, below, rules); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) full(name string) string { return filepath.Join(w.root, filepath.FromSlash(name)) }

func (w *walk) ignoreFile(folder string) ([]ignoreRule, error) {
	content, err := os.ReadFile(w.full(path.Join(folder, ".gitignore")))
	if err != nil {
		if gone(err) {
			return nil, nil
		}
		return nil, err
	}
	return parseIgnore(content, folder), nil
}

// sharedRules are those that hold in the whole work tree: the user's excludes file, then the repository's own.
func (r *Repository) sharedRules() ([]ignoreRule, error) {
	var rules []ignoreRule
	for _, file := range []string{r.excludesFile(), filepath.Join(r.commonDir, "info", "exclude")} {
		if file == "" {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !gone(err) {
			return nil, err
		}
		rules = append(rules, parseIgnore(content, "")...)
	}
	return rules, nil
}

// excludesFile is core.excludesFile of the repository, else of the user, else git's default for it.
func (r *Repository) excludesFile() string {
	home := r.getenv("HOME")
	settings := r.getenv("XDG_CONFIG_HOME")
	if settings == "" && home != "" {
		settings = filepath.Join(home, ".config")
	}
	files := []string{filepath.Join(r.commonDir, "config")}
	if global, ok := r.lookupEnv("GIT_CONFIG_GLOBAL"); ok {
		files = append(files, global)
	} else {
		files = append(files, filepath.Join(home, ".gitconfig"), filepath.Join(settings, "git", "config"))
	}
	for _, file := range files {
		value := excludesSetting(file)
		if value == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(value, "~/"); ok {
			return filepath.Join(home, rest)
		}
		return absolute(r.root, value)
	}
	if settings == "" {
		return ""
	}
	return filepath.Join(settings, "git", "ignore")
}

// excludesSetting reads core.excludesFile of one configuration file. A file that cannot be read says nothing: git
// itself will complain about it.
func excludesSetting(file string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	raw := formatconfig.New()
	if err := formatconfig.NewDecoder(bytes.NewReader(content)).Decode(raw); err != nil {
		return ""
	}
	return raw.Section("core").Option("excludesfile")
}
