#!/usr/bin/env bash
# Runs `make generate` and fails when it changed a file: what is generated is committed, and current.
# Changes that were there before do not count, so it can run in the middle of work.
set -euo pipefail
cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."

# One line for each file that git knows or would add: content hash and name.
snapshot() {
  local name
  git ls-files --cached --others --exclude-standard | sort -u | while IFS= read -r name; do
    [[ ! -f $name ]] || printf '%s %s\n' "$(git hash-object -- "$name")" "$name"
  done
}

before=$(snapshot)
make --no-print-directory generate
after=$(snapshot)
if [[ $before == "$after" ]]; then
  exit 0
fi
printf 'check-generated: these files were stale, commit what make generate made of them:\n' >&2
comm -3 <(sort <<<"$before") <(sort <<<"$after") | awk '{print "  " $2}' | sort -u >&2
exit 1
