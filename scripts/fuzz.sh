#!/usr/bin/env bash
# Runs every fuzz test of the repository's root module for a while, one after the other.
#   scripts/fuzz.sh 10s
set -euo pipefail
cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."
time=${1:-10s}

go list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r package dir; do
  tests=$(find "$dir" -maxdepth 1 -name '*_test.go' -exec sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' {} + | sort)
  for name in $tests; do
    printf '%s %s\n' "$package" "$name"
    go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$package" </dev/null
  done
done
