# Targets of the launcher, included by the top Makefile; `python -m slurm --help` explains the variables.
# Variables are passed in the environment exactly as typed, so that neither a shell nor make interprets the
# names of films and folders: a `$` in a folder's name stays a `$`.
PYTHON ?= .venv/bin/python
SLURM_LAB ?= .slurm-lab
LAUNCHER_VARIABLES := MOVIE MOVIES FILMS OUT ACTOR_DB SHARDS FEATURES LIST TARS DETECTOR EMBEDDER MODELS DEVICE SITE SET \
  PARTITION ACCOUNT QOS GPUS CPUS MEMORY WALLTIME PARALLEL TASKS RETRY WORKERS EXTRACT_ARGS MERGE_ARGS CLUSTER_ARGS \
  CLASSIFY_ARGS REPORT_ARGS FEATURES_ARGS EXPORT_ARGS ADD_ARGS PREPARE_ARGS HANDOVER_ARGS TO FORMAT LOCAL FRESH \
  OVERWRITE ON_NODE WATCH JSON FAILED NICE PRIORITY
LAUNCHER_TARGETS := extract merge cluster classify report movie retry features status plan export review add-movie prepare handover

$(foreach name,$(LAUNCHER_VARIABLES),$(eval $(LAUNCHER_TARGETS): export FACEREC_$(name) = $$(value $(name))))
unexport $(LAUNCHER_VARIABLES)
# the names of all variables on the command line, so that the launcher reports misspelt ones
$(LAUNCHER_TARGETS): export FACEREC_MAKE_VARIABLES = $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))

.PHONY: $(LAUNCHER_TARGETS) slurm-up slurm-down test-slurm

add-movie: ## add cast, pictures and film of MOVIE to ACTOR_DB: ADD_ARGS='--name Title --year 1998 --cast cast.csv --pictures pictures'; first of all
prepare: ## embed the pictures of ACTOR_DB, here [EMBEDDER=dlib DETECTOR=mtcnn or MODELS=buffalo_l]; before the first movie
extract: ## extract the missing shards of MOVIE=12345 [SHARDS=256 TASKS=32 RETRY=3 PARTITION= …]
merge: ## merge the shards of MOVIE into trajectories
cluster: ## group the trajectories of MOVIE by person
classify: ## name the clusters of MOVIE
report: ## make the page that shows MOVIE: who is on screen when; also MOVIES=all [REPORT_ARGS=--standalone]
movie: ## run all stages of MOVIE, each after the one before; also MOVIES="1 2 3" or MOVIES=all
retry: ## the same for those of MOVIE or MOVIES=all that failed; takes back the ones that were set aside
features: ## compute FEATURES="place action" of MOVIE, of LIST=videos.csv or TARS='shard-{0..9}.tar' [SHARDS=64 …]
plan: ## extract a few hundred frames of MOVIE here, and recommend shards, tasks, time and memory
export: ## write MOVIE for other programs, here: FORMAT=screen-time; also MOVIES=all [EXPORT_ARGS="--labels labels.csv"]
review: ## make the report of MOVIE, here, and print the address at which it asks who is who; also MOVIES=all
handover: ## put what the labeling backend reads of MOVIE into TO=DIR; also MOVIES=all [HANDOVER_ARGS=--link]
status: ## show what of MOVIE is queued, running, done or failed; MOVIES=all: a line each [FAILED=1 WATCH=1 JSON=1]
$(LAUNCHER_TARGETS):
	@$(PYTHON) -m slurm $@

slurm-up: ## start a test SLURM cluster of four nodes on this machine (Debian, root)
	@slurm/lab/up.sh "$(SLURM_LAB)"

slurm-down: ## stop the test SLURM cluster
	@slurm/lab/down.sh "$(SLURM_LAB)"

test-slurm: ## run the launcher's tests on a test SLURM cluster; skipped if it cannot be installed
	$(PYTHON) -m pytest -m slurm -rs tests/slurm/lab tests/test_cases.py
