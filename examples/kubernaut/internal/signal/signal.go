// Package signal is the event that all services are about: something in a cluster is wrong.
package signal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// Severity says how bad a signal is.
type Severity string

// Severities, worst first.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Info     Severity = "info"
)

// Signal is one event about one object of a cluster.
type Signal struct {
	Name      string            `json:"name"`
	Severity  Severity          `json:"severity"`
	Namespace string            `json:"namespace"`
	Kind      string            `json:"kind"`
	Object    string            `json:"object"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// Check reports what a signal lacks.
func (s Signal) Check() error {
	switch {
	case s.Name == "":
		return errors.New("the signal has no name")
	case s.Namespace == "" || s.Object == "":
		return errors.New("the signal names no object: namespace and object are required")
	case s.Severity != Critical && s.Severity != Warning && s.Severity != Info:
		return errors.New("severity is critical, warning or info")
	}
	return nil
}

// Fingerprint is equal for signals about the same trouble of the same object, whatever their severity and labels.
func (s Signal) Fingerprint() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{s.Name, s.Namespace, s.Kind, s.Object}, "\x00")))
	return hex.EncodeToString(sum[:8])
}
