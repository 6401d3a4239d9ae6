// Package dockerfile builds Dockerfiles for real: with docker buildx and with a BuildKit daemon, which the tests start
// themselves, from base images that they make of this machine's busybox and Go and keep in a registry of their own. No
// network is needed. What was built is published, pulled and run by a Docker daemon, also started here.
//
// The daemons need root, runc, dockerd, a static busybox and an SSH agent, as Debian packages them (docker.io, runc,
// busybox-static, openssh-client), and buildkitd, buildctl, docker-buildx and a newer dockerd in .bin, from
// `make docker-tools`. As they take minutes, they run only with BERTH_DOCKER_TESTS=1, which `make docker-test` and CI
// set; what is missing then fails them.
package dockerfile
