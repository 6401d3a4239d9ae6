# shellcheck shell=bash disable=SC2154
# DEVOPS-009, story 2 "Environment-Based Registry Selection", the functions as they stand there. Tests 1 to 3 are about
# the chart's overlays.

# Test 4: CI/CD registry selection
test_cicd_registry_selection() {
  # Simulate main branch
  export GITHUB_REF=refs/heads/main
  registry=$(./scripts/determine-registry.sh)
  assert_equals "ecr" "$registry"

  # Simulate develop branch
  export GITHUB_REF=refs/heads/develop
  registry=$(./scripts/determine-registry.sh)
  assert_equals "ghcr" "$registry"

  # Simulate feature branch
  export GITHUB_REF=refs/heads/feature/test
  registry=$(./scripts/determine-registry.sh)
  assert_equals "ghcr" "$registry"
}
