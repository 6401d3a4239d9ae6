# From the project: docker build --file docker/kubernautagent.Dockerfile --target production .
ARG BUILDER_IMAGE=registry.access.redhat.com/ubi10/go-toolset:1.26
ARG BASE_IMAGE=registry.access.redhat.com/ubi10/ubi-minimal:latest

FROM --platform=$BUILDPLATFORM ${BUILDER_IMAGE} AS builder
WORKDIR /opt/app-root/src
COPY go.mod ./
COPY cmd ./cmd
COPY internal ./internal
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
ARG GIT_COMMIT=unknown
RUN --mount=type=cache,target=/tmp/go-build,mode=1777 \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH GOCACHE=/tmp/go-build GOTOOLCHAIN=local \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION -X main.commit=$GIT_COMMIT" \
    -o /tmp/kubernautagent ./cmd/kubernautagent

# Nothing but the program.
FROM scratch AS production
COPY --from=builder /tmp/kubernautagent /kubernautagent
USER 65534
EXPOSE 8080
ENTRYPOINT ["/kubernautagent"]

# The same program with a shell beside it.
FROM ${BASE_IMAGE} AS development
COPY --from=builder /tmp/kubernautagent /usr/local/bin/kubernautagent
USER 1001
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/kubernautagent"]
