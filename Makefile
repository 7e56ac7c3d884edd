# Everything that one does with the tree, one target each. The work is in scripts/.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
CONFIG  ?= groups.yaml
BIN     := bin/fanout

.DEFAULT_GOAL := help
.PHONY: help build demo run test race browser chaos fuzz lint fmt bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/fanout
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X example.com/fanout/pkg/cli.Version=$(VERSION)" -o $(BIN) ./cmd/fanout

demo: build ## run groups.yaml on simulated trades, with nothing to install; Ctrl-C ends it
	$(BIN) demo

run: build ## run groups.yaml against the Redis of REDIS_URL
	$(BIN) run -c $(CONFIG)

test: ## install what the tests need, then run all of them
	@GO="$(GO)" scripts/test.sh

race: ## run the unit tests alone, with the race detector
	@GO="$(GO)" scripts/test.sh unit

browser: ## press every button of the page in Chromium (STEADY=10m leaves it open so long)
	@GO="$(GO)" STEADY="$(STEADY)" scripts/test.sh browser

chaos: ## break everything on purpose and account for every entry (SEED=n ROUNDS=n)
	@GO="$(GO)" CHAOS_SEED="$(SEED)" CHAOS_ROUNDS="$(ROUNDS)" scripts/test.sh chaos

fuzz: ## run every fuzz target for a minute (FUZZTIME=1m)
	@GO="$(GO)" FUZZTIME="$(FUZZTIME)" scripts/fuzz.sh

lint: ## run the linters
	@GO="$(GO)" scripts/lint.sh

fmt: ## format the Go files
	@scripts/format.sh

bench: ## measure fanout beside what Redis can serve; figures and plot in bin/ (BENCH=flags)
	@GO="$(GO)" scripts/bench.sh $(BENCH)

clean: ## remove what was built; data/ stays
	rm -rf bin
	$(GO) clean -testcache
