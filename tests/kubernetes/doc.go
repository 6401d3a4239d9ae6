// Package kubernetes deploys to a real cluster: what `berth publish` published is pulled by containerd, started by a
// kubelet and found ready by its probes, with every overlay of this repository's chart; and what can go wrong on that
// way goes wrong once.
//
// The cluster has one node. etcd, containerd, runc and the CNI plugins are Debian's; kube-apiserver,
// kube-controller-manager, kube-scheduler, kubelet and kubectl are one program, built from Kubernetes' own Go module
// in the folder cluster. Registries are embedded ones under their real names, ghcr.io, ECR's and gcr.io, which want a
// login as the real ones do: pods bring a pull secret to GHCR, and for the others the kubelet asks a credential
// provider, as it does on EKS and GKE.
//
// All of it runs in namespaces of its own: processes, mounts and network. When the test ends, however it ends, the
// kernel takes them away with everything in them; control groups are removed by the test, or by the next one.
//
// There is no kube-proxy, no DNS and no metrics server: the probes reach pods by their addresses, a NetworkPolicy is
// stored but not enforced, and a HorizontalPodAutoscaler starts its minimum and cannot measure.
//
// It needs root on Linux, programs that Debian packages (etcd-server, containerd, runc, containernetworking-plugins,
// iproute2), and what `make e2e-tools` builds into .bin. As that takes minutes, it runs only with
// BERTH_KUBERNETES_TESTS=1, which `make e2e-kubernetes` and CI set. What is missing then fails it; who is not root is
// told so, and nothing is tested.
package kubernetes
