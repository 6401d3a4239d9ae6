#!/usr/bin/env bash
# Logs Docker in at the project's registry: the one that REGISTRY_TYPE names, or the one for the current branch.
#   ghcr  GITHUB_USERNAME and GITHUB_TOKEN (a classic token with write:packages)
#   ecr   the AWS CLI and its credentials
#   gcr   the gcloud CLI and its login, and GCP_PROJECT
# Secrets go through pipes only: none reaches a command line, the terminal or a file other than Docker's own.
set -euo pipefail
cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."

die() {
  local code=$1
  shift
  printf 'docker-login: %s\n' "$@" >&2
  exit "$code"
}

need_command() {
  command -v "$1" >/dev/null || die 2 "$1 is not in PATH; $2"
}

need_variable() {
  [[ -n ${!1:-} ]] || die 4 "$1 is not set; $2"
}

# field NAME: a plain string of the flat JSON object on standard input.
field() {
  sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"
}

need_command docker 'install the Docker client'
which=$(scripts/berth registry which --format json)
kind=$(field kind <<<"$which")
prefix=$(field prefix <<<"$which")
host=${prefix%%/*}

case $kind in
  ghcr)
    need_variable GITHUB_USERNAME 'set it to the GitHub user that owns the token'
    need_variable GITHUB_TOKEN 'set it to a classic token with write:packages, from https://github.com/settings/tokens'
    printf '%s' "$GITHUB_TOKEN" | docker login "$host" --username "$GITHUB_USERNAME" --password-stdin
    ;;
  ecr)
    need_command aws 'install the AWS CLI: https://docs.aws.amazon.com/cli/'
    # <account>.dkr.ecr.<region>.amazonaws.com
    region=${host#*.dkr.ecr.}
    region=${region%%.*}
    aws ecr get-login-password --region "$region" | docker login "$host" --username AWS --password-stdin
    ;;
  gcr)
    need_command gcloud 'install the Google Cloud CLI: https://cloud.google.com/sdk/docs/install'
    gcloud auth configure-docker "$host" --quiet
    ;;
  *)
    die 2 "no login is known for registries of kind \"$kind\"; run docker login $host"
    ;;
esac
