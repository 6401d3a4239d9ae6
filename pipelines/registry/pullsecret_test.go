package registry_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

func TestWhichLoginMakesAPullSecret(t *testing.T) {
	t.Parallel()
	const ecr, gcr = "339954290315.dkr.ecr.us-west-2.amazonaws.com", "europe-west1-docker.pkg.dev"
	lasts := registry.Credential{Username: "ci", Password: "p"}
	for name, c := range map[string]struct {
		host string
		cred registry.Credential
		want string // secret, none, or what the refusal says
	}{
		"a robot":             {"quay.io", registry.Credential{Username: "acme+pull", Password: "p"}, "secret"},
		"an own registry":     {"registry.example.com", lasts, "secret"},
		"a password at ecr":   {ecr, lasts, "secret"}, // a proxy in front of it has its own users
		"ecr's token":         {ecr, registry.Credential{Username: "AWS", Password: "p"}, "none"},
		"ecr, nobody":         {ecr, registry.Credential{}, "none"},
		"public ecr":          {"public.ecr.aws", registry.Credential{}, "none"},
		"a key of google's":   {gcr, registry.Credential{Username: "_json_key", Password: "p"}, "secret"},
		"google's token":      {gcr, registry.Credential{Username: "oauth2accesstoken", Password: "p"}, "none"},
		"google's chain":      {gcr, registry.Credential{Username: "x", Password: "p", Expires: time.Unix(1, 0)}, "none"},
		"nobody":              {"quay.io", registry.Credential{}, "no credentials to make"},
		"github's job":        {"ghcr.io", registry.Credential{Username: "x", Password: "ghs_x"}, "ends with its job"},
		"gitlab's job":        {"registry.gitlab.com", registry.Credential{Username: "gitlab-ci-token", Password: "p"}, "ends with its job"},
		"an identity token":   {"acme.azurecr.io", registry.Credential{IdentityToken: "t", Source: "az"}, "the kubelet cannot use"},
		"an access token":     {"ghcr.io", registry.Credential{AccessToken: "t"}, "the kubelet cannot use"},
		"whatever soon ends":  {"quay.io", registry.Credential{Username: "x", Password: "p", Expires: time.Unix(1, 0)}, "ends at 1970"},
		"docker hub":          {"docker.io", lasts, "secret"},
		"a key at gcr.io too": {"gcr.io", registry.Credential{Username: "_json_key_base64", Password: "p"}, "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := registry.NewPullSecret(c.host, c.cred, registry.PullSecretOptions{Kind: registry.KindOf(c.host)})
			switch {
			case err != nil:
				if code := fault.CodeOf(err); !strings.Contains(err.Error(), c.want) || fault.NextOf(err) == "" ||
					code != fault.Refused && code != fault.Credentials {
					t.Errorf("%d %v, want %s", code, err, c.want)
				}
			case got.Needed() != (c.want == "secret") || !got.Needed() && got.Elsewhere == "":
				t.Errorf("%v, want %s", got, c.want)
			}
			if c.cred.Password == "" {
				return
			}
			if got, err := registry.NewPullSecret(c.host, c.cred, registry.PullSecretOptions{
				Kind: registry.KindOf(c.host), ShortLived: true,
			}); err != nil || !got.Needed() {
				t.Errorf("asked for: %v, %v", got, err)
			}
		})
	}
}

// YAML and JSON are the same object, and the kubelet finds the login under the host.
func TestAPullSecretIsWhatKubernetesReads(t *testing.T) {
	t.Parallel()
	for host, key := range map[string]string{"quay.io": "quay.io", "docker.io": "https://index.docker.io/v1/"} {
		s, err := registry.NewPullSecret(host, registry.Credential{Username: `a"b: ü`, Password: "hunter2\n'"},
			registry.PullSecretOptions{Kind: registry.KindOf(host), Namespace: "123"})
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("%v %+v %#v %s", s, s, s, s); strings.Contains(text, "hunter2") {
			t.Errorf("a password in %s", text)
		}
		var text strings.Builder
		if err := s.YAML(&text); err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var fromYAML, fromJSON struct {
			Metadata map[string]any
			Data     map[string]string
		}
		if err := yaml.Unmarshal([]byte(text.String()), &fromYAML); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(body, &fromJSON); err != nil {
			t.Fatal(err)
		}
		if fromYAML.Metadata["namespace"] != "123" || fromYAML.Data[".dockerconfigjson"] != fromJSON.Data[".dockerconfigjson"] {
			t.Errorf("%s\n%s", text.String(), body)
		}
		config, err := base64.StdEncoding.DecodeString(fromYAML.Data[".dockerconfigjson"])
		if err != nil {
			t.Fatal(err)
		}
		var docker struct {
			Auths map[string]struct{ Username, Password, Auth string }
		}
		if err := json.Unmarshal(config, &docker); err != nil {
			t.Fatal(err)
		}
		got := docker.Auths[key]
		auth, _ := base64.StdEncoding.DecodeString(got.Auth)
		if got.Username != `a"b: ü` || got.Password != "hunter2\n'" || string(auth) != got.Username+":"+got.Password {
			t.Errorf("%s: %s", host, config)
		}
	}
}
