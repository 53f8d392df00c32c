# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Each target does all the set-up it needs by itself; see `make help`.
PYTHON3 ?= python3
PYTHON := .venv/bin/python
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-ptx test-gpu pack-gpu fuzz build bench bench-gpu lint format sanitize docs clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## Train a network on handwritten digits (ARGS="--show adjoint" prints IR)
	@$(PYTHON) examples/01_digits.py $(ARGS)

test: build ## The tests: lit, then pytest (ARGS go to pytest; "-m slow" for the slow ones)
	@$(PYTHON) tools/run_tests.py $(ARGS)

test-ptx: build ## Assemble kernels for several GPUs, and print what they take (ARGS="--chip sm_90")
	@$(PYTHON3) tools/setup.py ptx
	@$(PYTHON) test/gpu/ptx.py $(ARGS)

test-gpu: build ## The tests of all ops on the GPU of this machine (ARGS="--sanitizer" checks accesses)
	@$(PYTHON) test/gpu/run_on_gpu.py $(ARGS)

pack-gpu: build ## Write the tests of test-gpu to build/gpu, for a machine without a compiler (ARGS="--chips sm_90")
	@$(PYTHON) test/gpu/write_bundle.py build/gpu $(ARGS)

bench-gpu: build ## Time kernels and steps on the GPU of this machine, against PyTorch if it is installed
	@$(PYTHON) benchmarks/gpu.py $(ARGS)

fuzz: SEED := $(or $(SEED),$(shell date +%s))
fuzz: EXAMPLES := $(or $(EXAMPLES),1000)
fuzz: build ## The random tests with a new seed and more examples (SEED=1 EXAMPLES=1000)
	@echo "SEED=$(SEED) EXAMPLES=$(EXAMPLES)"
	@GRADOPT_TEST_SEED=$(SEED) GRADOPT_TEST_EXAMPLES=$(EXAMPLES) \
		$(PYTHON) tools/run_tests.py -m random -n auto $(ARGS)

build: ## Install everything and compile
	@$(PYTHON3) tools/setup.py build

bench: ## Time value and gradient against other libraries
	@$(PYTHON3) tools/setup.py bench
	@$(PYTHON) benchmarks/run.py $(ARGS)

lint: ## ruff, pyright and clang-format, changing nothing
	@$(PYTHON3) tools/setup.py lint
	@$(PYTHON) tools/lint.py

format: ## Let ruff and clang-format rewrite the sources
	@$(PYTHON3) tools/setup.py lint
	@$(PYTHON) tools/lint.py --fix

sanitize: build ## Test the runtime and the extension under ASan, UBSan and TSan (ARGS go to pytest)
	@$(PYTHON3) tools/setup.py sanitize
	@$(PYTHON) tools/sanitize.py $(ARGS)

docs: build ## Reference pages of ops and passes, into build/release/docs
	@cmake --build build/release --target docs
	@$(PYTHON) test/gpu/op_table.py build/release/docs/Devices.md

clean: ## Remove everything that was built, except the cache of the bindings
	rm -rf build .venv .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
