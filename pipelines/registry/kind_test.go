package registry_test

import (
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

func TestKindOf(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]registry.Kind{
		"ghcr.io":     registry.GHCR,
		"GHCR.io":     registry.GHCR,
		"ghcr.io:443": registry.GHCR,
		"339954290315.dkr.ecr.us-west-2.amazonaws.com":          registry.ECR,
		"339954290315.dkr.ecr-fips.us-gov-west-1.amazonaws.com": registry.ECR,
		"339954290315.dkr.ecr.cn-north-1.amazonaws.com.cn":      registry.ECR,
		"339954290315.dkr-ecr.us-west-2.on.aws":                 registry.ECR,
		"339954290315.dkr-ecr-fips.us-east-1.on.aws":            registry.ECR,
		"public.ecr.aws":                        registry.ECR,
		"gcr.io":                                registry.GCR,
		"us.gcr.io":                             registry.GCR,
		"eu.gcr.io":                             registry.GCR,
		"asia.gcr.io":                           registry.GCR,
		"europe-west1-docker.pkg.dev":           registry.GCR,
		"us-docker.pkg.dev":                     registry.GCR,
		"quay.io":                               registry.Quay,
		"quay.io.example.com":                   registry.OCI,
		"notghcr.io":                            registry.OCI,
		"mirror.gcr.io":                         registry.OCI,
		"12345.dkr.ecr.us-west-2.amazonaws.com": registry.OCI,
		"localhost:5000":                        registry.OCI,
		"docker.io":                             registry.DockerHub,
		"index.docker.io":                       registry.DockerHub,
		"registry-1.docker.io:443":              registry.DockerHub,
		"docker.io.example.com":                 registry.OCI,
		"acme.azurecr.io":                       registry.ACR,
		"acme-dev.azurecr.cn":                   registry.ACR,
		"acme.westeurope.data.azurecr.io":       registry.ACR,
		"azurecr.io":                            registry.OCI,
		"registry.gitlab.com":                   registry.GitLab,
		"registry.gitlab.example.com":           registry.OCI,
		"harbor.example.com":                    registry.OCI,
	} {
		if got := registry.KindOf(host); got != want {
			t.Errorf("KindOf(%q) = %s, want %s", host, got, want)
		}
	}
	if got := len(registry.Kinds()); got != 9 {
		t.Errorf("%d kinds", got)
	}
}

func TestParsePrefix(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string][2]string{
		"ghcr.io/brunovlucena":          {"ghcr.io", "brunovlucena"},
		"gcr.io":                        {"gcr.io", ""},
		"localhost/a":                   {"localhost", "a"},
		"localhost:5000/a/b_c/d__e-f.g": {"localhost:5000", "a/b_c/d__e-f.g"},
		"127.0.0.1:5000":                {"127.0.0.1:5000", ""},
		"[::1]:5000/a":                  {"[::1]:5000", "a"},
		"[2001:db8::1]/a":               {"[2001:db8::1]", "a"},
	} {
		host, path, err := registry.ParsePrefix(prefix)
		if host != want[0] || path != want[1] || err != nil {
			t.Errorf("%s: %q, %q, %v", prefix, host, path, err)
		}
	}
	for prefix, hint := range map[string]string{
		"":                                    "no registry host",
		"/a":                                  "no registry host",
		"https://ghcr.io/o":                   "without the scheme: ghcr.io/o",
		"ghcr.io/BrunoVLucena":                "write ghcr.io/brunovlucena",
		"brunovlucena/a":                      "does not begin with a registry host",
		"ghcr.io/a/":                          "write ghcr.io/a",
		"ghcr.io/a//b":                        "not a repository path",
		"ghcr.io/a:tag":                       "not a repository path",
		"ghcr.io/-a":                          "not a repository path",
		"ghcr.io/a..b":                        "not a repository path",
		"-ghcr.io/a":                          "does not begin with a registry host",
		"ghcr.io:x/a":                         "does not begin with a registry host",
		"[::1/a":                              "does not begin with a registry host",
		"[127.0.0.1.5]:5000/a":                "does not begin with a registry host",
		"ghcr.io/" + strings.Repeat("a", 250): "longer than 255",
	} {
		if _, _, err := registry.ParsePrefix(prefix); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%q: %v, want %q", prefix, err, hint)
		}
	}
}

func TestRepositoryNamesAreChecked(t *testing.T) {
	t.Parallel()
	c := registry.NewClient(registry.Options{})
	for _, name := range []string{"ghcr.io", "ghcr.io/Owner/n", "n", "ghcr.io/o/n:tag"} {
		if _, err := c.Repository(name); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err := c.Repository("ghcr.io/o/n")
	if err != nil || r.String() != "ghcr.io/o/n" || r.Host() != "ghcr.io" {
		t.Errorf("%v, %v", r, err)
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "a.localhost:1": true, "127.0.0.1": true, "127.8.8.8:1": true,
		"[::1]:5000": true, "::1": true, "0.0.0.0": false, "": false, "ghcr.io": false, "localhost.example.com": false,
		"192.168.0.1:5000": false,
	} {
		if got := registry.Loopback(host); got != want {
			t.Errorf("Loopback(%q) = %v", host, got)
		}
	}
}

// What ParsePrefix accepts must be a name that the client accepts too, and must come back unchanged.
func FuzzParsePrefix(f *testing.F) {
	for _, seed := range []string{
		"ghcr.io/o/n", "localhost:5000/a", "[::1]:5000/a", "a/b", "https://x.y/z",
		"x.y/A", "x.y:99999/a", "[::]:a",
	} {
		f.Add(seed)
	}
	c := registry.NewClient(registry.Options{})
	f.Fuzz(func(t *testing.T, prefix string) {
		host, path, err := registry.ParsePrefix(prefix)
		if err != nil {
			return
		}
		joined := host
		if path != "" {
			joined += "/" + path
		}
		if joined != prefix || strings.ToLower(prefix) != prefix {
			t.Fatalf("%q became %q", prefix, joined)
		}
		if len(prefix) < 250 {
			if _, err := c.Repository(host + "/" + strings.TrimPrefix(path+"/n", "/")); err != nil {
				t.Fatalf("%q: %v", prefix, err)
			}
		}
	})
}
