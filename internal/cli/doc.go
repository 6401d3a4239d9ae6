// Package cli is the command line: cobra commands over the facade, one file a verb. It turns flags into requests and
// results into text or JSON, and holds no logic of its own.
package cli
