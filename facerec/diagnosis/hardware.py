"""Processors, memory, GPUs, the scheduler and disk space."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from facerec.diagnosis.findings import Finding, found, missing, note
from facerec.support.limits import available_memory, usable_cpus
from facerec.support.text import counted

_TIMEOUT_S = 20
_SMALL_MEMORY = 4 << 30  # bytes; one task of extraction with its models and decoded frames
_SMALL_DISK = 10 << 30  # bytes


def check_processors() -> Iterator[Finding]:
    """Check the CPUs and the memory that this process may use."""
    memory = available_memory()
    text = f"{counted(usable_cpus(), 'CPU')}, {memory / 2**30:.1f} GiB of free memory"
    if memory < _SMALL_MEMORY:
        fix = "stop other programs, or run the stages on a larger machine"
        yield note("machine", f"{text}: one task needs about {_SMALL_MEMORY >> 30} GiB", fix)
    else:
        yield found("machine", text)


def check_gpus() -> Iterator[Finding]:
    """Check the GPUs, as the driver and as torch see them."""
    driver = _output("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
    names: list[str] = []
    try:
        import torch

        if torch.cuda.is_available():
            names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        build = torch.version.cuda
        reason = f"torch is built for CUDA {build}" if build else "torch is built without CUDA"
    except (ImportError, OSError, RuntimeError) as error:  # a library of CUDA may be missing or too old
        reason = f"torch fails: {error}"
    if names:
        yield found("gpu", f"{len(names)}: {'; '.join(driver or names)}")
    elif driver:
        fix = "install a driver for that version of CUDA, or check CUDA_VISIBLE_DEVICES"
        yield note("gpu", f"the driver shows {'; '.join(driver)}, but torch finds none ({reason})", fix)
    elif shutil.which("nvidia-smi") is not None:
        fix = "run nvidia-smi and read what it says; without a GPU, stages run on the CPU"
        yield note("gpu", "nvidia-smi is here, but shows no GPU", fix)
    else:
        yield note("gpu", "none on this machine: stages run on the CPU (nodes of a cluster may have one)")


def check_scheduler() -> Iterator[Finding]:
    """Check for SLURM."""
    release = _output("sbatch", "--version")
    if not release:
        yield note("slurm", "no sbatch on this machine: `make movie` runs local workers instead")
        return
    partitions = _output("sinfo", "--noheader", "--format=%P %D nodes %G")
    if partitions:
        yield found("slurm", f"{release[0]}; partitions: {', '.join(partitions[:8])}")
    else:
        text = f"{release[0]}, but sinfo shows no partition"
        yield missing("slurm", text, "ask for an account on the cluster, or run local workers: LOCAL=1")


def check_disk(out: Path) -> Iterator[Finding]:
    """Check the disk space for movie folders: `out`, or the folder that it would be made in."""
    place = out.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"{free / 2**30:.0f} GiB free for {out}"
    if free < _SMALL_DISK:
        yield note("disk", text, "give another folder: OUT=DIR (make) or --out DIR")
    else:
        yield found("disk", text)


def _output(*command: str) -> list[str] | None:
    """Return the lines that a program prints; None if it is missing, fails, or does not end in time."""
    if shutil.which(command[0]) is None:
        return None
    try:
        result = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return [line.strip() for line in result.stdout.decode(errors="replace").splitlines() if line.strip()]
