# `make` lists the targets. Each builds what it needs in .venv, once.
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE  # a start without bytecode takes two to three times as long
.PHONY: help demo lab test check check-types check-style check-pages bench docs book release lock clean

# The first interpreter on PATH that is new enough; `make PYTHON=/path/to/python3 …` names another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
READY := .venv/.ready
BOOK := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer on PATH. Install one, or name it: make PYTHON=/path/to/python3"; exit 2; }
	@echo "Building .venv with $(PYTHON) (once; some minutes) …"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY) ## a 001 database discovered, backed up, rehearsed, migrated, verified, priced
	@$(BIN)/afdb demo

lab: $(READY) ## JupyterLab with the runbooks on the demo database
	@$(BIN)/afdb lab

test: $(READY) ## the tests, on real PostgreSQL and real kernels
	@$(BIN)/python -m pytest --durations=10

check: $(READY) ## ruff, mypy --strict, import contract, generated docs, notebooks
	@$(MAKE) --no-print-directory -j2 check-types check-style check-pages

check-types:
	@$(BIN)/mypy

check-style:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/nbstripout --verify --keep-id runbooks/*.ipynb
	@$(BIN)/python -m afdb_helpers.runbook.lint
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

check-pages:
	@PYTHONPATH=. $(BIN)/cog --check $$(grep -rl '\[\[\[cog' docs README.md)
	@$(BIN)/afdb docs --check
	@$(BOOK) --site-dir .site && rm -rf .site

docs: $(READY) ## write the generated parts of the docs anew
	@$(BIN)/afdb docs
	@PYTHONPATH=. $(BIN)/cog -r $$(grep -rl '\[\[\[cog' docs README.md)

book: $(READY) ## the docs as pages, in site/
	@$(BOOK) && echo "open site/index.html"

release: $(READY) ## what a release uploads, built and checked, in dist/
	@rm -rf dist && $(BIN)/python -m build --no-isolation --outdir dist . && $(BIN)/twine check --strict dist/*

bench: $(READY) ## the benchmarks: ratios against what you would use instead
	@for b in benchmarks/*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

lock: ## resolve requirements.lock anew (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--all-extras --output-file requirements.lock pyproject.toml requirements-build.in

clean: ## remove what the targets above made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .demo .site site dist
