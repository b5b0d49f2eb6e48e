# make train       train on the handwritten digits; ARGS="--model cnn --seed 1" goes to the command
# make test        the test suite (at most 8 minutes on two cores); ARGS="-k softmax" goes to pytest
# make test-full   the same with the slow tests, then the engine's part again on the emulated CUDA
#                  kernels and on a stand-in for CuPy
#
# Each makes or mends .venv first. Without make: python -m pip install . && python -m tinygrad_mmb train digits

PYTHON ?= python3
ARGS ?=
ifeq ($(OS),Windows_NT)
VENV_PYTHON := .venv/Scripts/python.exe
else
VENV_PYTHON := .venv/bin/python
endif

ENGINE := tests/autograd tests/ops tests/nn tests/optim

.PHONY: train test test-full

# each worker of the suite computes alone: threads of several BLAS would wait for one another
test test-full: export OPENBLAS_NUM_THREADS ?= 1
test test-full: export OMP_NUM_THREADS ?= 1

train:
	@$(PYTHON) tools/environment.py train
	@$(VENV_PYTHON) -m tinygrad_mmb train digits $(ARGS)

test:
	@$(PYTHON) tools/environment.py dev
	@$(VENV_PYTHON) -m pytest -n auto -m "not slow" $(ARGS)

test-full:
	@$(PYTHON) tools/environment.py dev
	@$(VENV_PYTHON) -m pytest -n auto $(ARGS)
	@$(VENV_PYTHON) -m pytest -q -n auto -m "not slow" --kernels emulator $(ENGINE)
	@$(VENV_PYTHON) -m pytest -q -n auto -m "not slow" --device stand-in $(ENGINE) tests/training tests/device
