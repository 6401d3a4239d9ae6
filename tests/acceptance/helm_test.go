package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// helm lets berth find berth-helm, which is built once.
//
//	helm
func helm(ts *testscript.TestScript, _ bool, _ []string) {
	path, err := builtHelm()
	ts.Check(err)
	ts.Setenv("BERTH_HELM", path)
}

var builtHelm = sync.OnceValues(func() (string, error) {
	top, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	build := exec.Command("make", "--no-print-directory", "build-helm")
	build.Dir = top
	build.Env = os.Environ()
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make build-helm: %w\n%s", err, out)
	}
	return filepath.Join(top, ".bin", "berth-helm"), nil
})
