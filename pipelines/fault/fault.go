// Package fault holds berth's one error type. A fault says what failed, on what, why, what to do next and with which
// exit code the process ends, so that every door (CLI, Dagger, Go callers) reports the same failure the same way.
package fault

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Code is the exit code of the process. The numbers are a contract: scripts branch on them.
type Code int

const (
	// Done is success.
	Done Code = 0
	// Failed is a failure that none of the other codes describes.
	Failed Code = 1
	// Usage is a wrong command line, configuration or repository state: nothing was attempted.
	Usage Code = 2
	// Refused is a refusal by policy, such as a branch that the environment does not accept or a version tag that
	// already names other bytes.
	Refused Code = 3
	// Credentials are missing, wrong, expired, or lack a right.
	Credentials Code = 4
	// Unavailable is a registry that cannot be reached or did not work after all retries.
	Unavailable Code = 5
	// Stopped is the end by Ctrl-C: 128 and the number of SIGINT, as shells have it. SIGTERM gives 143.
	Stopped Code = 130
)

// Meaning is the one-line description of the code in help texts and the generated reference.
func (c Code) Meaning() string {
	switch c {
	case Done:
		return "done"
	case Usage:
		return "usage, configuration or repository state is wrong; nothing was attempted"
	case Refused:
		return "refused by policy"
	case Credentials:
		return "credentials are missing, wrong or lack a right"
	case Unavailable:
		return "a registry is unreachable or did not answer after all retries"
	case Stopped:
		return "stopped by Ctrl-C (143: by SIGTERM); the same command finishes the work"
	default:
		return "failed"
	}
}

// Codes lists every code in order, for help texts and the generated reference.
func Codes() []Code { return []Code{Done, Failed, Usage, Refused, Credentials, Unavailable, Stopped} }

// Error is one failure. Op and Subject make the sentence "<op> <subject>: <cause>"; Next stands on a line of its own.
type Error struct {
	// Op is what was being done, as a verb phrase: "push", "read the configuration". It may be empty.
	Op string
	// Subject is what it was done to: registry/repository:tag, file:line:column, an environment. It may be empty.
	Subject string
	// Err is the cause. It never contains a secret.
	Err error
	// Next is the next step for the reader, one or more full lines. It may be empty.
	Next string
	// Code is the exit code.
	Code Code
	// Retryable is true when the same command may succeed later without any change.
	Retryable bool
}

// Error returns the sentence without the next step.
func (e *Error) Error() string {
	head := strings.TrimSpace(e.Op + " " + e.Subject)
	switch {
	case e.Err == nil:
		return head
	case head == "":
		return e.Err.Error()
	default:
		return head + ": " + e.Err.Error()
	}
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns a fault with a formatted cause; %w works as in [fmt.Errorf].
func New(code Code, subject, next, format string, args ...any) *Error {
	return &Error{Code: code, Subject: subject, Next: next, Err: fmt.Errorf(format, args...)}
}

// CodeOf returns the exit code of an error: that of the outermost fault in its chain, [Done] for nil and [Failed] for
// an error that has none.
func CodeOf(err error) Code {
	if err == nil {
		return Done
	}
	if f, ok := errors.AsType[*Error](err); ok && f.Code != Done {
		return f.Code
	}
	return Failed
}

// NextOf returns the next step of the outermost fault in the chain that has one.
func NextOf(err error) string {
	for err != nil {
		f, ok := errors.AsType[*Error](err)
		if !ok {
			return ""
		}
		if f.Next != "" {
			return f.Next
		}
		err = f.Err
	}
	return ""
}

// Join returns one error for several failures with every next step, and the code of the gravest: usage before
// credentials before refusals before unavailability before the rest. Nil errors are dropped; none left gives nil.
func Join(errs ...error) error {
	var kept []error
	for _, err := range errs {
		if err != nil {
			kept = append(kept, err)
		}
	}
	switch len(kept) {
	case 0:
		return nil
	case 1:
		return kept[0]
	}
	worst := kept[0]
	for _, err := range kept[1:] {
		if rank(CodeOf(err)) > rank(CodeOf(worst)) {
			worst = err
		}
	}
	var next []string
	for _, err := range kept {
		if step := NextOf(err); step != "" && !slices.Contains(next, step) {
			next = append(next, step)
		}
	}
	return &Error{Err: errors.Join(kept...), Code: CodeOf(worst), Next: strings.Join(next, "\n")}
}

func rank(c Code) int {
	switch c {
	case Usage:
		return 4
	case Credentials:
		return 3
	case Refused:
		return 2
	case Unavailable:
		return 1
	default:
		return 0
	}
}
