#!/usr/bin/env bash
# DEVOPS-009, "Multi-Registry End-to-End", with its story 1 test 3 and story 3 test 4: a Docker daemon builds, pushes and
# pulls by the Makefile. Run it on a clean clone of main.
#
# Against local registries only hosts are replaced: in berth.yaml, and here by GHCR and ECR. A registry that has another
# host than its kind is logged in to with REGISTRY_USERNAME and REGISTRY_PASSWORD instead of the kind's own login.
set -euo pipefail
cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.."

real_ghcr=ghcr.io
real_ecr=339954290315.dkr.ecr.us-west-2.amazonaws.com
GHCR=${GHCR:-$real_ghcr}
ECR=${ECR:-$real_ecr}

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

# login HOST REAL: as the Makefile does for the registry itself.
login() {
  if [[ $1 == "$2" ]]; then
    make docker-login
  else
    printf '%s' "${REGISTRY_PASSWORD:?}" | scripts/docker-login.sh --username "${REGISTRY_USERNAME:?}" --password-stdin
  fi
}

# flow PREFIX: build, look, push, look again from the other side.
flow() {
  local prefix=$1 component local_id pulled_id tags
  make docker-build
  for component in knative-lambda-builder knative-lambda-sidecar knative-lambda-metrics-pusher; do
    # Not a pipe: grep -q would end docker before it has written everything.
    grep -q "^$prefix/$component " <<<"$(docker images --format '{{.Repository}} {{.Tag}}')" ||
      fail "docker images has no $prefix/$component"
  done
  tags=$(docker images "$prefix/knative-lambda-builder" --format '{{.Tag}}')
  for tag in "v$VERSION" latest "$GIT_COMMIT"; do
    grep -qx -- "$tag" <<<"$tags" || fail "knative-lambda-builder has no tag $tag, but: $tags"
  done
  make docker-push
  for component in knative-lambda-builder knative-lambda-sidecar knative-lambda-metrics-pusher; do
    local_id=$(docker image inspect --format '{{.Id}}' "$prefix/$component:latest")
    docker image rm --force "$local_id" >/dev/null
    docker pull --quiet "$prefix/$component:latest"
    pulled_id=$(docker image inspect --format '{{.Id}}' "$prefix/$component:latest")
    [[ $local_id == "$pulled_id" ]] || fail "$component: $local_id was built, $pulled_id was pushed"
  done
}

echo "🧪 Testing Multi-Registry Support"

export VERSION=1.0.0
GIT_COMMIT=$(git rev-parse --short=7 HEAD)
export GIT_COMMIT

echo "Test 1: GHCR complete flow..."
export REGISTRY_TYPE=ghcr
login "$GHCR" "$real_ghcr"
flow "$GHCR/brunovlucena"
echo "✅ GHCR flow complete"

echo "Test 2: ECR complete flow..."
export REGISTRY_TYPE=ecr
login "$ECR" "$real_ecr"
flow "$ECR/knative-lambdas"
echo "✅ ECR flow complete"
unset REGISTRY_TYPE

echo "Test 3: Environment-based deployment..."
if command -v kubectl >/dev/null && command -v helm >/dev/null && kubectl version --request-timeout=5s >/dev/null 2>&1; then
  for env in local dev prd; do
    echo "Testing $env environment..."
    kubectl create namespace "knative-lambda-$env" --dry-run=client -o yaml | kubectl apply -f -
    helm upgrade --install knative-lambda-builder ./deploy -f "deploy/overlays/$env/values-$env.yaml" \
      --namespace "knative-lambda-$env" --dry-run
    echo "✅ $env environment valid"
  done
else
  echo "skipped: no cluster answers to kubectl, or there is no helm"
fi

echo "Test 4: Version tagging..."
for branch in main develop feature/test; do
  export GIT_BRANCH=$branch
  tag=$(./scripts/version-manager.sh generate-tag)
  echo "Branch $branch → Tag $tag"
  case $branch in
    main) want="^v$VERSION$" ;;
    develop) want="^v$VERSION-beta\.[0-9]+$" ;;
    *) want="^v$VERSION-dev\.$GIT_COMMIT$" ;;
  esac
  [[ $tag =~ $want ]] || fail "branch $branch gives $tag"
done
echo "✅ Version tagging complete"

echo "🎉 All multi-registry tests passed!"
