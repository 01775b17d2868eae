# make help lists what can be done. Everything but `check` needs Go alone.
GO      ?= go
FLAGS   := -trimpath -tags nomsgpack -ldflags "-s -w"
FUZZ    ?= 10s

.PHONY: help build test race lint fuzz bench check demo walk generate

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

build: ## bin/umaas, static and stripped
	CGO_ENABLED=0 $(GO) build $(FLAGS) -o bin/umaas ./cmd/umaas

demo: ## the whole idea on this machine, with sample people
	$(GO) run ./cmd/umaas demo

walk: ## the main job against itself, told step by step
	$(GO) run ./cmd/umaas demo --walk

test: ## all tests that Go alone can run
	$(GO) test ./...

race: ## the same with the race detector
	$(GO) test -race ./...

lint: ## vet, format, linters
	./.ci/lint

fuzz: ## every fuzz target for FUZZ each (default 10s)
	./.ci/fuzz $(FUZZ)

bench: ## all benchmarks, as ratios within one run
	$(GO) test -run '^$$' -bench . -benchtime 1s ./...

generate: ## tables from HL7's definitions: make generate DEFINITIONS=path/to/fhir-r4
	$(GO) run ./fhir/internal/generate -out fhir $(DEFINITIONS)

check: ## what continuous integration runs: installs what it needs, nothing may skip
	./.ci/run
