# One list of tasks for laptops and CI. `make help` explains it; CONTRIBUTING.md says when to use which.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# Every Go module with code of its own. Tools are pinned apart, in tools/go.mod, so that the root's graph stays small.
MODULES := . .dagger examples/knative-lambda examples/knative-lambda/metrics-pusher examples/kubernaut cmd/berth-helm bench
LINTER := '$(CURDIR)/.bin/golangci-lint'

# each runs a command in every module, and fails at the end when it failed in one.
each = status=0; for module in $(MODULES); do (cd "$$module" && $(1)) || status=1; done; exit $$status

##@ Start here

.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "%s%s\n", (n++ ? "\n" : ""), substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: ## Walk the whole road on registries embedded in the process: no daemon, no account
	@go run . demo
	@printf '\n\nAnd from a development build to production, with approvals, as examples/kubernaut goes:\n\n'
	@go run . demo --project examples/kubernaut --component gateway,datastorage,must-gather

.PHONY: build
build: ## Build the CLI into .bin/berth
	@CGO_ENABLED=0 go build -trimpath -o .bin/berth .

.PHONY: build-helm
build-helm: ## Build berth-helm, which renders and deploys charts, into .bin
	@GOFLAGS=-buildvcs=false go -C cmd/berth-helm build -ldflags="-s -w" -o ../../.bin/berth-helm .

##@ Images: REGISTRY_TYPE=ghcr|ecr|gcr [COMPONENT=name] [ENV=name] [SANDBOX=1]

# Make hands REGISTRY_TYPE on to berth by the environment. Without it, the branch decides.
REGISTRY_TYPES := ghcr ecr gcr
ifneq ($(filter docker-%,$(MAKECMDGOALS)),)
ifneq ($(REGISTRY_TYPE),)
ifeq ($(filter $(REGISTRY_TYPES),$(REGISTRY_TYPE)),)
$(error REGISTRY_TYPE=$(REGISTRY_TYPE) is not known, use one of: $(REGISTRY_TYPES))
endif
endif
endif

CHOICE := $(if $(COMPONENT),--component '$(COMPONENT)') $(if $(ENV),--env '$(ENV)')

.PHONY: docker-login
docker-login: ## Log Docker in, with GITHUB_USERNAME and GITHUB_TOKEN, or the chains of AWS and Google
	@scripts/docker-login.sh

.PHONY: docker-build
docker-build: ## Build the images into .berth/images, and into Docker when a daemon answers
	@load=; if docker info >/dev/null 2>&1; then load=--load; fi; \
	scripts/berth build $(CHOICE) --output .berth/images $$load

# After docker-build when both are asked for, also under `make -j`.
.PHONY: docker-push
docker-push: $(filter docker-login docker-build,$(MAKECMDGOALS)) ## Publish the images with every tag of the plan
	@scripts/berth publish $(CHOICE) $(if $(SANDBOX),--sandbox)

##@ Checks

.PHONY: test
test: ## Run the tests of all modules
	@$(call each,go test ./...)

.PHONY: docker-test
docker-test: docker-tools ## Build Dockerfiles with daemons that the tests start: as root, with docker.io, runc, busybox-static
	@BERTH_DOCKER_TESTS=1 go test -count=1 -timeout 30m ./tests/dockerfile/

.PHONY: e2e-kubernetes
e2e-kubernetes: e2e-tools ## Deploy to a cluster that the test starts: as root, with etcd-server, containerd, runc, containernetworking-plugins, iproute2
	@BERTH_KUBERNETES_TESTS=1 go test -count=1 -v -timeout 20m ./tests/kubernetes/

# Not the tests that drive whole programs: those are five times slower so, and what they reach has tests of its own here.
.PHONY: race
race: ## Run the tests of the packages with the race detector
	@go test -race $$(go list ./... | grep -v /tests/) ./tests/registries
	@for module in $(filter-out . cmd/berth-helm bench,$(MODULES)); do (cd "$$module" && go test -race ./...); done

.PHONY: lint
lint: .bin/golangci-lint vet ## Run gofmt, go vet, golangci-lint and shellcheck
	@unformatted=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l); \
	if [[ -n $$unformatted ]]; then printf 'gofmt would change:\n%s\n' "$$unformatted" >&2; exit 1; fi
	@$(call each,$(LINTER) run --config '$(CURDIR)/.golangci.yml' ./...)
	@if command -v shellcheck >/dev/null; then \
		{ git ls-files -co --exclude-standard '*.sh'; printf '%s\n' scripts/berth .ci/run; } | sort -u | xargs shellcheck; \
	else echo 'lint: shellcheck is not installed, shell scripts were not checked' >&2; fi

.PHONY: fmt
fmt: .bin/golangci-lint ## Format the Go source of all modules
	@$(call each,$(LINTER) fmt --config '$(CURDIR)/.golangci.yml')

.PHONY: vet
vet: ## Run go vet over all modules
	@$(call each,go vet ./...)

FUZZTIME ?= 10s
.PHONY: fuzz
fuzz: ## Run every fuzz test for FUZZTIME (10s)
	@scripts/fuzz.sh $(FUZZTIME)

BENCH ?= .
.PHONY: bench
bench: bench-tools ## Measure berth beside ko, crane, regctl, skopeo and git, the cases that match BENCH (all)
	@cd bench && go build -o ../.bin/bench .
	@.bin/bench -case '$(BENCH)'

.PHONY: bench-docs
bench-docs: bench-tools ## Measure everything, and write the tables of docs/performance.md; takes a quiet quarter of an hour
	@cd bench && go build -o ../.bin/bench .
	@.bin/bench -into docs/performance.md

.PHONY: bench-go
bench-go: ## Run the Go benchmarks that match BENCH (all)
	@go test -run '^$$' -bench '$(BENCH)' -benchmem ./...

BASE ?= origin/main
.PHONY: bench-compare
bench-compare: .bin/benchstat ## Compare the Go benchmarks with those of BASE (origin/main), by benchstat, in under a minute
	@scripts/bench-compare.sh '$(BASE)'

.bin/benchstat: tools/benchstat/go.mod tools/benchstat/go.sum
	@CGO_ENABLED=0 GOFLAGS= go -C tools/benchstat build -o '$(CURDIR)/$@' golang.org/x/perf/cmd/benchstat
	@touch $@

##@ Upkeep

.PHONY: generate
generate: dagger-develop ## Write the generated files: JSON Schema, references, the Dagger module's
	@go generate ./...

.PHONY: dagger-develop
dagger-develop: ## Write the Dagger module's generated code, when an engine answers
	@if command -v dagger >/dev/null && timeout 30 dagger --silent core version >/dev/null 2>&1; then \
		dagger --silent develop; \
	else echo 'dagger-develop: no Dagger engine answers, the generated code in .dagger was not checked' >&2; fi

.PHONY: check-generated
check-generated: ## Fail when a generated file is stale
	@scripts/check-generated.sh

.PHONY: tools
tools: .bin/golangci-lint .bin/crane .bin/actionlint ## Build the pinned tools into .bin

.bin/golangci-lint: PACKAGE := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
.bin/crane: PACKAGE := github.com/google/go-containerregistry/cmd/crane
.bin/actionlint: PACKAGE := github.com/rhysd/actionlint/cmd/actionlint
.bin/golangci-lint .bin/crane .bin/actionlint: tools/go.mod tools/go.sum
	@CGO_ENABLED=0 GOFLAGS= go -C tools build -o ../$@ $(PACKAGE)
	@touch $@

.PHONY: docker-tools
docker-tools: .bin/buildkitd .bin/buildctl .bin/docker-buildx .bin/dockerd ## Build the pinned BuildKit, buildx and Docker daemon into .bin, for tests/dockerfile

.bin/buildkitd .bin/buildctl: MODULE := tools/buildkit
.bin/buildkitd: PACKAGE := github.com/moby/buildkit/cmd/buildkitd
.bin/buildctl: PACKAGE := github.com/moby/buildkit/cmd/buildctl
.bin/buildkitd .bin/buildctl: tools/buildkit/go.mod tools/buildkit/go.sum
.bin/docker-buildx: MODULE := tools/buildx
.bin/docker-buildx: PACKAGE := github.com/docker/buildx/cmd/buildx
.bin/docker-buildx: tools/buildx/go.mod tools/buildx/go.sum
.bin/dockerd: MODULE := tools/dockerd
.bin/dockerd: PACKAGE := github.com/moby/moby/v2/cmd/dockerd
.bin/dockerd: tools/dockerd/go.mod tools/dockerd/go.sum
.bin/buildkitd .bin/buildctl .bin/docker-buildx .bin/dockerd:
	@CGO_ENABLED=0 GOFLAGS= go -C $(MODULE) build -o '$(CURDIR)/$@' $(PACKAGE)
	@touch $@

.PHONY: e2e-tools
e2e-tools: build-helm .bin/cluster .bin/helm ## Build Kubernetes (minutes, once) and helm into .bin, for tests/kubernetes

# The folder is no module of MODULES: linters and vet would analyse all of Kubernetes for its fifty lines.
.bin/cluster: MODULE := tests/kubernetes/cluster
.bin/cluster: tests/kubernetes/cluster/main.go tests/kubernetes/cluster/go.mod tests/kubernetes/cluster/go.sum
	@version=$$(cd $(MODULE) && go list -m -f '{{.Version}}' k8s.io/kubernetes); \
	CGO_ENABLED=0 GOFLAGS= nice -n 19 go -C $(MODULE) build -trimpath -o '$(CURDIR)/$@' \
		-ldflags="-s -w -X k8s.io/component-base/version.gitVersion=$$version" .
	@touch $@

# As berth-helm is built, with which it shares the compiled packages.
.bin/helm: tools/helm/go.mod tools/helm/go.sum
	@GOFLAGS=-buildvcs=false go -C tools/helm build -ldflags="-s -w" -o '$(CURDIR)/$@' helm.sh/helm/v4/cmd/helm
	@touch $@

PEERS := github.com/google/ko github.com/google/go-containerregistry/cmd/crane github.com/regclient/regclient/cmd/regctl

.PHONY: bench-tools
bench-tools: .bin/peers ## Build the pinned peers of the benchmark into .bin/peers

.bin/peers: bench/go.mod bench/go.sum
	@mkdir -p $@
	@cd bench && CGO_ENABLED=0 GOFLAGS= go build -o ../$@/ $(PEERS)
	@touch $@

.PHONY: clean
clean: ## Remove what was built, the sandbox's state included
	@rm -rf .bin .berth
