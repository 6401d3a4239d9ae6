package main

import "slices"

// cases lists every case, in the order of the report.
func cases() []Case {
	return slices.Concat(publishCases(), versionCases(), startupCases(), promoteCases(), layerCases(), retentionCases(),
		daggerCases())
}
