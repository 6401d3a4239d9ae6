package endurance

import (
	"fmt"
	"log"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func quiet() *log.Logger { return slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo) }

// moments is how often the program is killed.
const moments = 30

// Killed with SIGKILL at any request, a publish leaves no tag on an image that is not whole, and the same command
// finishes what it began: the registry then has what an undisturbed publish leaves there.
func TestAKilledPublishIsFinishedByTheSameCommand(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3)
	total := 0
	clean := f.open(t, func(n int, _ *http.Request) bool {
		total = n
		return true
	})
	if cmd, output := f.publish(clean.host + "/clean"); cmd.Run() != nil {
		t.Fatalf("%v\n%s", cmd.ProcessState, output)
	}
	want := f.contents(t, "clean")
	if len(want) != 3*len(f.components) {
		t.Fatalf("a clean publish gave %v", want)
	}
	chance := rand.New(rand.NewPCG(4, 30))
	for i := range moments {
		// The last answers are those of the read back; every moment up to there counts.
		moment, answered := 1+chance.IntN(total), chance.IntN(2) == 0
		path := fmt.Sprintf("run%02d", i)
		t.Run(fmt.Sprintf("%s at request %d", path, moment), func(t *testing.T) {
			t.Parallel()
			killed(t, f, path, moment, answered)
			f.contents(t, path)
			if cmd, output := f.publish(f.host + "/" + path); cmd.Run() != nil {
				t.Fatalf("again: %v\n%s", cmd.ProcessState, output)
			}
			same(t, "again", f.contents(t, path), want)
		})
	}
}

// killed runs a publish and kills it when the request with that number arrives; the registry may still see that one.
func killed(t *testing.T, f *fleet, path string, moment int, answered bool) {
	t.Helper()
	var cmd *exec.Cmd
	started := make(chan struct{})
	g := f.open(t, func(n int, _ *http.Request) bool {
		<-started
		if n == moment {
			_ = cmd.Process.Kill()
		}
		return n < moment || n == moment && answered
	})
	cmd, output := f.publish(g.host + "/" + path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	// The number of requests differs by a few from run to run: one that is over before its moment is no failure.
	if err := cmd.Wait(); err != nil && cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("%v\n%s", err, output)
	}
}

// Ctrl-C ends a publish at once, with the exit code that shells have for it, although the registry does not answer.
func TestASignalEndsAPublish(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	for _, c := range []struct {
		signal syscall.Signal
		phase  string
		fits   func(r *http.Request) bool
	}{
		{syscall.SIGINT, "look", func(*http.Request) bool { return true }},
		{syscall.SIGINT, "upload", func(r *http.Request) bool { return r.Method == http.MethodPut }},
		{syscall.SIGTERM, "tag", func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "v1.0.0")
		}},
	} {
		t.Run(c.phase, func(t *testing.T) {
			t.Parallel()
			var process *os.Process
			started, once := make(chan struct{}), sync.Once{}
			g := f.open(t, func(_ int, r *http.Request) bool {
				<-started
				if !c.fits(r) {
					return true
				}
				once.Do(func() { _ = process.Signal(c.signal) })
				return false
			})
			cmd, output := f.publish(g.host + "/" + c.phase)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			process = cmd.Process
			close(started)
			_ = cmd.Wait()
			if got, want := cmd.ProcessState.ExitCode(), 128+int(c.signal); got != want {
				t.Errorf("exit code %d, want %d\n%s", got, want, output)
			}
			if !strings.Contains(output.String(), "error: stopped; run the same command again to finish") {
				t.Errorf("output %s", output)
			}
			if tags := f.contents(t, c.phase); len(tags) != 0 {
				t.Errorf("tags %v", tags)
			}
		})
	}
}
