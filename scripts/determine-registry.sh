#!/usr/bin/env bash
# Prints the registry for the git ref being built: ghcr, ecr or gcr, as berth.yaml names them.
#   GITHUB_REF=refs/heads/main scripts/determine-registry.sh     the other CIs' variables work as well
#   REGISTRY_TYPE=gcr scripts/determine-registry.sh              a registry named by hand wins
# Further arguments go to `berth registry which`; --format json prints the environment and the reason too.
# The project is this script's repository, whatever the working directory is.
set -euo pipefail
cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."
exec scripts/berth registry which "$@"
