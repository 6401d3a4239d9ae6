// Package clients reads what berth published with clients that know nothing of berth: crane, skopeo and Docker. The
// images are those of this repository, built from a clone, and the amd64 one is run. A client that is not installed is
// skipped with a line that says so; `make tools` builds crane.
package clients
