# otelcol-mida. `make` lists what there is; nothing here needs root.
#
# Downloads and tools live outside the tree, in MIDA_CACHE. PYTHON names the
# interpreter for the virtual environments, GO the Go command.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-builtin-rules
.DEFAULT_GOAL := help

GO     ?= go
PYTHON ?= python3

MIDA_CACHE    ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/otelcol-mida
MIDA_VENV     := $(MIDA_CACHE)/venv
MIDA_VENV_OLD := $(MIDA_CACHE)/venv-old
MIDA_BIN      := $(CURDIR)/bin/otelcol-mida
export MIDA_CACHE MIDA_VENV MIDA_VENV_OLD MIDA_BIN GO PYTHON

OTELCOL_VERSION  := $(shell awk '/collector\/cmd\/builder v/ {print $$2; exit}' tools/go.mod)
GOLANGCI_VERSION := v2.15.0
TOOLS    := $(MIDA_CACHE)/tools
OCB      := $(TOOLS)/ocb-$(OTELCOL_VERSION)
MDATAGEN := $(TOOLS)/mdatagen-$(OTELCOL_VERSION)
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)

GENERATED  := build/otelcol-mida
BUILD_ENV  := CGO_ENABLED=0
# Two builds at a time would compile every package twice.
LOCKED     := $(if $(shell command -v flock),flock $(MIDA_CACHE)/build.lock)
BUILD_ARGS := -mod=mod -buildvcs=false -trimpath -tags distribution -ldflags "-s -w"
PLATFORMS  := linux/amd64 linux/arm64 linux/ppc64le darwin/arm64 windows/amd64

COMPONENT_DIRS := connector exporter extension processor receiver
SOURCE_DIRS    := $(wildcard cmd internal python $(COMPONENT_DIRS))
# The binary carries the text of the Dask plugin.
SOURCES        := $(shell find $(filter-out python,$(SOURCE_DIRS)) -type f -not -name '*_test.go' -not -path '*/testdata/*') \
                  $(wildcard python/*.go python/mida/*.py web/*.go)

# The binary carries the web UI where there is a Node.js that can build it.
NODE_OK    := $(shell node -e 'const [a, b] = process.versions.node.split(".").map(Number); console.log(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19) ? "yes" : "")' 2>/dev/null)
UI         := web/dist/ui/index.html
UI_SOURCES := $(shell find web/src web/public -type f) $(wildcard web/*.json web/*.html web/vite.config.ts)
NODE_MODULES := web/node_modules/.installed

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ build

.PHONY: build
build: bin/otelcol-mida ## build the static binary bin/otelcol-mida

# The builder runs again only when the component list or our requirements
# change; else this is one `go build`, and nothing at all when no source changed.
GENERATION := $(GENERATED)/.generated-$(shell cat builder-config.yaml go.mod tools/go.mod | cksum | tr ' ' -)
$(GENERATION): | $(OCB)
	@mkdir -p $(GENERATED) $(MIDA_CACHE)
	cp cmd/otelcol-mida/commands.go $(GENERATED)/commands.go
	$(LOCKED) env $(BUILD_ENV) $(OCB) --config builder-config.yaml --skip-compilation
	@rm -f $(GENERATED)/.generated-*
	@touch $@

bin/otelcol-mida: $(GENERATION) $(SOURCES) $(if $(NODE_OK),$(UI),| no-ui)
	@mkdir -p bin $(MIDA_CACHE)
	@cmp -s cmd/otelcol-mida/commands.go $(GENERATED)/commands.go || cp cmd/otelcol-mida/commands.go $(GENERATED)/commands.go
	cd $(GENERATED) && $(LOCKED) env $(BUILD_ENV) $(GO) build $(BUILD_ARGS) -o $(CURDIR)/$@ .

# NVIDIA's library is called through C, and loaded at run time: the binary starts without it, too. Its headers call
# functions deprecated that older drivers need.
GPU_ENV := CGO_ENABLED=1 CGO_CFLAGS="-O2 -Wno-deprecated-declarations"

.PHONY: build-gpu
build-gpu: $(GENERATION) $(if $(NODE_OK),$(UI),| no-ui) ## build bin/otelcol-mida-gpu, which asks NVIDIA's driver itself; needs a C compiler
	@mkdir -p bin $(MIDA_CACHE)
	cp cmd/otelcol-mida/commands.go $(GENERATED)/commands.go
	cd $(GENERATED) && $(LOCKED) env $(GPU_ENV) $(GO) build $(subst -tags distribution,-tags "distribution gpu",$(BUILD_ARGS)) -o $(CURDIR)/bin/otelcol-mida-gpu .

.PHONY: ui
ui: $(UI) ## build the web UI, which the binary carries; needs Node.js 20.19 or 22.12 and newer

$(UI): $(UI_SOURCES) $(NODE_MODULES)
	cd web && npm run --silent build

# npm ci empties node_modules first: two at a time would break each other's.
$(NODE_MODULES): web/package-lock.json
	@mkdir -p $(MIDA_CACHE)
	cd web && $(if $(shell command -v flock),flock $(MIDA_CACHE)/npm.lock) npm ci --silent --no-audit --no-fund
	@touch $@

.PHONY: no-ui
no-ui:
	@test -f $(UI) || echo "make: no Node.js 20.19, 22.12 or newer, so the binary gets no web UI" >&2

.PHONY: cross
cross: $(GENERATION) $(if $(NODE_OK),$(UI),| no-ui) ## compile for every supported platform into dist/
	@mkdir -p dist
	@for platform in $(PLATFORMS); do \
	  os=$${platform%/*} arch=$${platform#*/} ext=; \
	  if [ $$os = windows ]; then ext=.exe; fi; \
	  out=dist/otelcol-mida_$${os}_$$arch$$ext; \
	  (cd $(GENERATED) && $(BUILD_ENV) GOOS=$$os GOARCH=$$arch $(GO) build $(BUILD_ARGS) -o $(CURDIR)/$$out .); \
	  echo "$$out $$(($$(wc -c <$$out) / 1000000)) MB"; \
	done

# Wheels that carry the binary. WHEELS names other platforms of PLATFORMS.
WHEELS ?= $(shell $(GO) env GOOS)/$(shell $(GO) env GOARCH)

.PHONY: dist
dist: build venv ## a wheel with the binary, in dist/; WHEELS="linux/arm64 darwin/arm64" for other machines
	@mkdir -p dist build/wheels
	@for platform in $(WHEELS); do \
	  os=$${platform%/*} arch=$${platform#*/} program=bin/otelcol-mida; \
	  if [ $$platform != $$($(GO) env GOOS)/$$($(GO) env GOARCH) ]; then \
	    program=build/wheels/otelcol-mida_$${os}_$$arch; \
	    (cd $(GENERATED) && $(BUILD_ENV) GOOS=$$os GOARCH=$$arch $(GO) build $(BUILD_ARGS) -o $(CURDIR)/$$program .); \
	  fi; \
	  $(MIDA_VENV)/bin/python tools/wheel.py --program $$program --platform $$platform --out dist; \
	done

##@ run

.PHONY: demo
demo: build venv ## observe the microscopy campaign; ONCE=1 ends when it has
	$(MIDA_VENV)/bin/python examples/microscopy/demo.py $(if $(ONCE),--once)

.PHONY: bench
bench: build venv ## measure the idle cost, freshness, the overhead on Dask and the speed into the stores
	$(MIDA_VENV)/bin/python tools/footprint.py bin/otelcol-mida distributions/otelcol-mida/laptop.yaml
	$(MIDA_VENV)/bin/python bench/freshness.py
	$(MIDA_VENV)/bin/python bench/dask_overhead.py $(BENCH_ARGS)
	$(GO) test -run '^$$' -bench . -benchtime 3x -timeout 20m $(BENCH_PACKAGES)
	$(MIDA_VENV)/bin/python bench/stores.py $(STORES_ARGS)
	$(MIDA_VENV)/bin/python bench/queries.py $(QUERIES_ARGS)

.PHONY: bench-stores
bench-stores: build venv ## measure the speed into SQLite, OpenSearch and Elasticsearch, beside others; STORES_ARGS=--help
	$(MIDA_VENV)/bin/python bench/stores.py $(STORES_ARGS)

.PHONY: bench-queries
bench-queries: build venv ## measure how soon SQLite, OpenSearch and Elasticsearch answer with 200,000 tasks; QUERIES_ARGS=--help
	$(MIDA_VENV)/bin/python bench/queries.py $(QUERIES_ARGS)

# The tasks of the benchmark of the UI: ten campaigns of 100,000, made once for each state of what makes them.
UI_STORE := $(MIDA_CACHE)/ui-bench-$(shell cat bench/load/view.go internal/store/sqlite/schema.go internal/store/sqlite/row.go internal/store/sqlite/jsonb.go | cksum | tr ' ' -)

.PHONY: bench-ui
bench-ui: $(UI) $(NODE_MODULES) $(UI_STORE)/mida-data/mida.db ## measure the web UI in Chromium with a million tasks: first view, frames a second; TRIES=5 VIEW=timeline
	cd web && MIDA_UI_BENCH=1 MIDA_CHROMIUM=$$(../tools/chromium.sh) MIDA_UI_STORE=$(UI_STORE) npm run e2e

$(UI_STORE)/mida-data/mida.db:
	rm -rf $(MIDA_CACHE)/ui-bench-*
	$(BUILD_ENV) $(GO) run -trimpath ./bench/load view -db $@

.PHONY: pictures
pictures: build venv $(NODE_MODULES) ## take the pictures of the web UI in docs/images anew; VIEW=dossier for some
	$(MAKE) --no-print-directory $(UI_DEMO)/mida.db
	cd web && MIDA_UI_PICTURES=$(CURDIR)/docs/images MIDA_CHROMIUM=$$(../tools/chromium.sh) MIDA_UI_DEMO=$(UI_DEMO) npm run e2e

##@ test

# The race detector needs a C compiler. Packages that link SQLite (PLAIN) are
# tested without it: translated C is ten times slower under it. They compile as
# the binary does, so that the Go cache serves both. After a change to their
# goroutines, run them once with -race by hand.
GO_TEST   := $(GO) test -p 2 -timeout 12m
RACE      := $(if $(shell command -v gcc || command -v clang),-race)
PLAIN     := /internal/analysis/report|/internal/store/sqlite|/internal/store/transfer|/internal/copycmd|/extension/taskquery|/extension/taskstore|/exporter/taskstoreexporter|/receiver/mlflowreceiver
PYTEST    := tools/run_pytest.py -ra -q
BENCH_PACKAGES ?= ./exporter/taskstoreexporter ./processor/provenanceprocessor ./internal/store/sqlite

.PHONY: test
test: ## run every test: Go, Python, and both together
	@failed=; \
	for part in test-go test-gpu test-python test-integration test-ui; do \
	  echo "==> make $$part"; \
	  $(MAKE) --no-print-directory $$part || failed="$$failed $$part"; \
	done; \
	if [ -n "$$failed" ]; then echo "make test: FAILED:$$failed" >&2; exit 1; fi; \
	echo "make test: every part passed"

.PHONY: test-go
test-go: venv venv-old ## unit tests of the Go module, with the race detector where a C compiler is
	@$(if $(RACE),,echo "make test-go: no C compiler, so no race detector" >&2)
	@failed=0; \
	$(GO_TEST) $(RACE) $$($(GO) list ./... | grep -vE '$(PLAIN)') || failed=1; \
	plain=$$($(GO) list ./... | grep -E '$(PLAIN)' || true); \
	if [ -n "$$plain" ]; then $(BUILD_ENV) $(GO_TEST) -trimpath $$plain || failed=1; fi; \
	exit $$failed

.PHONY: test-gpu
test-gpu: ## tests of what NVIDIA's library says, by its mock and on the GPUs that there are; needs a C compiler
	@$(if $(RACE),env $(GPU_ENV) $(GO_TEST) -tags gpu ./internal/gpu ./processor/tasktelemetryprocessor,\
	  echo "make test-gpu: no C compiler: NOT RUN" >&2)

.PHONY: test-python
test-python: venv venv-old ## unit tests of the Python package, on the newest and the oldest Dask
	@failed=0; \
	$(MIDA_VENV)/bin/python $(PYTEST) python/tests || failed=1; \
	$(MIDA_VENV_OLD)/bin/python $(PYTEST) -m dask python/tests || failed=1; \
	exit $$failed

.PHONY: test-integration
test-integration: build venv ## the binary, the plugin and real tools together, faults in short form
	$(MIDA_VENV)/bin/python $(PYTEST) tests/integration

# What a run of the demo left, served to the tests of the UI: recorded once for each state of what makes it. Its files stay
# where its tasks say that they are, in $(UI_DEMO)/run.
UI_DEMO := $(MIDA_CACHE)/ui-record-$(shell cat examples/microscopy/*.py examples/microscopy/collector.yaml internal/store/sqlite/schema.go | cksum | tr ' ' -)

$(UI_DEMO)/mida.db: | build venv
	rm -rf $(UI_DEMO) && mkdir -p $(UI_DEMO)
	$(MIDA_VENV)/bin/python examples/microscopy/demo.py --once --workdir $(UI_DEMO)/run
	cp $(UI_DEMO)/run/mida-data/mida.db $@ && rm -rf $(UI_DEMO)/run/mida-data

.PHONY: test-ui
test-ui: build venv ## the web UI: units, then every view in Chromium; in CI nothing may be left out
	@if [ -z "$(NODE_OK)" ]; then \
	  echo "make test-ui: NOT TESTED: no Node.js 20.19, 22.12 or newer" >&2; [ "$${CI:-}" != true ]; exit; \
	fi; \
	$(MAKE) --no-print-directory $(NODE_MODULES); \
	(cd web && npm test); \
	if ! chromium=$$(tools/chromium.sh); then \
	  echo "make test-ui: NOT TESTED in a browser: no Chromium" >&2; [ "$${CI:-}" != true ]; exit; \
	fi; \
	$(MAKE) --no-print-directory $(UI_DEMO)/mida.db; \
	cd web && MIDA_CHROMIUM=$$chromium MIDA_UI_DEMO=$(UI_DEMO) npm run e2e

.PHONY: test-conformance
test-conformance: venv ## every store runs the same conformance cases: numbers in docs/conformance.md
	$(MIDA_VENV)/bin/python tools/conformance/same_cases.py

.PHONY: test-mutations
test-mutations: venv ## take the contract out of the code, sentence by sentence, and see cases fail
	$(MIDA_VENV)/bin/python tools/conformance/mutations.py --suite query --suite sqlite --write

.PHONY: test-faults
test-faults: build venv ## every fault at full length, with a report under docs/; FAULTS='-k worker' for some
	$(MIDA_VENV)/bin/python $(PYTEST) $(FAULTS) tests/faults

##@ care

.PHONY: lint
lint: venv $(GOLANGCI) ## gofmt, golangci-lint, ruff, the mutations of make test-mutations compile, and eslint where there is a UI
	@bad=$$(gofmt -l bench $(SOURCE_DIRS)); if [ -n "$$bad" ]; then echo "not gofmt'ed (make fmt):"; echo "$$bad"; exit 1; fi
	$(GOLANGCI) run ./...
	$(MIDA_VENV)/bin/ruff check $(PY_DIRS)
	$(MIDA_VENV)/bin/ruff format --check $(PY_DIRS)
	$(MIDA_VENV)/bin/python tools/conformance/mutations.py --check
	@$(if $(NODE_OK),$(MAKE) --no-print-directory lint-ui,echo "make lint: no Node.js, so web/ is not looked at" >&2)

.PHONY: lint-ui
lint-ui: $(NODE_MODULES)
	cd web && npm run --silent lint

PY_DIRS := $(wildcard python examples bench tests tools)

.PHONY: fmt
fmt: venv ## format Go and Python
	gofmt -w bench $(SOURCE_DIRS)
	$(MIDA_VENV)/bin/ruff format $(PY_DIRS)

.PHONY: mdatagen
mdatagen: $(MDATAGEN) ## regenerate what metadata.yaml describes; ONLY=receiver/x for one component
	@for file in $(if $(ONLY),$(ONLY)/metadata.yaml,$(wildcard $(COMPONENT_DIRS:%=%/*/metadata.yaml))); do \
	  echo "mdatagen $$file"; (cd $$(dirname $$file) && $(MDATAGEN) metadata.yaml); \
	done

.PHONY: dashboards
dashboards: ## regenerate the saved objects of Kibana and OpenSearch Dashboards
	$(GO) run ./internal/dashboards distributions/otelcol-mida/dashboards

.PHONY: venv
venv: ## the Python environment of tests, examples and bench
	@tools/venv.sh $(MIDA_VENV) python/requirements-dev.txt python

.PHONY: venv-old
venv-old: ## the Python environment with the oldest Dask
	@tools/venv.sh $(MIDA_VENV_OLD) python/requirements-old.txt python

.PHONY: clean
clean: ## remove what make made in the tree; the cache stays
	rm -rf bin build dist web/dist/ui web/node_modules

$(OCB):
	@mkdir -p $(TOOLS)
	cd tools && CGO_ENABLED=0 $(GO) build -trimpath -o $@ go.opentelemetry.io/collector/cmd/builder

$(MDATAGEN):
	@mkdir -p $(TOOLS)
	cd tools && CGO_ENABLED=0 $(GO) build -trimpath -o $@ go.opentelemetry.io/collector/cmd/mdatagen

$(GOLANGCI):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) $(GO) install -trimpath github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(TOOLS)/golangci-lint $@
