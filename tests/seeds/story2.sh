# shellcheck shell=bash disable=SC2154
# DEVOPS-009, story 2 "Environment-Based Registry Selection", the functions as they stand there, but for test 3; and test 3
# of its integration suite, "Environment-based deployment".

# Test 1: Local environment defaults to GHCR
test_local_uses_ghcr() {
  grep "registry: ghcr.io/brunovlucena" deploy/overlays/local/values-local.yaml
  assert_success
}

# Test 2: Production uses ECR
test_prd_uses_ecr() {
  grep "registry: 339954290315.dkr.ecr.us-west-2.amazonaws.com" \
    deploy/overlays/prd/values-prd.yaml
  assert_success
}

# Test 3: Image pull secrets match registry. As printed, the second pattern has a space at the end of its first
# alternative and one before the second, where imagePullSecrets is a key of its own line in every chart.
test_image_pull_secrets() {
  # Local should use ghcr-secret
  grep "ghcr-secret" deploy/overlays/local/values-local.yaml

  # Prd should use ecr-secret (or none for IAM)
  grep -E "ecr-secret|imagePullSecrets: \[\]" deploy/overlays/prd/values-prd.yaml

  assert_success
}

# Integration suite, test 3: as printed it creates namespaces in a cluster for a dry run. A rendering is what that dry run
# checks, so that it can run without one; the overlays must be what berth.yaml says besides.
test_environment_based_deployment() {
  export GCP_PROJECT=my-project
  for env in local dev prd gcp; do
    scripts/berth chart sync --env $env --check
    scripts/berth chart lint --env $env
    scripts/berth chart render --env $env --namespace knative-lambda-$env >rendered.yaml
    grep "namespace: knative-lambda-$env" rendered.yaml
    registry=$(scripts/berth registry which --env $env --format json | sed -n 's/.*"prefix": "\(.*\)".*/\1/p')
    assert_equals 3 "$(grep -c "image: \"$registry/knative-lambda-" rendered.yaml)"
  done
  rm rendered.yaml
}

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
