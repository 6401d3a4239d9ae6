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

# needs_docker: a function that looks into a Docker daemon calls it first.
needs_docker() {
  docker info >/dev/null 2>&1 || {
    printf 'no Docker daemon answers\n' >&2
    exit 3
  }
}

# shellcheck source=/dev/null
source "$1"
# In the seeds, VERSION and SHA_SHORT are plain assignments that the scripts are meant to see.
set -a
"$2"
