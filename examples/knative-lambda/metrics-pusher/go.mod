module github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher

go 1.26.0

// The pin makes the binaries, and with them the image digests, equal on every machine.
toolchain go1.26.8

require (
	github.com/golang/snappy v1.0.0
	google.golang.org/protobuf v1.36.12
)
