# shellcheck shell=bash
# The assertions that the seed document's functions use, and the runner: `bash assert.sh FILE FUNCTION` runs one of them
# in the current folder and ends with 0, 1 for a broken assertion, or 3 for a function that cannot run here.
set -euo pipefail

fail() {
  printf '%s\n' "$1" >&2
  exit 1
}

# The seeds call it after the commands that have to succeed.
assert_success() {
  local status=$?
  ((status == 0)) || fail "the command before assert_success ended with $status"
}

assert_equals() {
  [[ $1 == "$2" ]] || fail "want \"$1\", got \"$2\""
}

assert_matches() {
  [[ $2 =~ $1 ]] || fail "want a match of \"$1\", got \"$2\""
}

images() {
  docker images --format '{{.Repository}}:{{.Tag}}' 'ghcr.io/brunovlucena/knative-lambda-*' | sort
}

# needs_docker: a function that looks into a Docker daemon calls it first. The images it loads are removed at the end,
# but for names that were there before.
needs_docker() {
  docker info >/dev/null 2>&1 || {
    printf 'no Docker daemon answers\n' >&2
    exit 3
  }
  images_before=$(images)
  trap 'comm -13 <(printf "%s\n" "$images_before") <(images) | xargs docker rmi >/dev/null' EXIT
}

# shellcheck source=/dev/null
source "$1"
# In the seeds, VERSION and SHA_SHORT are plain assignments that the scripts are meant to see.
set -a
"$2"
