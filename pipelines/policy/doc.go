// Package policy holds the images that a project is built on against the rules of berth.yaml.
package policy
