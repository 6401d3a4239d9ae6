// Package chart deploys what was published, with the project's own Helm chart. It says which of the chart's values name
// registry, images and pull secrets (from berth.yaml and a receipt), writes them into values files, packages the chart
// and publishes it as an OCI artifact. Rendering, linting and deploying is Helm's own library, in the program
// berth-helm, which [Helm] finds and runs.
package chart
