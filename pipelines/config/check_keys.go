package config

import (
	"fmt"
	"slices"
)

// checkKeys finds approvers and recorders that cannot be used, and roles that a CI could not give. Whether the files
// hold keys is seen where they are read.
func (c *Config) checkKeys() error {
	for i, a := range c.Approvers {
		at := []string{"approvers", fmt.Sprint(i)}
		if err := c.checkKey(at, a.Name, a.Key); err != nil {
			return err
		}
		if a.Role == "" {
			return c.Fault(append(at, "role"), "write a role that promote.approvals names", "approver %s has no role", a.Name)
		}
	}
	for i, r := range c.Recorders {
		if err := c.checkKey([]string{"recorders", fmt.Sprint(i)}, r.Name, r.Key); err != nil {
			return err
		}
	}
	for _, name := range c.EnvironmentNames() {
		p := c.Environments[name].Promote
		if p == nil {
			continue
		}
		for i, role := range p.CI {
			if !slices.Contains(p.Approvals, role) {
				return c.Fault([]string{"environments", name, "promote", "ci", fmt.Sprint(i)},
					"name it in approvals as well, or remove it", "role %q is not among the approvals", role)
			}
		}
	}
	return nil
}

func (c *Config) checkKey(at []string, name, key string) error {
	switch {
	case name == "":
		return c.Fault(append(at, "name"), "write who the key belongs to", "the key %q has no name", key)
	case key == "" || !inside(key):
		return c.Fault(append(at, "key"), "name the file of the public key, relative to berth.yaml",
			"%q is no file of the project", key)
	default:
		return nil
	}
}
