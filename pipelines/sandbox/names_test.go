package sandbox

import (
	"regexp"
	"testing"
)

// part is the grammar of one element of a repository name in the OCI distribution specification.
func part() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$`) }

func TestFolders(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"ghcr.io":            "ghcr.io",
		"localhost:5000":     "localhost__5000",
		"a--b.example.com":   "a--b.example.com",
		"[::1]:5000":         "ip6__0-0-0-0-0-0-0-1__5000",
		"[2001:db8::1]":      "ip6__2001-db8-0-0-0-0-0-1",
		"ip6.example.com:80": "ip6.example.com__80",
	} {
		got, err := folder(host)
		if err != nil || got != want || !part().MatchString(got) {
			t.Errorf("folder(%q) = %q, %v, want %q", host, got, err, want)
		}
		if back := hostOf(got); back != host {
			t.Errorf("hostOf(%q) = %q, want %q", got, back, host)
		}
	}
	for _, host := range []string{
		"", "a b", "../x", "a/b", "-a", "a_b", "a__1", "[::1%25lo]:1", "a..b", ".", "::::",
		"a: ", "a:x",
	} {
		if got, err := folder(host); err == nil {
			t.Errorf("folder(%q) = %q", host, got)
		}
	}
}

func FuzzFolder(f *testing.F) {
	for _, seed := range []string{
		"ghcr.io", "localhost:5000", "[::1]:5000", "ip6__zz", "a:b:c", "0: ",
		"[::ffff:1.2.3.4]:1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		_ = hostOf(host) // whatever a URL holds must not crash it
		name, err := folder(host)
		if err != nil {
			return
		}
		if !part().MatchString(name) {
			t.Fatalf("folder(%q) = %q, which no registry takes", host, name)
		}
		if again, err := folder(hostOf(name)); err != nil || again != name {
			t.Fatalf("%q became %q, then %q, %v", host, name, again, err)
		}
	})
}
