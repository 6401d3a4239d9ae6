package fault_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/fault"
)

func TestTheSentence(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]*fault.Error{
		"push ghcr.io/a/b: EOF": {Op: "push", Subject: "ghcr.io/a/b", Err: io.EOF},
		"push: EOF":             {Op: "push", Err: io.EOF},
		"berth.yaml:1:2: EOF":   {Subject: "berth.yaml:1:2", Err: io.EOF},
		"EOF":                   {Err: io.EOF, Next: "not in the sentence"},
		"push ghcr.io/a/b":      {Op: "push", Subject: "ghcr.io/a/b"},
		"":                      {},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	err := fault.New(fault.Refused, "x", "next", "why: %w", io.EOF)
	if err.Error() != "x: why: EOF" || !errors.Is(err, io.EOF) || err.Code != fault.Refused || err.Next != "next" || err.Retryable {
		t.Errorf("%+v", err)
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	refused := fault.New(fault.Refused, "", "", "no")
	for name, c := range map[string]struct {
		err  error
		want fault.Code
	}{
		"nil":                  {nil, fault.Done},
		"a plain error":        {io.EOF, fault.Failed},
		"a fault":              {refused, fault.Refused},
		"wrapped":              {fmt.Errorf("so: %w", refused), fault.Refused},
		"the outermost counts": {&fault.Error{Err: refused, Code: fault.Unavailable}, fault.Unavailable},
		"one without a code":   {&fault.Error{Err: io.EOF}, fault.Failed},
		"joined":               {errors.Join(io.EOF, refused), fault.Refused},
	} {
		if got := fault.CodeOf(c.err); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestNextOf(t *testing.T) {
	t.Parallel()
	inner := &fault.Error{Next: "inner", Err: io.EOF}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"nil":               {nil, ""},
		"a plain error":     {io.EOF, ""},
		"its own":           {&fault.Error{Next: "outer", Err: inner}, "outer"},
		"that of its cause": {&fault.Error{Err: fmt.Errorf("so: %w", inner)}, "inner"},
		"none":              {&fault.Error{Err: io.EOF}, ""},
	} {
		if got := fault.NextOf(c.err); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	of := func(code fault.Code) error { return fault.New(code, "", fmt.Sprintf("next %d", code), "code %d", code) }
	if err := fault.Join(nil, nil); err != nil {
		t.Errorf("%v", err)
	}
	only := of(fault.Failed)
	if err := fault.Join(nil, only, nil); err != only { //nolint:errorlint // it must be the very error
		t.Errorf("%v", err)
	}
	// Each is graver than all before it.
	order := []error{io.EOF, of(fault.Unavailable), of(fault.Refused), of(fault.Credentials), of(fault.Usage)}
	for i := 1; i < len(order); i++ {
		for _, pair := range [][]error{{order[i-1], order[i]}, {order[i], order[i-1]}} {
			err := fault.Join(pair...)
			if got, want := fault.CodeOf(err), fault.CodeOf(order[i]); got != want {
				t.Errorf("%v gives %d, want %d", pair, got, want)
			}
			for _, one := range pair {
				if !strings.Contains(fault.NextOf(err), fault.NextOf(one)) {
					t.Errorf("%v lost the next step of %v: %q", pair, one, fault.NextOf(err))
				}
				if !errors.Is(err, one) || !strings.Contains(err.Error(), one.Error()) {
					t.Errorf("%v lost %v", err, one)
				}
			}
		}
	}
	// Every next step is told, once.
	a, b := fault.New(fault.Refused, "a", "next a", "no"), fault.New(fault.Refused, "b", "next b", "no")
	if got := fault.NextOf(fault.Join(a, b, a)); got != "next a\nnext b" {
		t.Error(got)
	}
}

// The numbers are a contract: scripts branch on them.
func TestTheCodes(t *testing.T) {
	t.Parallel()
	meanings := map[string]bool{}
	for i, c := range fault.Codes() {
		if int(c) != i && c != fault.Stopped {
			t.Errorf("code %d at place %d", c, i)
		}
		meanings[c.Meaning()] = true
	}
	if len(meanings) != 7 || fault.Stopped != 130 || fault.Usage != 2 || fault.Refused != 3 || fault.Credentials != 4 || fault.Unavailable != 5 {
		t.Errorf("%v", meanings)
	}
}
