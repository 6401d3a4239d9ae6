// Package pipelines is the road of a release, from a commit to images in a registry. [Pipeline] is the facade that both
// doors call: the CLI and the Dagger module.
//
// The packages below it stand in the order in which data flows, and import only what stands before them:
//
//	config, facts → version → plan → build → image → guard → publish → approve → promote → audit, status
//
// Beside the road stand registry, image's values, fault, report, attest and dockerfile, which any of them may use,
// sandbox, which stands in for the registries, cloud, which knows who one is at those of AWS and Google, policy, which
// says what may be built on, and retention, which deletes what has served its time. chart deploys what was published,
// yamlspan finds the bytes of YAML values, cache keeps what was built. internal/archtest holds these rules.
package pipelines
