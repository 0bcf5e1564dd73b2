# Each target is one sentence. PYTHON is any Python 3.11 or newer; everything is installed into .venv, nothing elsewhere.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1
export UV_LINK_MODE := copy
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help course test test-machine test-all refresh check bench lock stale clean

help: ## Say what can be made.
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 16

course: $(VENV)/.course ## Install the course and open your copy in JupyterLab; the last line is the address.
	@$(BIN)/python -m coursekit copy --quiet $(COPY)
	@echo "Your copy of the notebooks is $(COPY). JupyterLab starts; Ctrl-C ends it. The course is at"
	@$(BIN)/python -m coursekit.course_server $(LAB_OPTIONS) --LabApp.default_url=/lab/tree/$(START)

COPY := my-course
START := $(COPY)/00-start-here.ipynb

test: $(VENV)/.dev ## Run every test that needs nothing but Python, and every notebook; of what is drawn at random, a sample.
	$(BIN)/python -m pytest tests -m "not ($(MACHINE))" -n logical --maxprocesses 4 --dist loadfile
	$(BIN)/python -m pytest notebooks --nbval-lax

test-machine: $(VENV)/.dev ## Run the other tests: daemons, namespaces, browser, Debian's kernel; what is not there skips.
	$(BIN)/python -m pytest $(TESTS) -m "$(MACHINE)"

test-all: export COURSEKIT_SEEDS = all
test-all: test test-machine ## Run both, with everything that is drawn at random: half an hour.

MACHINE := root or namespaces or browser or kernel or tool
TESTS := tests

refresh: $(VENV)/.dev ## Run every notebook and store what it shows.
	$(BIN)/python -m tests.notebooks.refresh

check: $(VENV)/.dev ## Lint and check types.
	$(BIN)/python -m ruff check coursekit tests
	$(BIN)/python -m mypy

bench: $(VENV)/.dev ## Measure speed and memory against what one would use instead; SUBJECTS=bgp measures BGP alone.
	@[ -e $(VENV)/others ] || { $(BIN)/python -m venv $(VENV)/others && $(VENV)/others/bin/python -m pip install --quiet \
	    $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["bench"])'); } \
	    || rm -rf $(VENV)/others  # BGPy brings matplotlib and numpy: not into the environment of the course
	$(BIN)/python -m tests.bench.bench $(SUBJECTS)

lock: $(VENV)/.dev ## Take the newest versions that pyproject.toml allows into the lock.
	$(BIN)/python -m uv $(LOCKING) --upgrade --output-file requirements.lock

LOCKING := pip compile pyproject.toml --group dev --universal --no-header --no-annotate --quiet

# The lock names versions and no index: whoever installs has an index of their own.
stale: $(VENV)/.dev
	$(BIN)/python -m uv $(LOCKING) --constraints requirements.lock | diff - requirements.lock

clean: ## Remove what the other targets made.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

# No display, no browser; and JupyterLab wants to be told that root is meant.
LAB_OPTIONS := --ServerApp.root_dir="$(CURDIR)" \
               $(if $(or $(DISPLAY),$(WAYLAND_DISPLAY),$(filter Darwin,$(shell uname -s))),,--no-browser) \
               $(if $(filter 0,$(shell id -u)),--allow-root)

$(VENV)/.course: pyproject.toml requirements.lock
	@$(environment)
	@$(call install,--editable .)
	@echo "$(CURDIR)" >$@

$(VENV)/.dev: pyproject.toml requirements.lock
	@$(environment)
	@$(call install,--group dev --editable .)
	@echo "$(CURDIR)" | tee $@ >$(VENV)/.course

# The locked versions, byte-compiled. Where uv cannot run or cannot reach the index, pip takes the ranges of pyproject.toml;
# groups it knows since 25.1.
define install
echo "Installing JupyterLab and what else the course needs into $(VENV): about 70 MB to fetch, a minute or two."; \
$(BIN)/python -m uv pip install --python $(BIN)/python --compile-bytecode --constraints requirements.lock $(1) || { \
    echo "uv could not install the locked versions; pip now installs compatible ones, which takes some minutes."; \
    $(BIN)/python -m pip install --quiet --upgrade "pip>=25.1" && $(BIN)/python -m pip install $(1); }
endef

# A stamp holds where the checkout lay; if it moved, or its Python is gone, the installation is done again.
$(shell [ "$$(cat $(VENV)/.course 2>/dev/null)" = "$(CURDIR)" ] && $(BIN)/python -c '' 2>/dev/null || rm -f $(VENV)/.course $(VENV)/.dev)

# A .venv that works is kept; one whose Python is gone or too old is made anew.
define environment
old='import sys; sys.exit(sys.version_info < (3, 11))'; \
if ! $(BIN)/python -c "$$old" 2>/dev/null; then \
    $(PYTHON) -c "$$old" 2>/dev/null || { echo "The course needs Python 3.11 or newer, and $(PYTHON) is not: try make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }; \
    echo "Making $(VENV) with $$($(PYTHON) --version) ..."; \
    $(PYTHON) -m venv --clear $(VENV) >/dev/null || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }; \
fi; \
$(BIN)/python -m uv --version >/dev/null 2>&1 || { echo "Installing uv, which installs the rest ..."; $(BIN)/python -m pip install --quiet "uv>=0.9,<1"; } || echo "uv is not to be had here."
endef
