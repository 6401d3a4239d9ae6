# shellcheck shell=bash disable=SC2154
# DEVOPS-009, the functions that need a cluster: tests/kubernetes runs them on one, with kubectl and Helm's own program.

# Story 1, test 2: Deploy with GHCR image
test_ghcr_deployment() {
  # Create secret
  kubectl create secret docker-registry ghcr-secret \
    --docker-server=ghcr.io \
    --docker-username=brunovlucena \
    --docker-password="$GITHUB_TOKEN" \
    -n knative-lambda

  # Deploy
  helm upgrade --install knative-lambda-builder ./deploy \
    -f deploy/overlays/dev/values-dev.yaml \
    --set image.registry=ghcr.io/brunovlucena \
    --namespace knative-lambda

  # Not in the document: kubectl fails where no pod is there yet, and the cluster needs a moment to make one.
  kubectl wait --for=create pod -l app=knative-lambda-builder \
    -n knative-lambda --timeout=1m

  # Verify pod is running
  kubectl wait --for=condition=ready pod -l app=knative-lambda-builder \
    -n knative-lambda --timeout=5m

  assert_success
}

# Story 4, test 2: GKE deployment with GCR
test_gcr_gke_deployment() {
  # Deploy to GKE
  helm upgrade --install knative-lambda-builder ./deploy \
    -f deploy/overlays/gcp/values-gcp.yaml \
    --namespace knative-lambda-gcp

  # Verify pod pulls from GCR
  kubectl describe pod -l app=knative-lambda-builder -n knative-lambda-gcp |
    grep "gcr.io/$GCP_PROJECT"

  assert_success
}

# Integration suite, test 3: Environment-based selection
test_environment_based_deployment() {
  echo "Test 3: Environment-based deployment..."
  for env in local dev prd; do
    echo "Testing $env environment..."
    kubectl create namespace knative-lambda-$env --dry-run=client -o yaml | kubectl apply -f -

    helm upgrade --install knative-lambda-builder ./deploy \
      -f deploy/overlays/$env/values-$env.yaml \
      --namespace knative-lambda-$env \
      --dry-run

    echo "✅ $env environment valid"
  done
}
