// Package cloud knows the registries of AWS and Google by their clouds' own libraries: who berth is there, and which
// repositories of ECR exist. Nothing of a cloud is loaded or asked before a host of its kind is.
//
// The libraries read their own variables and files (AWS_PROFILE, ~/.aws, GOOGLE_APPLICATION_CREDENTIALS, the metadata
// service of a machine) from the process.
package cloud
