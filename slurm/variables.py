"""The options of the launcher, each also a variable of make."""

# make passes its variables in the environment as FACEREC_<NAME>, so that no shell reads their contents.

from __future__ import annotations

import argparse
import difflib
import os
import shlex
from collections.abc import Sequence

from facerec.errors import InputError
from facerec.stages import FEATURES, LAUNCHED, PIPELINE
from facerec.support.cli import parser

PREFIX = "FACEREC_"
FEATURES_COMMAND = FEATURES.short_name
CHAINS = {**{stage: (stage,) for stage in PIPELINE.short_names}, "movie": PIPELINE.short_names}
CHAINS["retry"] = CHAINS["movie"]
_COMMANDS = (
    "extract, merge, cluster, classify, report: run one stage. movie: run all of them in order. retry: "
    "the same for the movies that failed, also those that were set aside. features: "
    "compute FEATURES of movies, of a LIST or of TARS. status: show the state of the movies. plan: extract a "
    "few hundred frames on this machine, and recommend shards, tasks, time and memory. export: write the "
    "movies for other programs (FORMAT), on this machine. review: print where the reports open to ask who is "
    "who. add-movie: add the movie's cast, pictures and film to the actor database (ADD_ARGS), on this "
    "machine. prepare: embed the pictures of the actor database, on this machine. handover: put what the "
    "labeling backend reads of the movies into TO."
)

# name of the variable of make, default, help
OPTIONS = (
    ("MOVIE", "", "movie id"),
    ("MOVIES", "", "several movie ids, or all for every film in FILMS"),
    ("FILMS", "films", "folder of the films, which are named <movie id>-<title>"),
    (
        "OUT",
        "",
        "folder of the results: <movie id>-data and logs/<movie id> (default: data; of LIST, TARS: features)",
    ),
    ("ACTOR_DB", "actor_db", "actor database"),
    (
        "SHARDS",
        "",
        "number of shards of the film (default: as in the movie's plan, or by its length; features: as "
        "before, or 64)",
    ),
    ("FEATURES", "", "names of features, NAME or NAME:FILE, separated by blanks"),
    ("LIST", "", "features: a list of files, as in videos.csv"),
    (
        "TARS",
        "",
        "features: tar shards of clips, as in 'clips/shard-{000000..000004}.tar'",
    ),
    ("DETECTOR", "", "retinaface, mtcnn, yunet or scrfd[:FILE] (default: as in extract.py)"),
    ("EMBEDDER", "", "facenet, dlib or arcface[:FILE] (default: as in extract.py)"),
    ("MODELS", "", "detector and embedder of a pack of insightface, as in buffalo_l"),
    ("DEVICE", "", "auto, cpu, cuda or cuda:i (default: cuda if GPUs are requested, else auto)"),
    ("SITE", "slurm/cluster.toml", "site profile"),
    ("SET", "", "settings that override the site profile, as in 'extract.memory=32G merge.time=60'"),
    ("PARTITION", "", "SLURM partition of all stages"),
    ("ACCOUNT", "", "SLURM account of all stages"),
    ("QOS", "", "SLURM quality of service of all stages"),
    ("NICE", "", "let other jobs go first: SLURM's --nice, for all stages"),
    ("PRIORITY", "", "SLURM's --priority, for all stages; most sites leave it to operators"),
    ("GPUS", "", "GPUs per task of extract, or of features"),
    ("CPUS", "", "CPU cores per task of extract, or of features"),
    ("MEMORY", "", "memory per task of extract, or of features, as in 8G"),
    ("WALLTIME", "", "time limit per task of extract, or of features: minutes or H:MM:SS"),
    ("PARALLEL", "", "maximum number of tasks of extract, or of features, that run at once"),
    ("TASKS", "", "number of tasks that share the shards (default: one per shard)"),
    ("RETRY", "", "number of times a failed shard is tried again"),
    (
        "WORKERS",
        "",
        "without SLURM: number of processes that run at once (default: by cores, memory and GPUs)",
    ),
    *(
        (f"{stage.short_name.upper()}_ARGS", "", f"further arguments of {stage.name}.py")
        for stage in LAUNCHED.values()
    ),
    ("EXPORT_ARGS", "", "further arguments of export.py, as in '--labels labels.csv --out tables'"),
    ("PREPARE_ARGS", "", "prepare: further arguments of prepare_actors.py, as in '--min-face-size 40'"),
    ("ADD_ARGS", "", "add-movie: for add_movie.py, as in '--name Title --year 1998 --cast cast.csv'"),
    ("TO", "", "handover: folder that the labeling backend is given"),
    ("HANDOVER_ARGS", "", "handover: further arguments of handover.py, as in --link"),
    ("FORMAT", "", "export: format of the files, as in screen-time; export.py --help lists all"),
)
_OF_MAKE = ("VENV", "PYTHON", "SHELL", "DEMO", "MAKEFLAGS")
FLAGS = (
    ("LOCAL", "run on this machine without SLURM, even if it has SLURM"),
    ("FRESH", "delete the movie's shards, or features that were made with other options, and start again"),
    ("OVERWRITE", "replace published results; the previous version is kept"),
    ("ON_NODE", "plan: measure in a short job on a node, with the resources of a task"),
    ("WATCH", "status: refresh, every 30 s or as the site profile says, until nothing is queued or running"),
    ("FAILED", "status: show only movies that failed"),
    ("JSON", "status: print JSON, a line for each movie"),
)
# variables that a recommended command must repeat, because the measurement depends on them
REPEATED = {
    "FILMS",
    "OUT",
    "ACTOR_DB",
    "DETECTOR",
    "EMBEDDER",
    "MODELS",
    "DEVICE",
    "SITE",
    "SET",
    "EXTRACT_ARGS",
}
SETTINGS = {  # variables that override a setting of the site profile
    **{name: f"all.{name.lower()}" for name in ("PARTITION", "ACCOUNT", "QOS", "NICE", "PRIORITY")},
    **{name: f"{{stage}}.{name.lower()}" for name in ("GPUS", "CPUS", "MEMORY", "TASKS", "RETRY")},
    "WALLTIME": "{stage}.time",
    "PARALLEL": "{stage}.parallelism",
    "WORKERS": "local.workers",
}


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return the parser. Each option is also a variable of make, and FACEREC_<NAME> in the environment."""
    command_line = parser(description)
    command_line.formatter_class = argparse.HelpFormatter  # the help texts name the defaults
    command_line.usage = "%(prog)s [options] command"
    command_line.epilog = (
        "make sets each option from a variable: --actor-db is ACTOR_DB=, --local is LOCAL=1."
    )
    command_line.add_argument(
        "command",
        choices=[
            *CHAINS,
            FEATURES_COMMAND,
            "status",
            "plan",
            "export",
            "review",
            "add-movie",
            "prepare",
            "handover",
        ],
        metavar="command",
        help=_COMMANDS,
    )
    for name, default, text in OPTIONS:
        value = os.environ.get(PREFIX + name) or default
        default_text = f" (default: {default})" if default else ""
        command_line.add_argument(_flag(name), default=value, metavar=name, help=text + default_text)
    for name, text in FLAGS:
        given = os.environ.get(PREFIX + name, "").lower() not in ("", "0", "no", "false")
        command_line.add_argument(_flag(name), action="store_true", default=given, help=text)
    return command_line


def _flag(name: str) -> str:
    return "--" + name.lower().replace("_", "-")


def check_variables(names: Sequence[str]) -> list[str]:
    """Refuse misspelt variables of make, which make itself would ignore.

    Returns:
        Other names that no program is likely to read: those of one word.
    """
    valid = [name for name, *_ in (*OPTIONS, *FLAGS)]
    for name in names:
        close = difflib.get_close_matches(name, valid, 1, cutoff=0.75)
        if name not in valid and close:
            hint = f"did you mean {close[0]}? Valid variables: {', '.join(valid)}"
            raise InputError(f"unknown variable {name}; {hint}")
    return [name for name in names if name not in (*valid, *_OF_MAKE) and "_" not in name]


def split_words(flag: str, text: str) -> list[str]:
    """Split the value of an option into words with the quoting rules of a shell, but without a shell."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InputError(f"{flag}: {error} in {text!r}") from None
