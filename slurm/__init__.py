"""The launcher: a movie's stages as SLURM array jobs, or as local worker processes without SLURM.

    python -m slurm extract --movie 12345 --shards 256      what `make extract MOVIE=12345 SHARDS=256` runs

Terms: a *shard* is a slice of the film; a *task* runs one or several shards, one after the other; an
*array* is one SLURM job of several tasks; a *submission* is one array, or one local pool of workers.
Modules: `cli` (arguments), `site` (cluster.toml), `films` (which film), `launch` (submission), `tasks` (what
runs on a node), `local` (workers without SLURM), `status` and `report` (what became of it), `records` (the
run's folder, from which every shell can tell), `queue` (squeue, scontrol), `packing` (shards into tasks).
"""
