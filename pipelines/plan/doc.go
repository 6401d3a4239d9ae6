// Package plan decides what a publish would do: a pure function of configuration, git facts and the environment. Every
// decision carries its reason, and every refusal is data.
package plan
