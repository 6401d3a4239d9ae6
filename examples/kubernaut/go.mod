module github.com/berth-sh/berth/examples/kubernaut

go 1.26.0

// The pin makes the binaries, and with them the image digests, equal on every machine.
toolchain go1.26.8
