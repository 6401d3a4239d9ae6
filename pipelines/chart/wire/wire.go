// Package wire is what berth and berth-helm say to each other: one [Request] as JSON on standard input, [Event]s as
// JSON lines on standard error, one [Answer] as JSON on standard output. Secrets travel by standard input alone.
//
// berth-helm is a Go module of its own, which cannot import this one; it has a copy, written by go generate.
package wire

// Version is the version of the protocol. Both sides refuse another one.
const Version = 2

// PullSecretNext is the next step of a fault about a missing pull secret; berth replaces it, as it knows the
// environment.
const PullSecretNext = "PULL_SECRET"

// Verb is what berth-helm is asked to do.
type Verb string

// The verbs.
const (
	// Render renders the chart's objects without a cluster.
	Render Verb = "render"
	// Lint checks chart and values.
	Lint Verb = "lint"
	// Package reads the files that belong into the packaged chart.
	Package Verb = "package"
	// Deployed reads the objects of the release that a cluster runs.
	Deployed Verb = "deployed"
	// Deploy installs or upgrades the release, and waits.
	Deploy Verb = "deploy"
)

// Request is one task.
type Request struct {
	Version int  `json:"version"`
	Verb    Verb `json:"verb"`
	// Chart is the absolute path of the chart's folder.
	Chart     string `json:"chart"`
	Release   string `json:"release"`
	Namespace string `json:"namespace"`
	// ValueFiles are absolute; the last wins.
	ValueFiles []string `json:"valueFiles"`
	// Values win over the files.
	Values []Value `json:"values"`
	// Set are assignments in the form of helm's --set, which win over everything.
	Set []string `json:"set"`
	// ShowSecrets leaves the content of Secrets in the answer.
	ShowSecrets bool `json:"showSecrets"`
	// KubeVersion is the version of Kubernetes to render for; empty is that of the Helm library.
	KubeVersion string  `json:"kubeVersion"`
	Cluster     Cluster `json:"cluster"`
	// Timeout is the time in seconds that a deploy waits for its pods.
	Timeout int `json:"timeout"`
	// Atomic rolls back what fails.
	Atomic bool `json:"atomic"`
	// CreateNamespace makes a missing namespace.
	CreateNamespace bool `json:"createNamespace"`
}

// Value is one value and its path, in the syntax of helm's --set.
type Value struct {
	Path string `json:"path"`
	// JSON is the value.
	JSON string `json:"json"`
}

// Cluster says how the cluster is reached; empty fields are what kubectl would take.
type Cluster struct {
	Kubeconfig string `json:"kubeconfig"`
	// Config is the content of a kubeconfig, which counts instead of a file where it is known as a secret only.
	Config  []byte `json:"config"`
	Context string `json:"context"`
	// Address is the HOST:PORT at which the API server is reached instead. Its certificate is checked for the name that
	// the kubeconfig has.
	Address string `json:"address"`
}

// Event is a step of a deploy.
type Event struct {
	Subject string `json:"subject"`
	Detail  string `json:"detail"`
}

// Answer is the outcome.
type Answer struct {
	// Chart is the chart's name.
	Chart      string `json:"chart"`
	Version    string `json:"version"`
	AppVersion string `json:"appVersion"`
	// Manifest holds the objects as YAML documents.
	Manifest string `json:"manifest"`
	// Images are those of all containers, sorted.
	Images []string `json:"images"`
	// PullSecrets are the names of secrets that pods pull with and that the chart does not write itself, sorted.
	PullSecrets []string  `json:"pullSecrets"`
	Notes       string    `json:"notes"`
	Messages    []Message `json:"messages"`
	// Files are those of the packaged chart, sorted by name, and Metadata is its Chart.yaml as JSON.
	Files    []File `json:"files"`
	Metadata []byte `json:"metadata"`
	// Revision is that of the release; 0 when there is none.
	Revision int `json:"revision"`
	// Fault is what failed; nil when nothing did.
	Fault *Fault `json:"fault"`
}

// Message is a finding of lint.
type Message struct {
	// Severity is error, warning or info.
	Severity string `json:"severity"`
	Path     string `json:"path"`
	Text     string `json:"text"`
}

// File is a file of the packaged chart.
type File struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

// Fault is a failure in the terms of berth's fault.Error.
type Fault struct {
	Code    int    `json:"code"`
	Subject string `json:"subject"`
	Message string `json:"message"`
	Next    string `json:"next"`
}
