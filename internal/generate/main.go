// Command generate writes what is derived from the code: the JSON Schema of berth.yaml and the reference pages. Run it
// from the repository's root: go generate ./... (make generate). A test fails when a file is stale.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", "", "the repository's root; default: found from the working directory")
	flag.Parse()
	if err := write(*root); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		if root, err = findRoot(dir); err != nil {
			return err
		}
	}
	files, err := generate(root)
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(root, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// findRoot is the nearest folder upwards with a go.mod.
func findRoot(dir string) (string, error) {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no go.mod in %s or above", dir)
		}
	}
}

// generate returns the content of every generated file by its path in the repository.
func generate(root string) (map[string][]byte, error) {
	s, err := schema(root)
	if err != nil {
		return nil, err
	}
	text, err := schemaJSON(s)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"pipelines/config/schema.json": text,
		"docs/configuration.md":        configuration(s),
		"docs/cli.md":                  commands(),
	}, nil
}
