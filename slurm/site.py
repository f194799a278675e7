"""The site profile: partitions, resources and limits of a cluster."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from facerec.errors import InputError

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
