"""How many CPUs and how much memory this process may use.

A batch system or a container gives a process a part of its machine: by its control group, by CPU affinity, or
by variables alone. The machine's own figures (`os.cpu_count`, /proc/meminfo) say nothing about that part.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60  # cgroup v1 writes the largest number of pages for "no limit"


def cpu_threads() -> int:
    """Return the number of threads of every pool, decoder and library of this process.

    OMP_NUM_THREADS if it is set, else SLURM's CPUs per task, else `usable_cpus()`.
    """
    return _number("OMP_NUM_THREADS") or _number("SLURM_CPUS_PER_TASK") or usable_cpus()


def usable_cpus() -> int:
    """Return how many CPUs this process and its children may use together.

    The least of CPU affinity, the quota of the control groups, and SLURM's allocation on this node.
    """
    found = [len(os.sched_getaffinity(0))]
    found += [math.ceil(quota) for quota in _cpu_quotas()]
    allocated = _number("SLURM_CPUS_ON_NODE") if "SLURM_JOB_ID" in os.environ else 0
    found += [allocated] if allocated else []
    return max(1, min(found))


def available_memory() -> int:
    """Return the bytes of memory that new processes can use.

    The least of the machine's available memory, the limits of the control groups, and SLURM's allocation.
    """
    lines = (_PROC / "meminfo").read_text(encoding="ascii").splitlines()
    found = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    for name in ("memory.max", "memory.limit_in_bytes"):
        found += [int(text) for text in _cgroup_values("memory", name) if text.isdigit()]
    if "SLURM_JOB_ID" in os.environ:
        megabytes = _number("SLURM_MEM_PER_NODE") or _number("SLURM_MEM_PER_CPU") * _number(
            "SLURM_CPUS_ON_NODE"
        )
        found += [megabytes << 20] if megabytes else []
    return min(value for value in found if value < _NO_LIMIT)


def _number(variable: str) -> int:
    """Return a positive whole number from the environment; 0 if there is none."""
    value = os.environ.get(variable, "")
    return int(value) if value.isascii() and value.isdigit() else 0


def _cpu_quotas() -> Iterator[float]:
    """Yield the CPUs' worth of time that each control group of this process may use."""
    for text in _cgroup_values("cpu", "cpu.max"):  # v2: "200000 100000" or "max 100000"
        quota, _, period = text.partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)
    periods = _cgroup_values("cpu", "cpu.cfs_period_us")
    for text, period in zip(_cgroup_values("cpu", "cpu.cfs_quota_us"), periods, strict=False):
        if text.isdigit() and period.isdigit() and int(period):  # v1: -1 for no quota
            yield int(text) / int(period)


def _cgroup_values(controller: str, name: str) -> Iterator[str]:
    """Yield the contents of file `name` in the control group of this process and in all groups above it."""
    for root, group in _own_groups(controller):
        for folder in (root / group, *(root / group).parents):
            if folder == root.parent:
                break
            try:
                yield (folder / name).read_text(encoding="ascii").strip()
            except OSError:  # the root group has no limits; a container may hide those above its own
                continue


def _own_groups(controller: str) -> Iterator[tuple[Path, str]]:
    """Yield the mounted root of each hierarchy that has `controller`, and this process's group in it."""
    try:
        lines = (_PROC / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, group = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:  # v2
            yield _CGROUPS, group.lstrip("/")
        elif controller in controllers.split(","):  # v1
            yield _CGROUPS / controller, group.lstrip("/")
