package facts

import (
	"io/fs"
	"strings"
	"testing"
)

func FuzzIgnore(f *testing.F) {
	f.Add("*.log\n!/a/**\r\n{x}\\ \n[", "a", "a/b.log")
	f.Fuzz(func(t *testing.T, content, folder, name string) {
		if !fs.ValidPath(name) || name == "." {
			t.Skip()
		}
		rules := parseIgnore([]byte(content), folder)
		if ignored(rules, name, true) && folder != "" && !strings.HasPrefix(name, folder+"/") {
			t.Fatalf("%q in %q ignores %q", content, folder, name)
		}
		// A last line that matches everything decides.
		if all := parseIgnore([]byte("*\n"+content), ""); !ignored(all, name, false) {
			if !strings.Contains(content, "!") {
				t.Fatalf("%q does not ignore %q", content, name)
			}
		}
	})
}
