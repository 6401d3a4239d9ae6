package registry

// Mounts lets the pushes of one run share blobs: the first repository of a host uploads a blob, the others wait for it
// and mount it. The zero value is not usable; see [NewMounts].
type Mounts struct{}

// NewMounts returns a coordinator for the pushes of one run.
func NewMounts() *Mounts { return &Mounts{} }
