// Package status reads what is where: the board of components × environments, with version, digest, age, drift, and how
// many commits an environment is ahead of and behind the one that its images come from.
package status
