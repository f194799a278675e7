# The launcher's targets; the top Makefile includes this. Variables travel in the environment, as they were
# typed, so that no film, folder or argument is ever read by a shell or by make: a `$` in a folder's name is
# one. `python -m slurm --help` explains each of them.
PYTHON ?= .venv/bin/python
SLURM_LAB ?= .slurm-lab
LAUNCHER_VARIABLES := MOVIE MOVIES FILMS OUT ACTOR_DB SHARDS DETECTOR EMBEDDER DEVICE SITE SET PARTITION \
  ACCOUNT QOS GPUS CPUS MEMORY WALLTIME PARALLEL TASKS RETRY WORKERS EXTRACT_ARGS MERGE_ARGS CLUSTER_ARGS \
  CLASSIFY_ARGS LOCAL FRESH OVERWRITE WATCH JSON
LAUNCHER_TARGETS := extract merge cluster classify movie status plan

$(foreach name,$(LAUNCHER_VARIABLES),$(eval $(LAUNCHER_TARGETS): export FACEREC_$(name) = $$(value $(name))))
unexport $(LAUNCHER_VARIABLES)
# what was set on the command line, so that a misspelt name is answered and not ignored
$(LAUNCHER_TARGETS): export FACEREC_MAKE_VARIABLES = $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))

.PHONY: $(LAUNCHER_TARGETS) slurm-up slurm-down test-slurm

extract: ## submit the shards of MOVIE=12345 that are not done [SHARDS=256 TASKS=32 RETRY=3 PARTITION= …]
merge: ## join the shards of MOVIE into trajectories
cluster: ## group the trajectories of MOVIE
classify: ## name the clusters of MOVIE
movie: ## all four stages of MOVIE, each after the one before; also MOVIES="1 2 3" or MOVIES=all
plan: ## measure a few hundred frames of MOVIE here, and say what to ask for: shards, tasks, time, memory
status: ## how MOVIE stands [WATCH=1 JSON=1]
$(LAUNCHER_TARGETS):
	@$(PYTHON) -m slurm $@

slurm-up: ## a throw-away SLURM of four nodes on this machine, to try things (Debian, root)
	@slurm/lab/up.sh "$(SLURM_LAB)"

slurm-down: ## stop the throw-away SLURM
	@slurm/lab/down.sh "$(SLURM_LAB)"

test-slurm: ## the launcher's tests on a real, throw-away SLURM (skipped where it cannot be installed)
	$(PYTHON) -m pytest -m slurm -rs tests/slurm/lab
