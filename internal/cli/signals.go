package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/berth-sh/berth/pipelines/fault"
)

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return "stopped by " + i.signal.String() }

// WithSignals returns a context that ends at Ctrl-C (SIGINT) or SIGTERM, so that what is under way is given up in
// order. The second signal ends the process at once. stop lets signals end the process again.
func WithSignals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			number, _ := s.(syscall.Signal) // what else is notified has no other type
			cancel(interrupted{number})
		case <-ctx.Done():
		}
		signal.Stop(signals)
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// stopped is the exit code after a signal: 128 and its number, as shells have it. ok is false when no signal came.
func stopped(ctx context.Context) (code fault.Code, ok bool) {
	i, ok := errors.AsType[interrupted](context.Cause(ctx))
	return fault.Code(128 + int(i.signal)), ok
}

// printStopped says what to do after a signal.
func (p Process) printStopped() {
	_, _ = fmt.Fprintln(p.Stderr, "error: stopped; run the same command again to finish")
}
