# Two commands on a fresh machine: `make demo` runs the main job, `make test` passes the tests.
# `make benchmark-demo` is the paper's study on virtual patients: within half an hour on two cores.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test benchmark-demo setup format clean

demo: setup
	$(BIN)/hemocam demo --output demo --force

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4

# thick slices, for the time goes with their number; what was computed stays, and the same command goes on
WORKERS ?= 2
benchmark-demo: setup
	$(BIN)/hemocam phantom --output benchmark-demo/patients --count 40 --seed 1 --slice-mm 12 --healthy 0.2 \
		--workers $(WORKERS)
	$(BIN)/hemocam benchmark benchmark-demo/patients --output benchmark-demo/results --stages 4 5 6 \
		--engine hemocam-bf16 --refine --faithfulness 1 --faithfulness-cases 6 --workers $(WORKERS)

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "HemoCAM needs Python 3.11 or newer; call make with PYTHON=python3.12, say."; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "Python cannot make a virtual environment; on Debian install the package python3-venv."; exit 2; }
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $(READY)

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo benchmark-demo runs
