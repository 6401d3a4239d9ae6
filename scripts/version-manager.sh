#!/usr/bin/env bash
# Versions and tags of this repository's project, over the berth CLI. `version-manager.sh help` lists the verbs.
# The project is this script's repository, whatever the working directory is.
set -euo pipefail
cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."

usage() {
  cat <<'TEXT'
Usage: scripts/version-manager.sh VERB

  generate-tag       print the version tag for the current branch
  bump VERSION       write VERSION into the project's files, commit them and create the git tag
  bump-major         the same with the next major version
  bump-minor         the same with the next minor version
  bump-patch         the same with the next patch version
  info               print branch, commit, version, tags, environment and registry

Further arguments go to berth: `bump 1.1.0 --push` also pushes the commit and the tag.
GIT_BRANCH, VERSION, SHA_SHORT and REGISTRY_TYPE in the environment override what git says.
TEXT
}

# field NAME: a plain string of the flat JSON object on standard input.
field() {
  sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"
}

refuse() {
  printf 'version-manager.sh: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

verb=${1-}
[[ -n $verb ]] || refuse 'a verb is missing'
shift
case $verb in
  generate-tag)
    tags=$(scripts/berth version tags "$@")
    printf '%s\n' "${tags%%$'\n'*}"
    ;;
  bump)
    [[ -n ${1-} ]] || refuse 'bump needs a version, such as 1.1.0'
    exec scripts/berth version bump "$@"
    ;;
  bump-major | bump-minor | bump-patch)
    exec scripts/berth version bump "${verb#bump-}" "$@"
    ;;
  info)
    which=$(scripts/berth registry which --format json "$@")
    shown=$(scripts/berth version show --format json "$@")
    tags=$(scripts/berth version tags "$@")
    branch=$(field branch <<<"$shown")
    cat <<TEXT
branch: ${branch:-(none)}
commit: $(field commit <<<"$shown")
version: $(field version <<<"$shown")
tags: ${tags//$'\n'/ }
environment: $(field environment <<<"$which")
registry: $(field registry <<<"$which")
TEXT
    ;;
  help | -h | --help)
    usage
    ;;
  *)
    refuse "unknown verb \"$verb\""
    ;;
esac
