// Package attest makes, keeps and reads the signed statements that travel with an image: approvals, revocations and
// records of promotions.
//
// A statement is an in-toto Statement v1 over the digest of an image's index. Signed, it is the payload of a DSSE
// envelope; a record without a signature is the bare statement. Either way it is attached to the image as an OCI 1.1
// referrer: an image manifest with the image as its subject and the document as its only layer. Registries without the
// referrers API keep it under the fallback tag sha256-<hex>.
//
// Nothing that comes from a registry is believed before a signature over it was verified: [Attestation.SignedBy] says
// by which of the keys that the caller trusts.
//
// Sources: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md,
// https://github.com/secure-systems-lab/dsse/blob/master/envelope.md,
// https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage
package attest
