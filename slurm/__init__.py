"""Run the stages of a movie as SLURM array jobs, or as local processes on a machine without SLURM.

    python -m slurm extract --movie 12345 --shards 256      the same as: make extract MOVIE=12345 SHARDS=256

Terms: a *shard* is a range of frames of the film. A *task* is one process that extracts one or more shards.
An *array* is one SLURM job with several tasks. A *submission* is one array, or one pool of local workers.

This package knows SLURM's commands, the site profile, the stage graph (facerec.stages), and from
facerec.folder which shards are planned and done and which files a stage writes. It must not know what a stage
computes: stages run as programs, and this package reads no frames, models or results. The exceptions:
`plan` asks facerec.video for the number of frames and the speed of decoding, the default number of shards
follows from the header of the film, and facerec.feature_runs.progress says which features are done.

Modules, the lower layers first (films are found by facerec.folder.films):

    site        read cluster.toml                 records     files in logs/<movie_id>/
    shards      which shards are extracted
    queue       SLURM's commands                  process     run and stop a program
    options     options and stage commands        work        run a stage inside a task
    packing     shards to tasks to arrays         status      state of every shard and task
                                                  extraction  choose the shards to extract
    feature_run records of features               features    choose the shards of features
    tasks       entry points on a node            launch      submit to SLURM; local: run without it
    preflight   try all stages by --dry-run
    report      status as text and JSON           sizing      measure a film, recommend options
    scheduler   SLURM's tasks and places of a command
    finished    movies that need no process       setting_aside  movies that fail again and again
    overview    status of several movies          collection  commands for one movie or many
    variables   options and variables of make     cli         command line
"""
