package facts

import (
	"errors"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/fault"
)

// identity are variables that name an author and leave the dates to the clock.
func identity() []string {
	return []string{
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com",
		"GIT_COMMITTER_NAME=Bob", "GIT_COMMITTER_EMAIL=bob@example.com",
	}
}

func TestCommitFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.write("run.sh", "1\n")
	chmod(t, f, "run.sh", 0o755)
	f.write("staged", "1\n")
	f.write("edited", "1\n")
	f.write("both", "1\n")
	f.git("add", ".")
	parent := f.commit("VERSION", "1.0.0\n", "one")
	f.write("staged", "2\n")
	f.write("both", "2\n")
	f.write("new-staged", "2\n")
	f.git("add", ".")
	f.write("edited", "3\n")
	f.write("both", "3\n")
	f.write("untracked", "3\n")
	f.write("VERSION", "changed by hand\n")
	f.git("add", "VERSION")

	r := f.open(identity()...)
	files := map[string][]byte{
		"VERSION": []byte("1.1.0\n"), "run.sh": []byte("2\n"), "docs/with space/*": []byte("new\n"),
	}
	hash, err := r.CommitFiles(t.Context(), files, "Bump to 1.1.0\n\n# not a comment\n")
	if err != nil {
		t.Fatal(err)
	}
	if hash != f.head() || f.git("rev-parse", "HEAD^") != parent {
		t.Errorf("hash = %s, HEAD %s on %s", hash, f.head(), f.git("rev-parse", "HEAD^"))
	}
	wantLog := "Ann <ann@example.com> Bob <bob@example.com> 2026-03-01T12:30:00Z main Bump to 1.1.0\n\n# not a comment"
	got := f.git("log", "-1", "--format=%an <%ae> %cn <%ce> %cI ") + f.git("branch", "--show-current") + " " +
		f.git("log", "-1", "--format=%B")
	if got = strings.ReplaceAll(got, "+00:00", "Z"); got != wantLog {
		t.Errorf("commit = %q, want %q", got, wantLog)
	}
	want := ":100644 100644 M VERSION\n:000000 100644 A docs/with space/*\n:100755 100755 M run.sh"
	var raw []string
	for line := range strings.SplitSeq(f.git("diff-tree", "-r", "--raw", "--no-commit-id", "HEAD"), "\n") {
		head, name, _ := strings.Cut(line, "\t")
		fields := strings.Fields(head)
		raw = append(raw, strings.Join([]string{fields[0], fields[1], fields[4], name}, " "))
	}
	if diff := cmp.Diff(want, strings.Join(raw, "\n")); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	wantStatus := "MM both\n M edited\nA  new-staged\nM  staged\n?? untracked"
	if diff := cmp.Diff(wantStatus, f.git("status", "--porcelain")); diff != "" {
		t.Errorf("what the user had (-want +got):\n%s", diff)
	}
	// The repository that made the commit sees it, and the same again makes none.
	found, err := r.Facts(t.Context(), Options{})
	if err != nil || found.Commit != hash {
		t.Errorf("facts after the commit: %s, %v", found.Commit, err)
	}
	if again, err := r.CommitFiles(t.Context(), files, "again"); err != nil || again != hash || f.head() != hash {
		t.Errorf("again: %s, %v, HEAD %s", again, err, f.head())
	}
	if none, err := r.CommitFiles(t.Context(), nil, "none"); err != nil || none != hash {
		t.Errorf("no files: %s, %v", none, err)
	}
	if diff := cmp.Diff(wantStatus, f.git("status", "--porcelain")); diff != "" {
		t.Errorf("after the second run (-want +got):\n%s", diff)
	}
}

func TestCommitFilesUndoesAFailure(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := f.commit("VERSION", "1.0.0\n", "one")
	f.write("staged", "1")
	f.git("add", ".")
	f.write(".git/hooks/pre-commit", "#!/bin/sh\necho refused by the hook\nexit 1\n")
	chmod(t, f, ".git/hooks/pre-commit", 0o755)
	files := map[string][]byte{"VERSION": []byte("2\n"), "new/file": []byte("2\n")}
	_, err := f.open(identity()...).CommitFiles(t.Context(), files, "x")
	if fault.CodeOf(err) != fault.Failed || !strings.Contains(err.Error(), "refused by the hook") {
		t.Errorf("error = %v (code %d)", err, fault.CodeOf(err))
	}
	if f.head() != before || f.read("VERSION") != "1.0.0\n" {
		t.Errorf("HEAD %s, VERSION %q", f.head(), f.read("VERSION"))
	}
	if got := f.git("status", "--porcelain"); got != "A  staged" {
		t.Errorf("status = %q", got)
	}
}

func TestCommitFilesRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.commit("a", "1", "one")
	outside := t.TempDir()
	for name, target := range map[string]string{"link": "a", "folder": outside} {
		if err := os.Symlink(target, filepath.Join(f.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	r := f.open(identity()...)
	for _, name := range []string{"", ".", "../x", "/x", ".git/config", ".GIT/config", "link", "folder/x", "x//y"} {
		_, err := r.CommitFiles(t.Context(), map[string][]byte{name: nil}, "x")
		if fault.CodeOf(err) != fault.Usage || fault.NextOf(err) == "" {
			t.Errorf("%q: %v, want a usage fault", name, err)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 0 {
		t.Errorf("written outside: %v, %v", entries, err)
	}
	_, err := f.open().CommitFiles(t.Context(), map[string][]byte{"a": []byte("2")}, "x")
	if fault.CodeOf(err) != fault.Usage || !strings.Contains(fault.NextOf(err), "user.email") || f.read("a") != "1" {
		t.Errorf("nobody: %v, a = %q", err, f.read("a"))
	}
	// git would take a name from the system's list of users.
	_, err = f.open("EMAIL=root@example.com").CreateTag(t.Context(), "v1", "x", "")
	if fault.CodeOf(err) != fault.Usage || !strings.Contains(fault.NextOf(err), "user.name") {
		t.Errorf("nobody tags: %v", err)
	}
	// The author of the repository's own configuration is enough.
	f.git("config", "user.name", "Cat")
	f.git("config", "user.email", "cat@example.com")
	if _, err := f.open().CommitFiles(t.Context(), map[string][]byte{"a": []byte("2")}, "x"); err != nil {
		t.Errorf("configured author: %v", err)
	}
	if got := f.git("log", "-1", "--format=%an %ae %cn"); got != "Cat cat@example.com Cat" {
		t.Errorf("author = %s", got)
	}
}

func TestCreateTag(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := f.commit("a", "1", "one")
	two := f.commit("a", "2", "two")
	// A variable of git's hooks must not lead to another repository.
	r := f.open(append(identity(), "GIT_DIR=/nowhere", "GIT_INDEX_FILE=/nowhere")...)
	for i, want := range []bool{true, false} {
		created, err := r.CreateTag(t.Context(), "v1.0.0", "Release 1.0.0", one)
		if err != nil || created != want {
			t.Errorf("run %d: created %v, %v", i, created, err)
		}
	}
	if got := f.git("cat-file", "-t", "v1.0.0") + " " + f.git("rev-parse", "v1.0.0^{}"); got != "tag "+one {
		t.Errorf("tag is %s", got)
	}
	got := f.git("tag", "-l", "--format=%(taggername) %(taggerdate:unix) %(contents)")
	if got != "Bob 1772368200 Release 1.0.0" {
		t.Errorf("tag = %q", got)
	}
	_, err := r.CreateTag(t.Context(), "v1.0.0", "x", two)
	if !errors.Is(err, ErrTagExists) || fault.CodeOf(err) != fault.Refused ||
		!strings.Contains(err.Error(), one) || !strings.Contains(err.Error(), two) {
		t.Errorf("other commit: %v", err)
	}
	created, err := r.CreateTag(t.Context(), "head", "x", "")
	if err != nil || !created || f.git("rev-parse", "head^{}") != two {
		t.Errorf("HEAD: %v, %v", created, err)
	}
	if _, err := r.CreateTag(t.Context(), "a b", "x", two); fault.CodeOf(err) != fault.Usage {
		t.Errorf("bad name: %v", err)
	}
	if _, err := r.CreateTag(t.Context(), "v2", "x", strings.Repeat("1", 40)); fault.CodeOf(err) != fault.Failed {
		t.Errorf("no such commit: %v", err)
	}
}

func TestPush(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := f.commit("a", "1", "one")
	r := f.open(identity()...)
	if err := r.Push(t.Context(), []string{"main"}); fault.CodeOf(err) != fault.Usage {
		t.Errorf("no origin: %v", err)
	}
	remote := f.in(filepath.Join(t.TempDir(), "remote.git"))
	f.git("init", "-q", "--bare", "--initial-branch=main", remote.dir)
	f.git("remote", "add", "origin", remote.dir)
	f.git("tag", "-a", "-m", "x", "v1")
	r = f.open(identity()...)
	for range 2 {
		if err := r.Push(t.Context(), []string{"main", "v1"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := remote.git("rev-parse", "main", "v1^{}"); got != one+"\n"+one {
		t.Errorf("remote has %s", got)
	}
	// Somebody else pushes; ours is refused, and its tag stays away too.
	theirs := f.in(filepath.Join(t.TempDir(), "theirs"))
	f.git("clone", "-q", remote.dir, theirs.dir)
	theirs.commit("a", "theirs", "theirs")
	theirs.git("push", "-q", "origin", "main")
	f.commit("a", "ours", "ours")
	f.git("tag", "v2")
	err := f.open().Push(t.Context(), []string{"v2", "main"})
	if !errors.Is(err, ErrRejected) || fault.CodeOf(err) != fault.Failed ||
		!strings.Contains(fault.NextOf(err), "git pull") || !strings.Contains(err.Error(), "refs/heads/main") {
		t.Errorf("rejected: %v, next %q", err, fault.NextOf(err))
	}
	if got := remote.git("tag", "-l"); got != "v1" {
		t.Errorf("remote tags = %s", got)
	}
	if err := r.Push(t.Context(), []string{"gone"}); fault.CodeOf(err) != fault.Failed || errors.Is(err, ErrRejected) {
		t.Errorf("no such branch: %v", err)
	}
	if err := r.Push(t.Context(), nil); err != nil {
		t.Errorf("nothing to push: %v", err)
	}
}

// serve serves bare repositories below root over http with git's own backend, to those who know the token.
func serve(t *testing.T, root, token string) string {
	t.Helper()
	program, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: program, Args: []string{"http-backend"},
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=ann"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, password, _ := req.BasicAuth(); password != token {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who is there", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestPushWithAToken(t *testing.T) {
	t.Parallel()
	const token = "s3cret-token"
	f := newFixture(t)
	hash := f.commit("a", "1", "one")
	root := t.TempDir()
	remote := f.in(filepath.Join(root, "r.git"))
	f.git("init", "-q", "--bare", remote.dir)
	address := serve(t, root, token)
	f.git("remote", "add", "origin", address+"/r.git")

	if err := f.open().Push(t.Context(), []string{"main"}); fault.CodeOf(err) != fault.Failed {
		t.Errorf("without a token: %v", err)
	}
	if err := f.open("GITHUB_TOKEN="+token).Push(t.Context(), []string{"main"}); err == nil {
		t.Error("GITHUB_TOKEN went to a host that is not GitHub")
	}
	known := f.open("GITHUB_TOKEN="+token, "GITHUB_SERVER_URL="+address)
	if err := known.Push(t.Context(), []string{"main"}); err != nil {
		t.Errorf("GITHUB_TOKEN: %v", err)
	}
	if got := remote.git("rev-parse", "main"); got != hash {
		t.Errorf("remote has %s", got)
	}
	hash = f.commit("a", "2", "two")
	if err := f.open("GIT_TOKEN="+token).Push(t.Context(), []string{"main"}); err != nil {
		t.Errorf("GIT_TOKEN: %v", err)
	}
	if got := remote.git("rev-parse", "main"); got != hash {
		t.Errorf("remote has %s", got)
	}
	// Credentials never come back in an error, whatever a hook prints.
	withSecret := strings.Replace(address, "://", "://ann:"+token+"@", 1)
	f.git("remote", "set-url", "origin", withSecret+"/r.git")
	f.write(".git/hooks/pre-push", "#!/bin/sh\necho \"to $2 with $GIT_TOKEN\" >&2\nexit 1\n")
	chmod(t, f, ".git/hooks/pre-push", 0o755)
	err := f.open("GIT_TOKEN="+token).Push(t.Context(), []string{"main"})
	want := "to " + strings.Replace(address, "://", "://***@", 1) + "/r.git with ***"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error = %v, want %q in it", err, want)
	}
}
