// Command berth-helm renders, checks, packages and deploys Helm charts for berth, with Helm's own Go library. berth
// runs it and speaks to it by the protocol in package wire; it is no program for people.
//
// It is a program and a Go module of its own because of its weight: Helm and the Kubernetes client are a thousand
// packages, which publishing an image does not need. See docs/adr/0026-helm-in-a-program-of-its-own.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"helm.sh/helm/v4/pkg/kube"

	"github.com/berth-sh/berth/cmd/berth-helm/internal/wire"
)

//go:generate cp ../../pipelines/chart/wire/wire.go internal/wire/wire.go

func main() {
	// Objects belong to Helm, whoever runs it: otherwise helm could not upgrade what berth deployed, nor berth what helm
	// did, because the API server refuses to let one manager change the fields of another.
	// Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts
	kube.ManagedFieldsManager = "helm"
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve answers one request.
func serve(ctx context.Context, in io.Reader, out, events io.Writer) error {
	var r wire.Request
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return fmt.Errorf("berth-helm is run by berth; no request on standard input: %w", err)
	}
	a := &wire.Answer{}
	var err error
	if r.Version == wire.Version {
		err = handle(ctx, r, a, &teller{out: events})
	} else {
		err = &failure{
			code: codeUsage, subject: "berth-helm", next: "install the berth-helm of berth's own version",
			err: fmt.Errorf("it speaks version %d of the protocol and berth version %d", wire.Version, r.Version),
		}
	}
	if err != nil {
		a = &wire.Answer{Fault: faultOf(err)}
	}
	return json.NewEncoder(out).Encode(a)
}

func handle(ctx context.Context, r wire.Request, a *wire.Answer, t *teller) error {
	switch r.Verb {
	case wire.Render:
		return render(ctx, r, a)
	case wire.Lint:
		return check(ctx, r, a)
	case wire.Package:
		return pack(r, a)
	case wire.Deployed:
		return deployed(r, a)
	case wire.Deploy:
		return deploy(ctx, r, a, t)
	default:
		return &failure{code: codeUsage, err: fmt.Errorf("unknown verb %q", r.Verb)}
	}
}

// Exit codes of berth's contract.
const (
	codeFailed      = 1
	codeUsage       = 2
	codeCredentials = 4
)

// failure is an error with what berth's own errors have.
type failure struct {
	code          int
	subject, next string
	err           error
}

func (f *failure) Error() string { return f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

func faultOf(err error) *wire.Fault {
	var f *failure
	if !errors.As(err, &f) {
		return &wire.Fault{Code: codeFailed, Message: err.Error()}
	}
	return &wire.Fault{Code: f.code, Subject: f.subject, Message: f.err.Error(), Next: f.next}
}

// teller writes events, one a line.
type teller struct {
	mu  sync.Mutex
	out io.Writer
}

func (t *teller) tell(subject, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// Nobody listens any more when it fails, and the work goes on.
	_ = json.NewEncoder(t.out).Encode(wire.Event{Subject: subject, Detail: fmt.Sprintf(format, args...)})
}
