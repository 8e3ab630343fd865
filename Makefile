# Every daily verb of Sluice; `make` prints them. One target needs no other first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
PYTHON ?= python3.11
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
UV := UV_PROJECT_ENVIRONMENT=$(VENV) VIRTUAL_ENV= $(BIN)/uv
STAMP := $(VENV)/.synced
# Real trips when they are there; otherwise trips of the same schema are generated, and it says so.
TRIPS ?= $(wildcard ../shared/data/taxis.csv)
export TRIPS
ARGS ?=

##@ Use
.PHONY: demo
demo: $(STAMP)  ## release version 2 of a real model by canary, good and bad, and show what happened (ARGS='--keep')
	@$(BIN)/python -m examples.taxi.demo $(ARGS)

.PHONY: up
up: $(STAMP) models  ## start router, supervisor and version 1 of the taxi model on this machine
	@$(BIN)/sluice up
	@$(BIN)/sluice deploy -f examples/taxi/release-v1.yaml --wait --timeout 2m

.PHONY: down
down: $(STAMP)  ## stop everything that `up` started, without losing a request
	@$(BIN)/sluice down

.PHONY: models
models: $(STAMP)  ## train the taxi models and write their bundles (TRIPS=file.csv)
	@$(BIN)/python -m sluice_model_api.training.build --out .artifacts/models --if-missing

##@ Load
PROFILE ?= constant
SLO ?= examples/taxi/slo.yaml
STRATEGY ?= canary

.PHONY: load
load: $(STAMP)  ## run a traffic profile and judge it (SLO=file PROFILE=name RATE=n LENGTH=2m URL=http://host)
	@$(BIN)/python -m loadtests --slo $(SLO) --profile $(PROFILE) $(if $(URL),--url $(URL)) $(if $(RATE),--rate $(RATE)) $(if $(LENGTH),--length $(LENGTH)) $(ARGS)

.PHONY: capacity
capacity: $(STAMP)  ## find the highest rate that keeps the SLO (SLO=file URL=http://host ARGS='--to 500')
	@$(BIN)/python -m loadtests.capacity --slo $(SLO) $(if $(URL),--url $(URL)) $(ARGS)

.PHONY: load-release
load-release: $(STAMP)  ## release version 2 while users come; before, during, after judged apart (STRATEGY=canary|bluegreen|rolling|shadow|ab)
	@$(BIN)/python -m loadtests.release --strategy $(STRATEGY) --slo $(SLO) $(ARGS)

##@ Cluster
PACKAGE_VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# Never `latest`: Kubernetes would pull it anew for every pod.
IMAGE_TAG ?= $(PACKAGE_VERSION)
KIND_CLUSTER ?= sluice
KIND_CONFIG ?= k8s/kind.yaml
BUILD_ARGS ?=
IMAGES := model-api-taxi router loadtest controller
# The model API of the examples carries their models; every other image is named like its target.
image-name = sluice/$(patsubst %-taxi,%,$(1)):$(IMAGE_TAG)
need = command -v $(1) >/dev/null || { echo "make: $(1) not found: $(2)" >&2; exit 1; }
need-docker = $(call need,docker,install Docker (https://docs.docker.com/engine/install)) && { docker version >/dev/null 2>&1 || { echo "make: docker does not answer: start its engine" >&2; exit 1; }; }
need-kind = $(call need,kind,install kind (https://kind.sigs.k8s.io))
has-cluster = kind get clusters 2>/dev/null | grep -qx '$(KIND_CLUSTER)'

.PHONY: images
images: models  ## build every image and load them into the kind cluster (IMAGES='router' IMAGE_TAG=0.1.0 BUILD_ARGS=)
	@$(need-docker)
	@for target in $(IMAGES); do \
	  name=sluice/$${target%-taxi}:$(IMAGE_TAG); echo "building $$name ..." >&2; \
	  docker build -q --target $$target -t $$name --build-arg UV_VERSION=$(UV_VERSION) \
	    --build-arg VERSION=$(PACKAGE_VERSION) --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null) \
	    $(BUILD_ARGS) . >/dev/null || exit 1; \
	done
	@docker images --format '{{.Repository}}:{{.Tag}}  {{.Size}}' 'sluice/*:$(IMAGE_TAG)'
	@if ! command -v kind >/dev/null || ! $(has-cluster); then \
	  echo "no kind cluster $(KIND_CLUSTER) to load them into: 'make cluster' first, then 'make images' again" >&2; \
	else kind load docker-image --name $(KIND_CLUSTER) $(foreach image,$(IMAGES),$(call image-name,$(image))); fi

.PHONY: cluster
cluster:  ## a kind cluster for everything below, if it is not there (KIND_CLUSTER=sluice KIND_CONFIG=file)
	@$(need-docker)
	@$(need-kind)
	@$(call need,kubectl,install kubectl (https://kubernetes.io/docs/tasks/tools))
	@$(has-cluster) || kind create cluster --name $(KIND_CLUSTER) --config $(KIND_CONFIG) --wait 180s
	@kubectl --context kind-$(KIND_CLUSTER) wait --for=condition=Ready node --all --timeout=180s

.PHONY: cluster-down
cluster-down:  ## delete the kind cluster and everything in it (KIND_CLUSTER=sluice)
	@$(need-kind)
	@if $(has-cluster); then kind delete cluster --name $(KIND_CLUSTER); else echo "there is no kind cluster $(KIND_CLUSTER)"; fi

CONTEXT ?= kind-$(KIND_CLUSTER)
ENV ?= dev
SYSTEM_NAMESPACE ?= sluice-system
VALUES ?= k8s/values/$(ENV).yaml
need-helm = $(call need,helm,install Helm (https://helm.sh/docs/intro/install)) && $(call need,kubectl,install kubectl (https://kubernetes.io/docs/tasks/tools))
cluster-answers = kubectl --context $(CONTEXT) get --raw=/readyz >/dev/null 2>&1 || { echo "make: no cluster answers in context $(CONTEXT): 'make cluster' first, or set CONTEXT" >&2; exit 1; }
# A kind node cannot pull what was never pushed: say it now, not after minutes of waiting.
kind-node = $(KIND_CLUSTER)-control-plane
images-are-there = [[ '$(CONTEXT)' != kind-$(KIND_CLUSTER) ]] || for name in controller router; do docker exec $(kind-node) ctr -n k8s.io images ls -q 2>/dev/null | grep -qx "docker.io/sluice/$$name:$(IMAGE_TAG)" || { echo "make: the cluster has no image sluice/$$name:$(IMAGE_TAG): 'make images' first" >&2; exit 1; }; done
# The same tag can be another image: then, and only then, pods are replaced.
image-id = $$(docker image inspect -f '{{.Id}}' sluice/$(1):$(IMAGE_TAG) 2>/dev/null || true)
of-image = --set-string $(1).image.tag=$(IMAGE_TAG) --set-string $(1).podAnnotations."sluice\.dev/image-id"="$(call image-id,$(1))"

.PHONY: install
install:  ## controller, router and custom resources, new or upgraded (ENV=dev|staging|production IMAGE_TAG= CONTEXT= VALUES=file ARGS=)
	@$(need-helm)
	@$(cluster-answers)
	@$(images-are-there)
	@kubectl --context $(CONTEXT) create namespace $(SYSTEM_NAMESPACE) --dry-run=client -o yaml | kubectl --context $(CONTEXT) apply -f - >/dev/null 2>&1
	@kubectl --context $(CONTEXT) label --overwrite namespace $(SYSTEM_NAMESPACE) pod-security.kubernetes.io/enforce=restricted >/dev/null
	@helm upgrade --install sluice charts/sluice --kube-context $(CONTEXT) --namespace $(SYSTEM_NAMESPACE) --take-ownership \
	  -f $(VALUES) $(call of-image,controller) $(call of-image,router) --wait --timeout 5m $(ARGS)

.PHONY: uninstall
uninstall:  ## take controller and router away again; definitions stay (CONTEXT= FORCE=1: although there are Releases)
	@$(need-helm)
	@$(cluster-answers)
	@if [[ -z "$(FORCE)" && -n "$$(kubectl --context $(CONTEXT) get releases.sluice.dev -A -o name 2>/dev/null)" ]]; then \
	  echo "make: there are Releases, which nobody would route to: 'kubectl delete releases --all -A' first, or FORCE=1" >&2; exit 1; fi
	@helm uninstall sluice --kube-context $(CONTEXT) --namespace $(SYSTEM_NAMESPACE) --ignore-not-found --wait

VERSION ?= 2
NAMESPACE ?= taxi-$(ENV)
IMAGE ?= sluice/model-api:$(IMAGE_TAG)
BUNDLES := .artifacts/models/taxi-duration
on-cluster = kubectl --context $(CONTEXT)
plugin = $(BIN)/kubectl-sluice --context $(CONTEXT) -n $(NAMESPACE)
need-kubectl = $(call need,kubectl,install kubectl (https://kubernetes.io/docs/tasks/tools))
need-sluice = $(need-kubectl) && { $(on-cluster) get crd releases.sluice.dev >/dev/null 2>&1 || { echo "make: the cluster of context $(CONTEXT) has no Sluice, or does not answer: 'make cluster images install' first" >&2; exit 1; }; }
has-release = $(on-cluster) get release taxi -n $(NAMESPACE) >/dev/null 2>&1
need-release = $(need-sluice) && { $(has-release) || { echo "make: no release taxi in namespace $(NAMESPACE): 'make deploy-canary ENV=$(ENV)' first" >&2; exit 1; }; }
# The digest of the bundle that VERSION means here; production takes nothing without one.
digest-of = $$($(BIN)/model-api bundle show --json $(BUNDLES)/$(1) | $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)["digest"])')
compose = k8s/compose $(ENV) $(1) VERSION=$(2) IMAGE=$(IMAGE) NAMESPACE=$(NAMESPACE) DIGEST=$(or $(DIGEST),$(call digest-of,$(2)))
apply = $(on-cluster) apply --server-side --force-conflicts -f - >/dev/null
# What is released needs something to be released from: version 1, where there is nothing yet.
define deploy
@$(need-sluice)
@$(has-release) || { echo "nothing is in $(NAMESPACE) yet: version 1 first" >&2; $(call compose,$(1),1) | $(apply) && \
  $(on-cluster) wait -n $(NAMESPACE) --for=condition=Promoted release/taxi --timeout=5m; }
@$(call compose,$(1),$(VERSION)) | $(apply)
@$(plugin) status taxi
@echo "follow it: make status ARGS=--watch; it needs requests to be judged: make load-cluster" >&2
endef

.PHONY: deploy-canary deploy-bluegreen deploy-rolling deploy-shadow deploy-ab
deploy-canary: $(STAMP) models  ## release a version in steps (ENV=dev|staging|production VERSION=2 CONTEXT= NAMESPACE=)
	$(call deploy,canary)
deploy-bluegreen: $(STAMP) models  ## release a version with one switch (ENV=dev VERSION=2)
	$(call deploy,bluegreen)
deploy-rolling: $(STAMP) models  ## release a version in batches of replicas (ENV=dev VERSION=2)
	$(call deploy,rolling)
deploy-shadow: $(STAMP) models  ## try a version on copies of requests (ENV=dev VERSION=2)
	$(call deploy,shadow)
deploy-ab: $(STAMP) models  ## try a version on half of the users (ENV=dev VERSION=2)
	$(call deploy,ab)

.PHONY: status
status: $(STAMP)  ## how the release of an environment is (ENV=dev ARGS='--watch')
	@$(need-sluice)
	@$(plugin) status $(ARGS)

.PHONY: promote pause resume abort undo
promote: $(STAMP)  ## go on past the step or gate it waits at (ENV=dev ARGS='--full')
pause: $(STAMP)  ## hold the weight where it is (ENV=dev)
resume: $(STAMP)  ## go on after a pause or a hold (ENV=dev)
abort: $(STAMP)  ## all traffic back to stable now (ENV=dev)
undo: $(STAMP)  ## back to the version before (ENV=dev ARGS='--to-revision REV')
promote pause resume abort undo:
	@$(need-release)
	@$(plugin) $@ taxi $(ARGS)

.PHONY: load-cluster
load-cluster: $(STAMP)  ## the same by several pods in the cluster (RELEASE=name NAMESPACE=ns WORKERS=2 PROFILE= RATE= LENGTH= URL=)
	@$(BIN)/python -m loadtests.cluster --slo $(SLO) --profile $(PROFILE) --workers $(or $(WORKERS),2) $(if $(RELEASE),--release $(RELEASE)) $(if $(NAMESPACE),--namespace $(NAMESPACE)) $(if $(URL),--url $(URL)) $(if $(RATE),--rate $(RATE)) $(if $(LENGTH),--length $(LENGTH)) $(ARGS)

##@ Develop
.PHONY: test
test: $(STAMP)  ## all fast tests, real Envoy and processes among them (ARGS='-k name')
	@$(BIN)/pytest -q -n 2 --dist worksteal -m 'not e2e and not cluster' $(ARGS)

.PHONY: e2e-laptop
e2e-laptop: $(STAMP)  ## slow stories with real processes, real Envoy and real load
	@$(BIN)/pytest -q -m 'e2e and not cluster' tests/e2e tests/loadtests $(ARGS)
	@$(BIN)/pytest -q -n 2 --dist worksteal -m 'e2e and not cluster' tests/conformance $(ARGS)

.PHONY: e2e
e2e: $(STAMP)  ## the core of the stories on a kind cluster, which it makes where there is none
	@$(MAKE) --no-print-directory cluster images install
	@SLUICE_CLUSTER=required $(BIN)/pytest -q -n 3 --dist worksteal -m 'cluster and core and not alone' tests/cluster $(ARGS)
	@SLUICE_CLUSTER=required $(BIN)/pytest -q -m 'cluster and core and alone' tests/cluster $(ARGS)

.PHONY: e2e-all
e2e-all: $(STAMP)  ## every story and every test that needs a cluster
	@$(MAKE) --no-print-directory cluster images install
	@SLUICE_CLUSTER=required $(BIN)/pytest -q -n 3 --dist worksteal -m 'cluster and not alone' tests/cluster tests/contract $(ARGS)
	@SLUICE_CLUSTER=required $(BIN)/pytest -q -m 'cluster and alone' tests/cluster $(ARGS)

.PHONY: conformance
conformance: $(STAMP)  ## tell every conformance story in memory and keep what came of it
	@$(BIN)/python -m tests.conformance
	@$(BIN)/python -m tools.generate

.PHONY: conformance-laptop
conformance-laptop: $(STAMP)  ## tell those for a laptop, and keep what was measured (ARGS='-k kills')
	@CONFORMANCE_RESULTS=1 $(BIN)/pytest -q -n 2 --dist worksteal tests/conformance/test_laptop.py $(ARGS)
	@$(BIN)/python -m tools.generate

.PHONY: conformance-cluster
conformance-cluster: $(STAMP)  ## tell those for a cluster, and keep what was measured (ARGS='-k kills')
	@CONFORMANCE_RESULTS=1 SLUICE_CLUSTER=required $(BIN)/pytest -q -n 3 --dist worksteal -m 'cluster and not alone' tests/cluster/test_stories.py $(ARGS)
	@CONFORMANCE_RESULTS=1 SLUICE_CLUSTER=required $(BIN)/pytest -q -m 'cluster and alone' tests/cluster/test_stories.py $(ARGS)
	@$(BIN)/python -m tools.generate

.PHONY: check
check: $(STAMP)  ## ruff, mypy --strict, import contracts, generated files up to date
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > /tmp/sluice-lint-imports.$$$$ || { cat /tmp/sluice-lint-imports.$$$$; rm -f /tmp/sluice-lint-imports.$$$$; exit 1; }; rm -f /tmp/sluice-lint-imports.$$$$
	@$(UV) lock --check -q
	@$(MAKE) --no-print-directory verify

.PHONY: update
update: $(STAMP)  ## regenerate schemas and reference pages
	@$(BIN)/python -m tools.generate

.PHONY: verify
verify: $(STAMP)  ## fail when a generated file is not what `make update` would write
	@$(BIN)/python -m tools.generate --check

.PHONY: format
format: $(STAMP)  ## put the code into the project's format
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .

.PHONY: fuzz
fuzz: $(STAMP)  ## a million random inputs to the parsers of specs, routing and counters (FUZZ=n)
	@$(BIN)/python -m benchmarks.fuzz --inputs $(or $(FUZZ),1000000)

.PHONY: fuzz-api
fuzz-api: $(STAMP) models  ## requests made from the model API's own OpenAPI page, good and bad (ARGS='--examples 500')
	@$(BIN)/python -m benchmarks.fuzz_api .artifacts/models $(ARGS)

##@ Measure
.PHONY: bench
bench: bench-detection bench-router bench-shadow  ## every benchmark, one after the other

.PHONY: bench-detection
bench-detection: $(STAMP)  ## requests to detect, false rollbacks and harm, beside the peers' rules (ARGS='--quick')
	@$(UV) sync -q --group bench
	@$(BIN)/python -m benchmarks.detection $(ARGS)

.PHONY: bench-router
bench-router: $(STAMP)  ## CPU per request over bare weighted Envoy; time from decision to effect
	@$(BIN)/python -m benchmarks.router $(ARGS)

.PHONY: bench-shadow
bench-shadow: $(STAMP)  ## what mirroring adds for users with healthy, dead, slow and hanging shadows; what capture costs
	@$(BIN)/python -m benchmarks.shadow $(ARGS)

.PHONY: bench-controller
bench-controller: $(STAMP)  ## CPU and memory of one controller with 1,000 releases in mid-pass (ARGS='--quick')
	@$(BIN)/python -m benchmarks.controller $(ARGS)

.PHONY: bench-cluster
bench-cluster: $(STAMP)  ## harm, speed, false aborts and idle cost on the cluster (ARGS='--only harm --rounds 2')
	@$(BIN)/python -m benchmarks.cluster $(ARGS)

.PHONY: bench-model-api
bench-model-api: $(STAMP)  ## CPU, memory and start of the model API beside a bare app, MLServer and KServe
	@$(BIN)/python -m benchmarks.model_api $(ARGS)

.PHONY: bench-loadgen
bench-loadgen: $(STAMP)  ## the load generator beside fortio and stock locust; percentiles under stalls (ARGS='--quick')
	@$(BIN)/python -m benchmarks.loadgen $(ARGS)

##@ Keep house
.PHONY: sync
sync: $(STAMP)  ## make .venv with everything that uv.lock names

$(STAMP): uv.lock pyproject.toml services/controller/pyproject.toml services/model_api/pyproject.toml services/router/pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found: install Python 3.11 or set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV) with $(PYTHON) ..." >&2; $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "make: '$(PYTHON) -m venv' failed: on Debian, 'apt-get install python3.11-venv'" >&2; exit 1; }; }
	@$(BIN)/pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@echo "syncing $(VENV) with uv.lock ..." >&2
	@$(UV) sync -q --frozen --inexact
	@touch $@

.PHONY: clean
clean:  ## remove what was built; .venv and running releases stay (CLEAN_VENV=1 removes .venv)
	@rm -rf .artifacts dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
	@if [ -n "$(CLEAN_VENV)" ]; then rm -rf $(VENV); fi

.PHONY: help
help:  ## this list
	@awk 'BEGIN {FS = ":.*## "; print "sluice: release strategies for model APIs\n\nUsage: make TARGET"} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-zA-Z0-9_-]+:.*## / {split($$1, t, ":"); printf "  %-16s %s\n", t[1], $$2}' $(MAKEFILE_LIST)
