package build

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkSourceSum hashes a module of 2,000 files in 100 folders beside 10,000 files that do not matter.
func BenchmarkSourceSum(b *testing.B) {
	dir := b.TempDir()
	write := func(name, content string) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	write("go.mod", "module example.com/large\n\ngo 1.26\n")
	for i := range 2000 {
		write(fmt.Sprintf("p%d/f%d.go", i%100, i), fmt.Sprintf("package p%d\n\nconst text = %q\n", i%100, make([]byte, 500)))
	}
	for i := range 10_000 {
		write(fmt.Sprintf("node_modules/m%d/f%d.js", i%500, i), "x")
	}
	b.Run("2000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := sourceSum(b.Context(), GoComponent{Dir: dir}, "off"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
