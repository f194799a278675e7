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

    site           the settings of a site profile
    site_file      the site profile read from cluster.toml
    queue          SLURM's commands
    process        run and stop a program
    shards         which shards are extracted
    submission     a submission and its tasks, as JSON files
    records        the run folder logs/<movie_id>/
    options        options of the user, commands of the stages
    packing        shards to tasks, tasks to arrays
    work           run a stage inside a task
    tasks          entry points on a node
    task_status    state of each task of a submission
    status         state of a movie and its shards
    report         the status as text and JSON
    feature_run    run folders of features
    extraction     choose the shards to extract
    features       choose the shards of features
    scheduler      where a command submits: queued tasks, free places
    launch         submit to SLURM
    pool_progress  frames done by a pool of local workers
    local          run without SLURM
    preflight      try all stages with --dry-run
    sizing         measure a film, recommend options
    finished       movies that need no process
    setting_aside  movies that fail again and again
    overview       status of several movies
    collection     commands for one movie or many
    variables      options and variables of make
    scripts        commands that run one program on this machine
    cli            command line
"""
