#!/usr/bin/env bash
# Logs in, for Docker and berth, at the project's registry: the one that REGISTRY_TYPE names, or the one for the current
# branch. The login is what the kind of registry has of its own:
#   ghcr  GITHUB_USERNAME and GITHUB_TOKEN (a classic token with write:packages)
#   ecr   AWS's chain: variables, profile, single sign-on, role; no AWS CLI is needed
#   gcr   GCP_PROJECT, and Google's application default credentials; no gcloud is needed
# No secret reaches a command line, the terminal or a file other than Docker's own.
set -euo pipefail
cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."
exec scripts/berth registry login "$@"
