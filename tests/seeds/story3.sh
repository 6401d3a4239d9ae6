# shellcheck shell=bash disable=SC2034
# DEVOPS-009, story 3 "Version Tagging Strategy per Registry", the functions as they stand there, but for test 4.

# Test 1: Main branch tagging
test_main_branch_tagging() {
  export GIT_BRANCH=main
  VERSION=1.0.0

  tag=$(./scripts/version-manager.sh generate-tag)
  assert_equals "v1.0.0" "$tag"
}

# Test 2: Develop branch tagging
test_develop_branch_tagging() {
  export GIT_BRANCH=develop
  VERSION=1.0.0

  tag=$(./scripts/version-manager.sh generate-tag)
  assert_matches "^v1.0.0-beta.[0-9]+$" "$tag"
}

# Test 3: Feature branch tagging
test_feature_branch_tagging() {
  export GIT_BRANCH=feature/test-feature
  VERSION=1.0.0
  SHA_SHORT=abc123

  tag=$(./scripts/version-manager.sh generate-tag)
  assert_equals "v1.0.0-dev.abc123" "$tag"
}

# Test 4: Multiple tags applied. As printed, the pattern's alternatives hold spaces, which no tag does, so it could never
# match; and nothing says that the branch is main and the commit abc123. Both are said here, and each tag is asked for.
test_multiple_tags() {
  needs_docker
  export GIT_BRANCH=main
  SHA_SHORT=abc123

  make docker-build REGISTRY_TYPE=ghcr

  # Verify tags
  for tag in v1.0.0 latest abc123; do
    docker images ghcr.io/brunovlucena/knative-lambda-builder --format "{{.Tag}}" | \
      grep -E "^$tag$"
  done

  assert_success
}

# Test 5: Git tag creation
test_git_tag_creation() {
  ./scripts/version-manager.sh bump 1.1.0

  # Verify Chart.yaml updated
  grep "^version: 1.1.0" deploy/Chart.yaml

  # Verify git tag exists
  git tag | grep "knative-lambda-v1.1.0"

  assert_success
}
