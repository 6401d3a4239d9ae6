//go:build linux

package kubernetes

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const (
	socket = "/run/containerd/containerd.sock"
	// pause is the image of the sandboxes, which no registry has.
	pause = "berth.test/pause:1"
)

// startRuntime starts containerd, which reaches the registries as berth does.
func (c *cluster) startRuntime(t *testing.T) *daemon {
	t.Helper()
	must(t, os.MkdirAll("/run/cni", 0o755))
	must(t, os.WriteFile("/run/cni/10-e2e.conflist", []byte(`{"cniVersion": "0.4.0", "name": "e2e", "plugins": [{
  "type": "bridge", "bridge": "cni0", "isGateway": true,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.79.0.0/24"}]], "dataDir": "/var/lib/cni"}
}]}`), 0o600))
	// What needs rights that a container of CI lacks is off.
	config := fmt.Sprintf(`version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/run/cni"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
`, socket, pause)
	must(t, os.WriteFile(c.file("containerd.toml"), []byte(config), 0o600))
	env := append(c.registries.network(), "PATH="+os.Getenv("PATH"))
	return c.start(t, env, "containerd", "--config", c.file("containerd.toml"))
}

func runtimeAnswers() error {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// loadPause builds the image that holds the pods' namespaces, with berth, and gives it to containerd.
func (c *cluster) loadPause(t *testing.T) {
	t.Helper()
	config := filepath.Join(c.dir, "pause.yaml")
	must(t, os.WriteFile(config, []byte(`apiVersion: berth/v1
project: pause
version: {file: VERSION}
platforms: [linux/amd64]
components: {pause: {go: {package: ./tests/kubernetes/pause}}}
registries: {none: {prefix: berth.test}}
tags: [{branch: "**", set: ["v{version}"]}]
environments: {e2e: {registry: none, refs: {branches: ["**"]}}}
`), 0o600))
	layout, archive := filepath.Join(c.dir, "pause"), filepath.Join(c.dir, "pause.tar")
	run(t, c.clone, c.shell, "", "berth", "build", "--quiet", "--project", c.clone, "--config", config, "--output", layout)
	run(t, layout, c.shell, "", "tar", "-cf", archive, ".")
	run(t, c.dir, c.shell, "", "ctr", "--address", socket, "--namespace", "k8s.io",
		"images", "import", "--index-name", pause, archive)
}

// startKubelet starts the node. Its pods may have what the machine has: this one's disk and memory are not the test's.
func (c *cluster) startKubelet(t *testing.T) *daemon {
	t.Helper()
	must(t, os.WriteFile(c.file("kubelet.yaml"), []byte(fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
containerRuntimeEndpoint: unix://%s
cgroupDriver: cgroupfs
cgroupRoot: /%s
enforceNodeAllocatable: [none]
failSwapOn: false
failCgroupV1: false
oomScoreAdj: 0
makeIPTablesUtilChains: false
evictionHard: {memory.available: 0%%, nodefs.available: 0%%, nodefs.inodesFree: 0%%, imagefs.available: 0%%}
imageGCHighThresholdPercent: 100
serializeImagePulls: false
registryPullQPS: 0
volumePluginDir: /var/lib/kubelet/volume-plugins
resolvConf: %s
`, socket, group, c.file("resolv.conf"))), 0o600))
	must(t, os.WriteFile(c.file("resolv.conf"), nil, 0o600))
	providers, plugins := c.registries.providers(t, c.state)
	return c.start(t, []string{"PATH=" + os.Getenv("PATH")}, "kubelet", "--config="+c.file("kubelet.yaml"),
		"--kubeconfig="+c.kubeconfig("kubelet"), "--hostname-override=node", "--node-ip="+nodeAddress,
		"--image-credential-provider-config="+providers, "--image-credential-provider-bin-dir="+plugins)
}
