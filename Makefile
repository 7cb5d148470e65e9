# Two commands: `make demo` and `make test`. Everything is installed into .venv, by uv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The machine's own uv, else one that is installed into the virtual environment.
UV := $(or $(shell command -v uv),$(BIN)/uv)

.PHONY: setup demo docs gallery examples test test-docs test-slow test-chaos test-cluster test-oldest test-oracles check dist advisories format bench bench-gpu reference clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	@test -x $(UV) || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv; }
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	$(UV) pip install --python $(BIN)/python --compile-bytecode --constraints constraints.txt --editable '.[dev]'
	@touch $@

demo: setup  ## which initializers train a 20-layer ReLU network? half a minute on two cores
	$(BIN)/python -m initbench -m study=demo model=mlp model.depth=20 model.width=128 \
		init=default,kaiming_normal,xavier_normal,orthogonal,normal,constant seed='range(10)'

docs: setup  ## the site, into build/site/index.html; every warning is an error
	$(BIN)/python scripts/initializer_pages.py
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs build/site

gallery: setup  ## train the studies of docs/gallery.md and write the page; hours on two cores
	for study in quickstart mnist_core depth lr_sensitivity batchnorm_or_not; do \
		$(BIN)/python -m initbench experiment=$$study logger=none || exit; done
	$(BIN)/python -m initbench 'experiment=[quickstart,tuned]' study=quickstart_tuned logger=none
	for study in gpt_recipes position_std ffn_scale sinusoidal; do \
		$(BIN)/python -m initbench "experiment=[$$study,tuned]" 'tuning.lr_factors=[0.3,1,3]' logger=none || exit; done
	$(BIN)/python -m initbench experiment=mup_transfer logger=none
	$(BIN)/python -m initbench.attribution init=between init.a=gpt2 init.b=nanochat \
		'init.parts=[embedding,qkv,attention_out,mlp_in,mlp_out,head]' model=gpt model.tied=false data.size=10240 \
		data.context_length=32 data.batch_size=4 data.val_every_n_steps=20 trainer.max_epochs=1 logger=none study=attribution
	$(BIN)/python scripts/gallery.py

examples: setup  ## run the notebooks of examples/ again and keep what they show; a minute on two cores
	$(BIN)/python scripts/examples.py

test: setup  ## everything but the slow tests; twenty minutes on two cores
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow and not cluster and not chaos and not docs'

test-docs: docs  ## run every command and example of the READMEs and of docs/; an hour or two on two cores
	$(BIN)/python -m pytest -n 2 --dist worksteal -m docs

test-slow: setup  ## an hour on two cores
	$(BIN)/python -m pytest -m slow

test-chaos: setup  ## sweeps killed 20 times, full disks, signals; about ten minutes
	$(BIN)/python -m pytest -m chaos

test-cluster: setup  ## sweeps on a real SLURM and a real Ray; installs what both need
	$(UV) pip install --python $(BIN)/python --constraints constraints.txt --editable '.[dev,slurm,ray]'
	.ci/cluster $(BIN)/python -m pytest tests/cluster -m cluster

test-oldest: setup  ## everything but the slow tests, with the oldest dependencies that pyproject.toml allows
	$(UV) venv --quiet --clear --python $(BIN)/python build/oldest
	$(UV) pip install --python build/oldest/bin/python --resolution lowest-direct --editable '.[dev]'
	build/oldest/bin/python -m pytest -n 2 --dist loadfile -m 'not slow and not cluster and not chaos and not docs'

test-oracles: setup  ## draws and statistics against those of other libraries; installs them
	$(UV) pip install --python $(BIN)/python --constraints constraints.txt --editable '.[dev,oracles]'
	$(BIN)/python -m pytest tests/init/test_oracles.py tests/analysis/test_other_libraries.py

check: setup  ## lint, format, types, imports
	$(BIN)/lint-imports
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

dist: setup  ## build the wheel and the sdist, and use the wheel in an empty environment, with torch; minutes
	$(UV) pip install --python $(BIN)/python --constraints constraints.txt --editable '.[dev,release]'
	$(BIN)/python scripts/check_dist.py

advisories: setup  ## look the packages of constraints.txt up among the published vulnerabilities; needs the network
	$(UV) tool run pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

format: setup
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

bench: setup  ## add a dated table of this machine to docs/benchmarks/; leave the machine alone meanwhile
	$(BIN)/python scripts/benchmarks.py

bench-gpu: setup  ## the same for one NVIDIA GPU; at most ten minutes
	$(BIN)/python scripts/bench_gpu.py

reference: setup  ## write docs/reference/config.md, docs/reference/json.md and their schemas again
	$(BIN)/python scripts/config_reference.py
	$(BIN)/python scripts/json_reference.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build dist
