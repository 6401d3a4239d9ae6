#!/usr/bin/env bash
# Compares the Go benchmarks of the work tree with those of another commit. It informs; it never fails for what is slow.
#   scripts/bench-compare.sh origin/main
# BENCH selects benchmarks. Each is measured six times on either side, which is what benchstat needs.
set -euo pipefail
cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."
base=${1:?name a commit to compare with, for example origin/main}
bench=${BENCH:-.}
rounds=2 count=3

# What both sides have in common is the base; what landed there since is no part of the change.
commit=$(git merge-base HEAD "$base")
scratch=$(mktemp -d)
finish() {
  git worktree remove --force "$scratch/base" 2>/dev/null || true
  rm -rf -- "$scratch"
}
trap finish EXIT
git worktree add --quiet --detach "$scratch/base" "$commit"

# Packages with benchmarks here; one that the base does not have yet has nothing to be compared with.
mapfile -t packages < <(git ls-files -co --exclude-standard 'pipelines/**_test.go' 'internal/**_test.go' |
  xargs grep -l '^func Benchmark' | xargs -n 1 dirname | sort -u)

compile() { # DIR NAME: the tests of each package, so that nothing compiles while the clock runs
  local package
  mkdir "$scratch/$2"
  for package in "${packages[@]}"; do
    [[ -d $1/$package ]] || continue
    go -C "$1" test -c -o "$scratch/$2/${package//\//-}.test" "./$package"
  done
}

measure() { # DIR NAME ROUND
  local package program
  for package in "${packages[@]}"; do
    program=$scratch/$2/${package//\//-}.test
    [[ -x $program ]] || continue
    printf 'pkg: %s\n' "$package" >>"$scratch/$2.txt"
    (cd "$1/$package" && "$program" -test.run '^$' -test.short -test.bench "$bench" -test.benchmem -test.benchtime 50ms \
      -test.count "$count") | grep -E '^Benchmark' >>"$scratch/$2.txt" || true
  done
  printf 'bench-compare: round %d of %d\n' "$3" "$rounds" >&2
}

compile "$scratch/base" old
compile "$PWD" new
touch "$scratch/old.txt" "$scratch/new.txt"
# In turn, so that a machine that gets slower meanwhile does so for both.
for ((round = 1; round <= rounds; round++)); do
  measure "$scratch/base" old "$round"
  measure "$PWD" new "$round"
done
printf 'Go benchmarks: %s (old) and the work tree (new). For information: shared machines are noisy.\n\n' \
  "$(git rev-parse --short "$commit")"
.bin/benchstat "old=$scratch/old.txt" "new=$scratch/new.txt"
