package registry

import "github.com/berth-sh/berth/pipelines/fault"

// credentialsFault is the failure to read credentials from a configuration file or its helper.
func credentialsFault(host, path string, err error) error {
	return &fault.Error{Op: "read the credentials for", Subject: host, Err: err, Code: fault.Credentials,
		Next: "check " + path + " and the credential helper that it names, or log in again: docker login " + host}
}
