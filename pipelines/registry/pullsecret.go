package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/berth-sh/berth/pipelines/fault"
)

// PullSecret is what a cluster needs to pull from a registry: a secret of Kubernetes, or the reason why it needs none.
// It prints without the password, but for [PullSecret.YAML] and its JSON.
type PullSecret struct {
	// Host is the registry's.
	Host string
	// Reason says why no secret is needed; empty when there is one.
	Reason string
	// Elsewhere says how clusters get to a secret that Reason does not hold for.
	Elsewhere string

	name, namespace string
	credential      Credential
}

// PullSecretOptions name a secret.
type PullSecretOptions struct {
	// Name of the secret; empty is the kind's with "-secret", for example ghcr-secret.
	Name string
	// Namespace of the secret, the one of the pods; empty leaves it to kubectl.
	Namespace string
	// Kind of the registry.
	Kind Kind
	// ShortLived takes a password that soon ends.
	ShortLived bool
}

// The names that Kubernetes gives to objects and to namespaces.
// Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
var (
	objectName    = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	namespaceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
)

// NewPullSecret makes the secret with which a cluster pulls from a host as c. A password that soon ends is refused,
// because pods would one day not start: unless it is asked for, or nodes of the registry's own cloud need none anyway.
func NewPullSecret(host string, c Credential, o PullSecretOptions) (PullSecret, error) {
	if o.Name == "" {
		o.Name = string(o.Kind) + "-secret"
	}
	switch {
	case len(o.Name) > 253 || !objectName.MatchString(o.Name):
		return PullSecret{}, fault.New(fault.Usage, "--name "+o.Name, "use lower-case letters, digits, - and .",
			"it is not a name for a secret of Kubernetes")
	case o.Namespace != "" && !namespaceName.MatchString(o.Namespace):
		return PullSecret{}, fault.New(fault.Usage, "--namespace "+o.Namespace, "use lower-case letters, digits and -",
			"it is not a name for a namespace of Kubernetes")
	}
	s := PullSecret{Host: host, name: o.Name, namespace: o.Namespace, credential: c}
	ends := c.ends()
	if ends != "" || c.Anonymous() {
		if reason, elsewhere := noSecret(host, o.Kind); reason != "" && !o.ShortLived {
			return PullSecret{Host: host, Reason: reason, Elsewhere: elsewhere}, nil
		}
	}
	switch {
	case c.Anonymous():
		return PullSecret{}, fault.New(fault.Credentials, host,
			fill(o.Kind.hints().login, host, "")+"\nimages that everybody may pull need no secret",
			"there are no credentials to make a pull secret of")
	case c.Password == "":
		return PullSecret{}, fault.New(fault.Refused, host, "log in with a user name and a password or token that lasts",
			"the login from %s is a token that the kubelet cannot use", c.Source)
	case ends != "" && !o.ShortLived:
		return PullSecret{}, fault.New(fault.Refused, host, lasting(o.Kind)+"\nor take it all the same: --short-lived",
			"the login from %s does not last: %s, and pods would not start then", c.Source, ends)
	}
	return s, nil
}

// ends says why a password soon ends, "" when it lasts as far as anybody can tell.
func (c Credential) ends() string {
	switch {
	case !c.Expires.IsZero():
		return "it ends at " + c.Expires.UTC().Format(time.RFC3339)
	case c.Username == "AWS":
		return "a token of ECR lives 12 hours"
	case c.Username == GoogleTokenUser:
		return "an access token of Google lives an hour"
	case strings.HasPrefix(c.Password, "ghs_"):
		return "a token of GitHub Actions ends with its job"
	case c.Username == jobUser, c.Source == "CI_REGISTRY_PASSWORD":
		return "a token of GitLab CI ends with its job"
	default:
		return ""
	}
}

// noSecret says why clusters of the registry's own cloud need no secret, and what others do.
func noSecret(host string, kind Kind) (reason, elsewhere string) {
	if address, ok := ParseECR(host); ok && address.Public {
		return "everybody may pull from the public registry of AWS", "nothing is needed elsewhere either"
	}
	switch kind {
	case ECR:
		return "nodes of EKS pull from ECR with the role of the node (AmazonEC2ContainerRegistryPullOnly)",
			"elsewhere a token lives 12 hours: let the kubelet's ecr-credential-provider ask for it, or renew the secret by\n" +
				"a job in the cluster; once, by hand: berth pull-secret --short-lived"
	case GCR:
		return "nodes of GKE pull from Artifact Registry with their service account (roles/artifactregistry.reader)",
			"elsewhere use the key of a service account that may only read:\n" +
				"berth pull-secret --username _json_key --password-stdin <key.json"
	default:
		return "", ""
	}
}

// lasting says which login of a kind lasts.
func lasting(kind Kind) string {
	switch kind {
	case GHCR:
		return "use a classic token with read:packages: berth pull-secret --username NAME --password-stdin"
	case GitLab:
		return "use a deploy token with read_registry: berth pull-secret --username NAME --password-stdin"
	case Quay:
		return "use a robot account that may only read: berth pull-secret --username NAMESPACE+ROBOT --password-stdin"
	default:
		return "use an account that may only read: berth pull-secret --username NAME --password-stdin"
	}
}

// Needed tells whether there is a secret.
func (s PullSecret) Needed() bool { return s.Reason == "" }

// String says what the secret is for, without the password.
func (s PullSecret) String() string {
	if !s.Needed() {
		return "no pull secret for " + s.Host + ": " + s.Reason
	}
	return fmt.Sprintf("pull secret %s for %s as %s", s.name, s.Host, s.credential)
}

// GoString says what the secret is for, without the password.
func (s PullSecret) GoString() string { return s.String() }

// config is the content of the secret, in the one form that the kubelet reads: it runs no helper and no store.
// Source: https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/
func (s PullSecret) config() (string, error) {
	type login struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Auth     string `json:"auth"`
	}
	entry := login{
		Username: s.credential.Username, Password: s.credential.Password,
		Auth: base64.StdEncoding.EncodeToString([]byte(s.credential.Username + ":" + s.credential.Password)),
	}
	//nolint:gosec // the secret is what is asked for
	body, err := json.Marshal(map[string]map[string]login{"auths": {dockerNames(s.Host)[0]: entry}})
	return base64.StdEncoding.EncodeToString(body), err
}

type secretObject struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Type       string            `json:"type"`
	Data       map[string]string `json:"data"`
}

func (s PullSecret) object() (secretObject, error) {
	config, err := s.config()
	o := secretObject{
		APIVersion: "v1", Kind: "Secret", Metadata: map[string]string{"name": s.name},
		Type: "kubernetes.io/dockerconfigjson", Data: map[string]string{".dockerconfigjson": config},
	}
	if s.namespace != "" {
		o.Metadata["namespace"] = s.namespace
	}
	return o, err
}

// MarshalJSON writes the object that kubectl applies, with the password in it, or why there is none.
func (s PullSecret) MarshalJSON() ([]byte, error) {
	if !s.Needed() {
		return json.Marshal(map[string]any{
			"needed": false, "host": s.Host, "reason": s.Reason, "elsewhere": s.Elsewhere,
		})
	}
	o, err := s.object()
	if err != nil {
		return nil, err
	}
	return json.Marshal(o)
}

// YAML writes the object that kubectl applies, with the password in it. Where no secret is needed it writes comments.
func (s PullSecret) YAML(w io.Writer) error {
	var b bytes.Buffer
	if !s.Needed() {
		for line := range strings.SplitSeq("no pull secret is needed for "+s.Host+": "+s.Reason+"\n"+s.Elsewhere, "\n") {
			fmt.Fprintf(&b, "# %s\n", line)
		}
		_, err := w.Write(b.Bytes())
		return err
	}
	o, err := s.object()
	if err != nil {
		return err
	}
	// Strings of JSON are strings of YAML, and whatever they hold stays text.
	fmt.Fprintf(&b, "apiVersion: %q\nkind: %q\nmetadata:\n  name: %q\n", o.APIVersion, o.Kind, s.name)
	if s.namespace != "" {
		fmt.Fprintf(&b, "  namespace: %q\n", s.namespace)
	}
	fmt.Fprintf(&b, "type: %q\ndata:\n  .dockerconfigjson: %q\n", o.Type, o.Data[".dockerconfigjson"])
	_, err = w.Write(b.Bytes())
	return err
}
