"""The site profile: what the cluster here is like, in `slurm/cluster.toml`; the command line overrides it."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from facerec.errors import InputError
from facerec.stages import PIPELINE

STAGES = PIPELINE.short_names
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class Resources:
    """What the jobs of one stage ask for; an empty text or 0 leaves it to SLURM's own default.

    Attributes:
        time: the longest a task may run: minutes (`90`), `H:MM:SS` or `D-HH:MM:SS`.
        memory: for a task, with its unit: `8G`, `500M`.
        cpus, gpus: for a task.
        gres: how GPUs are asked for where `--gpus-per-node` is not understood: `gpu:a100:1`.
        parallelism: how many tasks of a movie run at once.
        tasks: how many tasks the shards are packed into; 0 is a task for every shard.
        retry: how many times a shard that failed is tried again.
        warn: seconds before the time limit at which SLURM warns the task, which then stops cleanly.
        modules: loaded with `module load` before the task.
        setup: shell lines run before the task, as they stand.
        sbatch: further options of sbatch, name to value.
    """

    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    exclude: str = ""
    time: str = "4:00:00"
    memory: str = "8G"
    cpus: int = 2
    gpus: int = 0
    gres: str = ""
    parallelism: int = 64
    tasks: int = 0
    retry: int = 0
    warn: int = 90
    modules: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    sbatch: Mapping[str, str] = field(default_factory=dict)

    @property
    def minutes(self) -> int:
        return minutes(self.time)

    @property
    def megabytes(self) -> int:
        return size_bytes(self.memory) >> 20


@dataclass(frozen=True)
class Local:
    """Without SLURM.

    Attributes:
        workers: processes at a time; 0 is what cores and memory allow, one for each GPU where there is one.
        memory: what one worker is taken to need when `workers` is 0.
    """

    workers: int = 0
    memory: str = "3G"


@dataclass(frozen=True)
class Site:
    """The whole profile: resources by stage, and how long to wait for a shared filesystem."""

    stages: Mapping[str, Resources]
    local: Local = field(default_factory=Local)
    settle: float = 60.0  # seconds that a file written on one node may take to be seen on another


def minutes(text: str) -> int:
    """SLURM's spelling of a time, in whole minutes, rounded up: `90`, `1:30:00`, `1-12:00:00`."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if match is None:
        raise InputError(f"{text!r} is no time: give minutes (90), H:MM:SS or D-HH:MM:SS")
    days, first, second, third = (int(part) if part else None for part in match.groups())
    first = first or 0
    if days is not None:  # D-H, D-H:M, D-H:M:S
        seconds = ((days * 24 + first) * 60 + (second or 0)) * 60 + (third or 0)
    elif third is not None:  # H:M:S
        seconds = (first * 60 + (second or 0)) * 60 + third
    else:  # M, M:S
        seconds = first * 60 + (second or 0)
    if not seconds:
        raise InputError(f"{text!r} is no time: a task needs more than none")
    return -(-seconds // 60)


def size_bytes(text: str) -> int:
    """A size with its unit, in bytes: `8G`, `500M`."""
    match = re.fullmatch(r"(\d+)([KMGT])B?", text.strip(), re.IGNORECASE)
    if match is None or not int(match[1]):
        raise InputError(f"{text!r} is no amount of memory: give a number with its unit, as in 8G or 500M")
    return int(match[1]) * _UNITS[match[2].upper()]


def load(path: Path, overrides: Iterable[str] = ()) -> Site:
    """Read the profile; `overrides` are `stage.setting=value` or, for every stage, `setting=value`.

    Raises:
        InputError: no TOML, a setting nobody knows (with the one that was probably meant), a wrong type.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such site profile; say where it is with SITE=FILE") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no valid TOML: {error}") from None
    settings: list[tuple[str, str, str, Any]] = []  # where it stands, table, name, value
    for table, values in tables.items():
        if table == "settle":
            settings.append((str(path), "", "settle", values))
            continue
        _known(str(path), "table", table, ("all", *STAGES, "local", "settle"))
        if not isinstance(values, dict):
            raise InputError(f"{path}: [{table}] must be a table")
        settings += [(f"{path}: [{table}]", table, name, value) for name, value in values.items()]
    settings.sort(key=lambda setting: setting[1] != "all")  # a stage's own table wins over [all]
    settings += [_override(text) for text in overrides]
    return _applied(settings)


def _override(text: str) -> tuple[str, str, str, Any]:
    name, equals, value = text.partition("=")
    table, dot, key = name.strip().rpartition(".")
    if not equals:
        raise InputError(f"{text!r}: give setting=value or stage.setting=value, as in extract.memory=32G")
    if dot:
        _known(text, "table", table, ("all", *STAGES, "local"))
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()  # a bare word is a text
    return text, "" if key == "settle" else table or "all", key, parsed


def _applied(settings: Iterable[tuple[str, str, str, Any]]) -> Site:
    stages = {stage: Resources() for stage in STAGES}
    local, settle = Local(), Site.settle
    for where, table, name, value in settings:
        if not table:
            settle = float(_typed(where, name, value, settle))
        elif table == "local":
            local = _set(where, local, name, value)
        else:
            for stage in STAGES if table == "all" else (table,):
                stages[stage] = _set(where, stages[stage], name, value)
    for resources in stages.values():
        _ = resources.minutes, resources.megabytes  # what cannot be read is said now, not at submission
    size_bytes(local.memory)
    return Site(stages, local, settle)


def _set(where: str, target: Any, name: str, value: Any) -> Any:
    _known(where, "setting", name, [item.name for item in fields(target)])
    return replace(target, **{name: _typed(where, name, value, getattr(target, name))})


def _typed(where: str, name: str, value: Any, like: Any) -> Any:
    """`value` in the type of the default `like`."""
    if isinstance(like, tuple):
        values = [value] if isinstance(value, str) else value
        if isinstance(values, list) and all(isinstance(item, str) for item in values):
            return tuple(values)
        raise InputError(f"{where}: {name} must be a list of texts, not {value!r}")
    if isinstance(like, Mapping):
        if isinstance(value, dict) and all(isinstance(item, str | int) for item in value.values()):
            return {str(key): str(item) for key, item in value.items()}
        raise InputError(f'{where}: {name} must be a table of texts, as in {{ mail-user = "me@x.org" }}')
    if isinstance(like, str):
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
        raise InputError(f"{where}: {name} must be a text, not {value!r}")
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or value < 0:
        raise InputError(f"{where}: {name} must be a whole number, 0 or more, not {value!r}")
    return int(value)


def _known(where: str, what: str, name: str, valid: Iterable[str]) -> None:
    names = list(valid)
    if name in names:
        return
    close = difflib.get_close_matches(name, names, 1)
    meant = f", did you mean {close[0]!r}?" if close else "."
    raise InputError(f"{where}: unknown {what} {name!r}{meant} Valid are: {', '.join(names)}")
