# make train       train on the handwritten digits; ARGS="--model cnn --seed 1" goes to the command
# make test        the test suite (at most 8 minutes on two cores); ARGS="-k softmax" goes to pytest
# make test-full   the same with the slow tests, then the engine's part again with the C++ for other
#                  sets of instructions, pinned to NumPy, to the C++, to numba's loops where it is
#                  installed, to the emulated CUDA kernels, and on a stand-in for CuPy
# make bench       training steps beside PyTorch, JAX, MLX, tinygrad and others, which are installed
#                  into .venv-bench; ARGS="--parts steps --only W1" goes to benchmarks/peers.py
#
# Each makes or mends .venv first. Without make: python -m pip install . && python -m tinygrad_mmb train digits

PYTHON ?= python3
ARGS ?=
ifeq ($(OS),Windows_NT)
PROGRAMS := Scripts/python.exe
else
PROGRAMS := bin/python
endif
VENV_PYTHON := .venv/$(PROGRAMS)
BENCH_PYTHON := .venv-bench/$(PROGRAMS)

ENGINE := tests/autograd tests/ops tests/nn tests/optim

.PHONY: train test test-full bench

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
	@for isa in $$($(VENV_PYTHON) tools/instruction_sets.py); do echo "MMB_CPU_ISA=$$isa"; \
	  MMB_CPU_ISA=$$isa $(VENV_PYTHON) -m pytest -q -n auto -m "not slow" tests/cpu tests/capture $(ENGINE) || exit 1; done
	@for kernels in $$($(VENV_PYTHON) tools/pinnable_kernels.py); do echo "--kernels $$kernels"; \
	  $(VENV_PYTHON) -m pytest -q -n auto -m "not slow" --kernels $$kernels $(ENGINE) || exit 1; done
	@$(VENV_PYTHON) -m pytest -q -n auto -m "not slow" --device stand-in $(ENGINE) tests/training tests/device

bench:
	@$(PYTHON) tools/environment.py --bench
	@$(BENCH_PYTHON) benchmarks/peers.py $(ARGS)
