package registries

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables into the documentation")

// page is where the tables are printed.
const page = "../../docs/registries.md"

// document compares a table with what the page has between its markers, or writes it there.
func document(t *testing.T, name string, rows [][]string) {
	t.Helper()
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+": written by tests/registries -->\n", "<!-- /"+name+" -->\n"
	before, rest, ok := strings.Cut(string(raw), begin)
	had, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no markers %s", page, name)
	}
	if had == b.String() {
		return
	}
	if !*update {
		t.Fatalf("%s is stale: go test ./tests/registries -update\nit has\n%swant\n%s", page, had, b.String())
	}
	if err := os.WriteFile(page, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
