package dockerfile

import (
	"path/filepath"
	"strings"
	"testing"
)

// onBuild gives an argument to a base image's ONBUILD. berth does not look into base images, so that the Dockerfile
// declares it as well; it has the value from there in any case.
func (l *lab) onBuild(t *testing.T, setting []string) {
	env := l.environment(setting...)
	base := l.project(t, map[string]string{
		"berth.yaml": strings.NewReplacer("web:", "base:", "/acme", "/onbuild", ", linux/arm64", "").Replace(berthYAML("{dockerfile: {}}")),
		"VERSION":    "1.0.0\n",
		"Dockerfile": "FROM busybox:1\nONBUILD ARG WHO=nobody\nONBUILD RUN echo hello $WHO > /who\n",
	})
	l.do(t, base, env, l.berth, "publish", "--builder", "buildkit")
	files := map[string]string{
		"berth.yaml": strings.Replace(berthYAML("{dockerfile: {args: {WHO: Ann}}}"), ", linux/arm64", "", 1), "VERSION": "1.0.0\n",
		"Dockerfile": "FROM HOST/onbuild/base:v1.0.0\n",
	}
	_, said, code := l.try(t, l.project(t, files), env, l.berth, "build", "--quiet", "--builder", "buildkit")
	if code != 2 || !strings.Contains(said, "declares no ARG WHO") || !strings.Contains(said, "before the first FROM") {
		t.Errorf("exit code %d\n%s", code, said)
	}
	files["Dockerfile"] = "ARG WHO\n" + files["Dockerfile"]
	dir := l.project(t, files)
	for _, builder := range []string{"docker", "buildkit"} {
		out := filepath.Join(l.dir, "onbuild-"+builder)
		l.build(t, dir, env, "--builder", builder, "--output", out)
		if got := l.unpack(t, out, "linux/amd64")["who"]; got != "hello Ann\n" {
			t.Errorf("%s: %q", builder, got)
		}
	}
}
