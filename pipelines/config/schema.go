package config

import (
	_ "embed"
	"slices"
)

//go:generate go run github.com/berth-sh/berth/internal/generate

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema of berth.yaml, which is generated from the types of this package.
func Schema() []byte { return slices.Clone(schema) }
