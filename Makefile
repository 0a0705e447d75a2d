# Docmill. `make` alone lists the targets.
#
# Needs Python 3.11 or newer with pip, and make; no root. Everything it installs goes to .tools and
# .venv in this folder, each file checked against the hashes in the lock files.
# PYTHON=/path/to/python3 chooses another Python.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-sqlite test-postgres test-browser test-deploy coverage faults chaos fuzz fuzz-api load plans pictures chromium \
	check check-lint check-format check-types check-imports check-sizes check-migrations \
	check-django check-schema check-settings settings lock format clean

export PYTHON
export UV_PYTHON_DOWNLOADS := never
# Without the compiled files each of the many processes that tests start compiles all it imports.
unexport PYTHONDONTWRITEBYTECODE

UV := .tools/bin/uv
PY := .venv/bin/python
# Many tests wait for real processes, so two more than the two cores pay.
WORKERS ?= 4
FILES ?= 0
PYTEST := $(PY) -m pytest -n $(WORKERS) --fail-on-skip

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: .venv/.run ## start everything with the sample documents; Ctrl-C ends it
	@exec $(PY) manage.py up --samples samples

# The checks mostly use one processor; the other one prepares the tests meanwhile.
test: .venv/.dev ## every check, then the tests on both databases
	@$(MAKE) --no-print-directory --jobs 2 check collected
	@$(MAKE) --no-print-directory test-sqlite test-postgres
	@.ci/deploy-tools note

# Or each process of the tests would rewrite their assertions for itself. What fails here fails in
# the tests, which say so.
.PHONY: collected
collected: .venv/.dev
	@$(PY) -m pytest --collect-only -qq >/dev/null 2>&1 || true

test-sqlite: .venv/.dev ## the tests on SQLite, all of them
	$(PYTEST)

test-postgres: .venv/.dev ## the tests on PostgreSQL, from a wheel
	$(PYTEST) --database postgres

# Apart from the tests: counting takes as long as testing.
coverage: .venv/.dev ## the tests on SQLite again; fails where fewer than 90 % of the code ran
	COVERAGE_FILE=.coverage/sqlite $(PYTEST) --cov --cov-report=
	@COVERAGE_FILE=.coverage/sqlite $(PY) -m coverage json --quiet -o .coverage/report.json
	@$(PY) .ci/coverage_gate.py .coverage/report.json

test-browser: chromium .venv/.browser ## the pages in an installed Chromium; SHOTS=folder keeps pictures
	$(PY) -m pytest tests/browser --fail-on-skip

# Needs programs of the system, and root for namespaces; says which are missing.
test-deploy: .venv/.dev ## image, compose file, manifests, proxies and rules, with their own tools
	@.ci/deploy-tools
	$(PY) -m pytest -n 2 --fail-on-skip --tools tests/deploy

# Both passes are made whatever comes of them; the table then says what did not hold.
faults: .venv/.dev ## every fault at every point on both databases; writes docs/faults.md
	-FAULTS=all $(PYTEST) tests/faults/test_matrix.py --junitxml .coverage/faults-sqlite.xml
	-FAULTS=all $(PYTEST) tests/faults/test_matrix.py --junitxml .coverage/faults-postgres.xml \
		--database postgres
	@.ci/scratch $(PY) -m tests.faults .coverage/faults-sqlite.xml .coverage/faults-postgres.xml

chaos: .venv/.dev ## kills and freezes at random; SEED=1 MINUTES=15 KILLS=2000 DATABASE=postgres LOG=file
	CHAOS_SEED=$(or $(SEED),1) CHAOS_MINUTES=$(or $(MINUTES),15) CHAOS_KILLS=$(or $(KILLS),2000) \
		CHAOS_LOG=$(LOG) $(PY) -m pytest tests/faults/test_chaos.py --database $(or $(DATABASE),postgres)

fuzz: .venv/.dev ## damaged documents through every reader; MINUTES=5 FILES=0 SEED=...
	@.ci/scratch $(PY) -m tests.fuzz.run --minutes $(or $(MINUTES),5) --files $(FILES) $(if $(SEED),--seed "$(SEED)")

fuzz-api: .venv/.dev ## odd requests at every door of the API and the pages; MINUTES=5 SEED=1
	FUZZ_API_SECONDS=$$(( $(or $(MINUTES),5) * 60 )) FUZZ_API_EACH=40 FUZZ_API_SEED=$(or $(SEED),1) \
		$(PY) -m pytest tests/doors -p no:randomly --database postgres

load: .venv/.dev ## what the web server carries at 50 and 1000 connections; takes 5 minutes
	@$(PY) -m benchmarks.server $(if $(INTO),--into $(INTO))

plans: .venv/.dev ## how 1 000 000 files are found on both databases; FILES=1000000, takes 10 minutes
	@$(PY) -m benchmarks.plans --files $(or $(filter-out 0,$(FILES)),1000000)
	@$(PY) -m benchmarks.plans --files $(or $(filter-out 0,$(FILES)),1000000) --database postgres

pictures: chromium .venv/.browser ## draw the pictures of the README anew
	$(PY) -m benchmarks.pictures

chromium:
	@.ci/find-chromium >/dev/null

check: check-lint check-format check-types check-imports check-sizes check-migrations check-django check-schema check-settings ## everything that needs no test

check-lint: .venv/.dev
	@$(PY) -m ruff check --quiet .

check-settings: .venv/.dev
	@$(PY) .ci/settings_table.py --check

settings: .venv/.dev ## write docs/settings.md anew from .env.example
	@$(PY) .ci/settings_table.py

check-format: .venv/.dev
	@$(PY) -m ruff format --quiet --diff .

check-types: .venv/.dev
	@.ci/scratch $(PY) -m mypy

check-imports: .venv/.dev
	@.venv/bin/lint-imports --no-logo

check-sizes: .venv/.dev
	@$(PY) .ci/sizes.py

check-migrations: .venv/.dev
	@.ci/scratch $(PY) manage.py makemigrations --check --dry-run

check-django: .venv/.dev
	@.ci/scratch $(PY) manage.py check --fail-level WARNING

check-schema: .venv/.dev
	@.ci/scratch $(PY) manage.py spectacular --validate --fail-on-warn --file /dev/null

format: .venv/.dev ## put the code into the house format
	@$(PY) -m ruff check --quiet --fix-only .
	@$(PY) -m ruff format .

lock: $(UV) ## write the lock files anew; UPGRADE=--upgrade takes newer versions
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) pyproject.toml --extra s3 --extra otel --extra cjk -c requirements-dev.lock \
		-o requirements-extras.lock
	$(COMPILE) pyproject.toml --group dev --group browser -c requirements-dev.lock \
		-o requirements-browser.lock
	$(COMPILE) pyproject.toml --group dev --group peers -c requirements-dev.lock \
		-o requirements-peers.lock

COMPILE = $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-header --no-annotate $(UPGRADE)

clean: ## remove what make installed and what checks left; data/ stays
	rm -rf .tools .venv .coverage .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what gets installed; a stamp that is newer than its lock file costs nothing -----------------

PIP_OPTIONS := --quiet --disable-pip-version-check --root-user-action ignore --no-deps --require-hashes

# uv is quick; pip knows the proxies and certificates that someone may have set up for it alone.
define sync
@$(UV) pip sync --quiet --compile-bytecode --require-hashes --python $(PY) $(1) || { \
	echo "uv could not fetch them; trying with pip, which takes longer"; \
	python=$$(.ci/find-python) && "$$python" -m pip --python $(PY) install $(PIP_OPTIONS) -r $(1); }
endef

# --target: neither root nor a virtual environment, and no refusal on systems that manage their own.
$(UV): .ci/requirements-uv.lock
	@python=$$(.ci/find-python) && rm -rf .tools && \
		"$$python" -m pip install $(PIP_OPTIONS) \
		--target .tools --requirement $<
	@touch $@

.venv/bin/python: | $(UV)
	@python=$$(.ci/find-python) && $(UV) venv --quiet --clear --python "$$python" .venv

.venv/.run: requirements.lock | .venv/bin/python
	@echo "Installing what Docmill needs into .venv (once)"
	$(call sync,$<)
	@touch $@

# What drives a browser, on top of the tests' own.
.venv/.browser: requirements-browser.lock .venv/.dev
	@echo "Installing what drives a browser into .venv (once)"
	$(call sync,$<)
	@rm -f .venv/.peers
	@touch $@

# The limiters and caches of others, for benchmarks. Either of these two takes away what the other installs.
.venv/.peers: requirements-peers.lock .venv/.dev
	@echo "Installing what to compare with into .venv (once)"
	$(call sync,$<)
	@rm -f .venv/.browser
	@touch $@

# Second to .run, which takes away what it does not list.
.venv/.dev: requirements-dev.lock .venv/.run
	@echo "Installing what the tests need into .venv (once)"
	$(call sync,$<)
	@touch $@
