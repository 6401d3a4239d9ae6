package chart

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/berth-sh/berth/pipelines/chart/wire"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/report"
)

const (
	program = "berth-helm"
	// variable names the program where it is not found by itself.
	variable = "BERTH_HELM"
	// module is the program's Go module, in a folder of that name below cmd of a checkout of berth.
	module = "github.com/berth-sh/berth/cmd/berth-helm"
	// patience is the time that the program has to mark an interrupted release before it is killed.
	patience = 30 * time.Second
)

// Helm runs berth-helm.
type Helm struct {
	// Lookup reads the environment.
	Lookup func(name string) (string, bool)
	// Environ is the environment of the program, as in [os.Environ].
	Environ []string
	// Near are folders in or below which berth itself may lie: of its executable, of the project. A berth-helm beside
	// the executable is taken, and a checkout of berth around one of them is built from.
	Near []string
	// Program gives the program's file; nil looks for it.
	Program func(ctx context.Context) (string, error)
	// Progress is told the steps of a deploy.
	Progress report.Progress
}

// Do asks berth-helm. A failure that it reports comes back as a fault.
func (h Helm) Do(ctx context.Context, r wire.Request) (wire.Answer, error) {
	path, err := h.find(ctx)
	if err != nil {
		return wire.Answer{}, err
	}
	r.Version = wire.Version
	in, err := json.Marshal(r)
	if err != nil {
		return wire.Answer{}, err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, path)
	cmd.Env, cmd.Stdin, cmd.Stdout = h.Environ, bytes.NewReader(in), &out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = patience
	events, err := cmd.StderrPipe()
	if err != nil {
		return wire.Answer{}, err
	}
	if err := cmd.Start(); err != nil {
		return wire.Answer{}, fault.New(fault.Failed, path, installNext, "it does not start: %w", err)
	}
	said := h.listen(events)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return wire.Answer{}, context.Cause(ctx)
		}
		return wire.Answer{}, fault.New(fault.Failed, path, "", "it failed: %w\n%s", err, strings.TrimSpace(said))
	}
	var a wire.Answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return a, fault.New(fault.Failed, path, installNext, "it does not answer as berth-helm does: %w", err)
	}
	if f := a.Fault; f != nil {
		return a, &fault.Error{
			Subject: f.Subject, Next: f.Next, Code: fault.Code(f.Code), Err: errors.New(f.Message),
		}
	}
	return a, nil
}

// listen hands on events until the program ends, and returns what was none.
func (h Helm) listen(r io.Reader) string {
	var said strings.Builder
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		var e wire.Event
		if json.Unmarshal([]byte(line), &e) == nil && e.Detail != "" {
			h.Progress.Emit("deploy", e.Subject, e.Detail)
		} else {
			said.WriteString(line)
		}
		if err != nil {
			return said.String()
		}
	}
}

const installNext = "install it beside berth: go install " + module + "@latest, or name it in " + variable

// find returns the program: the one that is named, the one beside berth, the one in PATH, or one that is built from the
// checkout of berth in which this runs.
func (h Helm) find(ctx context.Context) (string, error) {
	if h.Program != nil {
		return h.Program(ctx)
	}
	if named, ok := h.Lookup(variable); ok && named != "" {
		if _, err := os.Stat(named); err != nil {
			return "", fault.New(fault.Usage, variable+"="+named, "name the program's file", "%w", causeOf(err))
		}
		return named, nil
	}
	name := program
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	for _, dir := range h.Near {
		if source := checkout(dir); source != "" {
			return h.build(ctx, source, name)
		}
		if beside := filepath.Join(dir, name); isFile(beside) {
			return beside, nil
		}
	}
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	return "", fault.New(fault.Usage, program, installNext,
		"charts are rendered and deployed by this program, and it is not installed")
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func causeOf(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// checkout is the source of berth-helm in the checkout of berth around dir, "" when there is none.
func checkout(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		source := filepath.Join(at, "cmd", program)
		content, err := os.ReadFile(filepath.Join(source, "go.mod"))
		if first, _, _ := strings.Cut(string(content), "\n"); err == nil && strings.TrimSpace(first) == "module "+module {
			return source
		}
		if at == filepath.Dir(at) {
			return ""
		}
	}
}

// build compiles the program into .bin of the checkout. Go's cache makes it quick where nothing has changed.
func (h Helm) build(ctx context.Context, source, name string) (string, error) {
	out := filepath.Join(source, "..", "..", ".bin", name)
	if !isFile(out) {
		h.Progress.Emit("build", program, "from "+source+", which takes a minute the first time")
	}
	// As `make build-helm` and the tests do, so that the thousand packages are compiled once for all.
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", out, ".")
	cmd.Dir = source
	cmd.Env = append(h.Environ[:len(h.Environ):len(h.Environ)], "GOFLAGS=-buildvcs=false")
	said, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return out, nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return "", fault.New(fault.Usage, program, installNext, "it is built from %s, but there is no go command", source)
	default:
		return "", fault.New(fault.Failed, program, installNext, "%s", fmt.Sprintf("go build: %v\n%s", err, said))
	}
}
