package facts

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// BenchmarkLatestTag finds the newest of 2,000 tags that HEAD reaches in a history of 100,000 commits, as a version that
// comes from git does.
func BenchmarkLatestTag(b *testing.B) {
	const commits, tags = 100_000, 2000
	f := newFixture(b)
	cmd := exec.CommandContext(b.Context(), "git", "fast-import", "--quiet")
	cmd.Dir, cmd.Env = f.dir, append(hermetic(f.home), author(f.at)...)
	var stream strings.Builder
	for i := range commits {
		fmt.Fprintf(&stream, "commit refs/heads/main\nmark :%d\ncommitter Ann <ann@example.com> %d +0000\ndata 1\nx\n",
			i+1, 1_600_000_000+i*600)
		if i == 0 {
			fmt.Fprint(&stream, "M 100644 inline a\ndata 1\na\n")
		}
		if i%(commits/tags) == 0 {
			fmt.Fprintf(&stream, "reset refs/tags/v1.%d.%d\nfrom :%d\n\n", i/commits, i, i+1)
		}
	}
	cmd.Stdin = strings.NewReader(stream.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	f.git("pack-refs", "--all")
	b.Run("100000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := f.open()
			all, err := r.Tags(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			among := map[string]bool{}
			for _, t := range all {
				among[t.Commit] = true
			}
			if near, err := r.Nearest(b.Context(), among); err != nil || near == "" || len(all) != tags {
				b.Fatalf("%q of %d tags, %v", near, len(all), err)
			}
		}
	})
}
