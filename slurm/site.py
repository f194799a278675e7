"""The site profile: partitions, resources and limits of a cluster, read from a TOML file."""

from __future__ import annotations

import difflib
import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from facerec.errors import InputError
from facerec.stages import LAUNCHED

# options of sbatch by which the launcher finds its jobs and their logs, and which have a setting of their own
_OWN_OPTIONS = {
    "array",
    "comment",
    "dependency",
    "error",
    "job-name",
    "open-mode",
    "output",
    "signal",
    "wrap",
}
_SETTINGS_OF_OPTIONS = {
    **{name: name for name in ("partition", "account", "qos", "constraint", "exclude", "time", "gres")},
    "cpus-per-task": "cpus",
    "gpus-per-node": "gpus",
    "mem": "memory",
}
_OF_SITE = ("settle", "poll", "max_submit", "give_up")  # settings that belong to no stage
# The default resources of a task with a GPU: about as many decoders as feed it with 1920x1080 H.264, and the
# memory of torch, CUDA and the ring of batches. `make plan` measures them for a film.
GPU_DEFAULTS = {"cpus": 8, "memory": "16G"}
_GPU_GRES = re.compile(r"(?:^|,)\s*(?:gres/)?(?:gpu|shard|mps)\b")  # shard and mps: a part of a GPU
_GPU_OPTIONS = {"gpus", "gpus-per-task", "gpus-per-socket"}
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class Resources:
    """Resources of one stage's jobs. An empty text or 0 means the default of SLURM.

    Attributes:
        time: time limit of a task: minutes (`90`), `H:MM:SS` or `D-HH:MM:SS`.
        memory: memory of a task with its unit: `8G`, `500M`.
        cpus, gpus: number per task.
        gres: GPU request for sites that do not support `--gpus-per-node`: `gpu:a100:1`; `shard:1` or `mps:25`
            where several tasks share a GPU.
        parallelism: number of tasks of a movie that run at once; 0 for all.
        tasks: number of tasks that share the shards; 0 for one task per shard.
        retry: number of times a failed shard is tried again.
        warn: seconds before the time limit at which SLURM signals a task to stop cleanly.
        nice: SLURM's --nice; higher: other jobs go first.
        priority: SLURM's --priority, which most sites leave to operators.
        modules: environment modules to load before a task.
        setup: shell lines to run before a task, unchanged.
        sbatch: further options of sbatch by name; True for an option without a value, False to leave it out.
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
    nice: int = 0
    priority: int = 0
    modules: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    sbatch: Mapping[str, str | bool] = field(default_factory=dict)

    @property
    def has_gpu(self) -> bool:
        """Whether a task gets a GPU, or a part of one."""
        return bool(self.gpus or _GPU_GRES.search(self.gres) or self.sbatch.keys() & _GPU_OPTIONS)

    @property
    def minutes(self) -> int:
        """The time limit in minutes; 0 for the default of SLURM."""
        return parse_minutes(self.time) if self.time not in ("", "0") else 0

    @property
    def megabytes(self) -> int:
        """The memory in MiB; 0 for the default of SLURM."""
        return parse_size(self.memory) >> 20 if self.memory not in ("", "0") else 0

    def requests(self) -> dict[str, str | int | bool]:
        """Return the options of sbatch and srun that request these resources, without the time limit."""
        found: dict[str, str | int | bool] = {
            name: getattr(self, name)
            for name in ("partition", "account", "qos", "constraint", "exclude", "gres")
            if getattr(self, name)
        }
        if self.gpus and not self.gres:
            found["gpus-per-node"] = self.gpus
        if self.cpus:
            found["cpus-per-task"] = self.cpus
        if self.megabytes and not self.sbatch.keys() & {"mem-per-cpu", "mem-per-gpu"}:
            found["mem"] = f"{self.megabytes}M"
        found |= {name: value for name, value in self.sbatch.items() if value is not False}
        chosen = {"nice": self.nice, "priority": self.priority}
        return found | {name: value for name, value in chosen.items() if value}

    def preparation(self) -> list[str]:
        """Return the shell lines to run before a task."""
        return [*(f"module load {shlex.quote(name)}" for name in self.modules), *self.setup]


@dataclass(frozen=True)
class LocalSettings:
    """Settings of runs without SLURM.

    Attributes:
        workers: number of processes at a time; 0 for one per GPU, or without GPUs as many as cores and memory
            allow.
        memory: memory assumed per worker if `workers` is 0.
    """

    workers: int = 0
    memory: str = "3G"


@dataclass(frozen=True)
class Site:
    """A site profile.

    Attributes:
        stages: resources by short stage name.
        settle: seconds until a file written on one node is visible on the others, at most.
        poll: seconds between two questions to SLURM, at least.
        max_submit: number of tasks that a user may have queued and running; 0 if SLURM itself refuses more.
        give_up: number of failures after which a movie is set aside; 0 for never.
    """

    stages: Mapping[str, Resources]
    local: LocalSettings = field(default_factory=LocalSettings)
    settle: int = 60
    poll: int = 30
    max_submit: int = 0
    give_up: int = 3


def parse_minutes(text: str) -> int:
    """Parse a time as SLURM does (`90`, `1:30:00`, `1-12:00:00`) into minutes, rounded up.

    Raises:
        InputError: `text` is not a time, or zero.
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if match is None:
        raise InputError(f"{text!r} is not a time: give minutes (90), H:MM:SS or D-HH:MM:SS")
    days, first, second, third = (int(part) if part else None for part in match.groups())
    first = first or 0
    if days is not None:  # D-H, D-H:M, D-H:M:S
        seconds = ((days * 24 + first) * 60 + (second or 0)) * 60 + (third or 0)
    elif third is not None:  # H:M:S
        seconds = (first * 60 + (second or 0)) * 60 + third
    else:  # M, M:S
        seconds = first * 60 + (second or 0)
    if not seconds:
        raise InputError(f"{text!r} is not a usable time limit: it must be above 0")
    return -(-seconds // 60)


def parse_size(text: str) -> int:
    """Parse a size with its unit (`8G`, `500M`) into bytes.

    Raises:
        InputError: `text` is not a size with a unit, or zero.
    """
    match = re.fullmatch(r"(\d+)([KMGT])B?", text.strip(), re.IGNORECASE)
    if match is None or not int(match[1]):
        raise InputError(f"{text!r} is not an amount of memory: give a number and a unit, as in 8G or 500M")
    return int(match[1]) * _UNITS[match[2].upper()]


def load_site(path: Path, overrides: Iterable[str] = ()) -> Site:
    """Read a site profile.

    Args:
        overrides: `stage.setting=value`, or `setting=value` for every stage.

    Raises:
        InputError: the file is missing or not TOML, or a setting is unknown or has the wrong type.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such site profile; give its path with SITE=FILE") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
    settings: list[tuple[str, str, str, Any]] = []  # source, table, name, value
    for table, values in tables.items():
        if table in _OF_SITE:
            settings.append((str(path), "", table, values))
            continue
        _require_known(str(path), "table", table, ("all", *LAUNCHED, "local", *_OF_SITE))
        if not isinstance(values, dict):
            raise InputError(f"{path}: [{table}] must be a table")
        settings += [(f"{path}: [{table}]", table, name, value) for name, value in values.items()]
    settings.sort(key=lambda setting: setting[1] != "all")  # the table of a stage overrides [all]
    settings += [_parse_override(text) for text in overrides]
    return _build_site(settings)


def split_settings(text: str) -> list[str]:
    """Split settings at spaces, but not inside quotes, brackets or braces: `a=1 b=["x", "y z"]`.

    Quotes inside brackets belong to TOML and stay; those around a word or a value are removed.

    Raises:
        InputError: a quote or bracket is not closed.
    """
    words: list[str] = []
    for word in re.findall(r"""(?:\[[^]]*\]|\{[^}]*\}|"[^"]*"|'[^']*'|[^\s\[{"'])+|\S+""", text):
        try:
            words += [word] if re.search(r"=\s*[\[{]", word) else shlex.split(word)
        except ValueError as error:
            raise InputError(f"--set: {error} in {text!r}") from None
    return words


def _parse_override(text: str) -> tuple[str, str, str, Any]:
    name, equals, value = text.partition("=")
    table, dot, key = name.strip().rpartition(".")
    if not equals:
        raise InputError(f"{text!r}: give setting=value or stage.setting=value, as in extract.memory=32G")
    if dot:
        _require_known(text, "table", table, ("all", *LAUNCHED, "local"))
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()  # text without quotes
    return text, "" if key in _OF_SITE else table or "all", key, parsed


def _build_site(settings: Iterable[tuple[str, str, str, Any]]) -> Site:
    stages = {stage: Resources() for stage in LAUNCHED}
    local, of_site = LocalSettings(), {}
    given: set[tuple[str, str]] = set()
    for source, table, name, value in settings:
        if not table:
            of_site[name] = _converted(source, name, value, getattr(Site, name))
        elif table == "local":
            local = _set(source, local, name, value)
        else:
            for stage in LAUNCHED if table == "all" else (table,):
                stages[stage] = _set(source, stages[stage], name, value)
                given.add((stage, name))
    for stage, resources in stages.items():
        if resources.has_gpu:
            defaults = {name: value for name, value in GPU_DEFAULTS.items() if (stage, name) not in given}
            stages[stage] = replace(resources, **defaults)  # type: ignore[arg-type]
    for resources in stages.values():
        _ = resources.minutes, resources.megabytes  # report invalid values now, not at submission
    parse_size(local.memory)
    return Site(stages, local, **of_site)


def _set(source: str, target: Any, name: str, value: Any) -> Any:
    _require_known(source, "setting", name, [item.name for item in fields(target)])
    return replace(target, **{name: _converted(source, name, value, getattr(target, name))})


def _converted(source: str, name: str, value: Any, default: Any) -> Any:
    """Convert `value` to the type of `default`."""
    if isinstance(default, tuple):
        values = [value] if isinstance(value, str) else value
        if isinstance(values, list) and all(isinstance(item, str) for item in values):
            return tuple(values)
        raise InputError(f"{source}: {name} must be a list of strings, not {value!r}")
    if isinstance(default, Mapping):
        return _sbatch_options(source, name, value)
    if isinstance(default, str):
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
        raise InputError(f"{source}: {name} must be a string, not {value!r}")
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or value < 0:
        raise InputError(f"{source}: {name} must be a whole number of at least 0, not {value!r}")
    return int(value)


def _sbatch_options(source: str, name: str, value: Any) -> dict[str, str | bool]:
    """Convert a table of sbatch's options; its keys may have `-` or `_`."""
    if not isinstance(value, dict) or not all(isinstance(item, str | int | float) for item in value.values()):
        example = '{ mail-user = "me@x.org", exclusive = true }'
        raise InputError(f"{source}: {name} must be a table of options, as in {example}")
    options = {str(key).lstrip("-").replace("_", "-"): item for key, item in value.items()}
    for option in options:
        if option in _OWN_OPTIONS:
            raise InputError(f"{source}: {name}: --{option} is used by the launcher itself; leave it out")
        if option in _SETTINGS_OF_OPTIONS:
            raise InputError(
                f"{source}: {name}: give --{option} as the setting {_SETTINGS_OF_OPTIONS[option]!r} instead"
            )
    return {option: item if isinstance(item, bool) else str(item) for option, item in options.items()}


def _require_known(source: str, what: str, name: str, valid: Iterable[str]) -> None:
    names = list(valid)
    if name in names:
        return
    close = difflib.get_close_matches(name, names, 1)
    meant = f" did you mean {close[0]!r}?" if close else ""
    raise InputError(f"{source}: unknown {what} {name!r};{meant} valid names: {', '.join(names)}")
