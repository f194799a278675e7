"""CPUs and memory of this process, not of its machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from facerec.support import limits
from facerec.support.limits import available_memory, cpu_threads, usable_cpus

MIB = 1 << 20


class Machine:
    """A made /proc and /sys/fs/cgroup: 64 CPUs, 100 GiB, no limits."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.proc, self.cgroups = folder / "proc", folder / "cgroup"
        (self.proc / "self").mkdir(parents=True)
        self.cgroups.mkdir()
        (self.proc / "meminfo").write_text(f"MemTotal: {200 << 20} kB\nMemAvailable: {100 << 20} kB\n")
        self.group("0::/\n")
        monkeypatch.setattr(limits, "_PROC", self.proc)
        monkeypatch.setattr(limits, "_CGROUPS", self.cgroups)
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
        for name in list(os.environ):
            if name.startswith(("SLURM_", "OMP_")):
                monkeypatch.delenv(name)

    def group(self, text: str) -> None:
        (self.proc / "self" / "cgroup").write_text(text)

    def write(self, path: str, text: str) -> None:
        target = self.cgroups / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{text}\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_without_limits_the_machines_figures_count(machine: Machine) -> None:
    assert usable_cpus() == cpu_threads() == 64 and available_memory() == 100 << 30
    (machine.proc / "self" / "cgroup").unlink()
    assert usable_cpus() == 64 and available_memory() == 100 << 30


def test_the_limits_are_those_of_the_processs_own_group_and_of_all_above_it(machine: Machine) -> None:
    machine.group("0::/system.slice/job_7/step_0\n")
    machine.write("other/memory.max", f"{MIB}")
    machine.write("system.slice/job_7/step_0/memory.max", "max")
    machine.write("system.slice/job_7/memory.max", f"{4096 * MIB}")
    machine.write("system.slice/memory.max", f"{9000 * MIB}")
    machine.write("system.slice/job_7/cpu.max", "250000 100000")
    machine.write("system.slice/cpu.max", "max 100000")
    assert available_memory() == 4096 * MIB and usable_cpus() == cpu_threads() == 3


def test_limits_of_the_first_version_of_control_groups(machine: Machine) -> None:
    machine.group("5:memory:/slurm/uid_0/job_7\n4:cpu,cpuacct:/slurm/uid_0/job_7\n0::/\n")
    machine.write("memory/slurm/uid_0/job_7/memory.limit_in_bytes", f"{1024 * MIB}")
    machine.write("memory/memory.limit_in_bytes", "9223372036854771712")
    machine.write("cpu/slurm/uid_0/job_7/cpu.cfs_quota_us", "400000")
    machine.write("cpu/slurm/uid_0/job_7/cpu.cfs_period_us", "100000")
    assert available_memory() == 1024 * MIB and usable_cpus() == 4
    machine.write("cpu/slurm/uid_0/job_7/cpu.cfs_quota_us", "-1")
    assert usable_cpus() == 64


def test_an_allocation_of_slurm_counts_where_no_control_group_enforces_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "6")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "500")
    assert usable_cpus() == 64, "left in a shell outside the job"
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert usable_cpus() == 6 and available_memory() == 3000 * MIB
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "2000")
    assert available_memory() == 2000 * MIB


def test_one_figure_for_all_threads(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "4")
    assert cpu_threads() == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert cpu_threads() == 2
    for nonsense in ("", "0", "-1", "two", "²"):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert cpu_threads() == 4
