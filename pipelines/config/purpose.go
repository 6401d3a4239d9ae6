package config

import (
	"fmt"
	"slices"
)

// What a registry may be for. The order is that of the road that images take.
const (
	PurposeDevelopment = "development"
	PurposeTesting     = "testing"
	PurposeStaging     = "staging"
	PurposeProduction  = "production"
)

// Purposes lists what a registry may be for, in the order of the road.
func Purposes() []string {
	return []string{PurposeDevelopment, PurposeTesting, PurposeStaging, PurposeProduction}
}

// For reports whether the registry is for one of the purposes. A registry that names none is for everything.
func (r Registry) For(purposes ...string) bool {
	return len(r.Purpose) == 0 ||
		slices.ContainsFunc(r.Purpose, func(p string) bool { return slices.Contains(purposes, p) })
}

// checkPurpose holds the names, because a misspelt purpose would refuse everything.
func (c *Config) checkPurpose(at, purposes []string) error {
	for i, p := range purposes {
		if !slices.Contains(Purposes(), p) {
			return c.unknown(append(slices.Clone(at), fmt.Sprint(i)), "purpose", p, Purposes())
		}
	}
	return nil
}
