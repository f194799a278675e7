"""Shared measuring tools: cost of a call or a program, interleaved runs, random weights."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Linux counts the peak memory of a program from the fork, when it is still a copy of its parent. The parent
# is therefore a bare interpreter.
_STARTER = """
import json, os, sys, time
begun = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, used = os.wait4(child, 0)
print(json.dumps({"wall_s": time.perf_counter() - begun, "cpu_s": used.ru_utime + used.ru_stime,
                  "peak_mib": used.ru_maxrss / 1024, "status": os.waitstatus_to_exitcode(status)}))
"""


def positive(text: str) -> int:
    """Convert an argument that counts something; for `argparse`.

    Raises:
        ArgumentTypeError: it is not a whole number of at least 1.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, seconds of CPU in all threads, and peak resident MiB (of a program only)."""

    wall_s: float
    cpu_s: float
    peak_mib: float = 0.0

    def rounded(self) -> dict[str, float]:
        """Round the figures for JSON output."""
        shown = {"wall_s": round(self.wall_s, 3), "cpu_s": round(self.cpu_s, 3)}
        return {**shown, "peak_mib": round(self.peak_mib, 1)} if self.peak_mib else shown


def cost(work: Callable[[], object]) -> Cost:
    """Measure one call, in this process and its running children."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    work()
    return Cost(time.perf_counter() - wall, cpu_seconds() - cpu)


def cpu_seconds() -> float:
    """CPU seconds of this process and of its running children."""
    ticks = 0
    for children in Path("/proc/self/task").glob("*/children"):
        for child in children.read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def cost_of_program(command: Sequence[str]) -> Cost:
    """Measure a program and the children that it waits for.

    Raises:
        SystemExit: the program failed.
    """
    starter = [sys.executable, "-I", "-S", "-c", _STARTER, *map(str, command)]
    done = json.loads(subprocess.run(starter, stdout=subprocess.PIPE, check=True).stdout)
    if done.pop("status"):
        raise SystemExit(f"failed: {' '.join(map(str, command))}")
    return Cost(**done)


def interleaved(works: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, Cost]:
    """Measure the median cost of each of `works` in alternating runs, at the same machine speed."""
    costs: dict[str, list[Cost]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            costs[name].append(work())
    return {name: median(found) for name, found in costs.items()}


def median(costs: Sequence[Cost]) -> Cost:
    """Take the medians of wall time, CPU time and peak memory separately."""
    columns = zip(*((one.wall_s, one.cpu_s, one.peak_mib) for one in costs), strict=True)
    return Cost(*map(statistics.median, columns))


def random_weights(kind: str, folder: Path) -> Path:
    """Write random weights of `retinaface` or `facenet` in the format of the published file."""
    import torch

    torch.manual_seed(7)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}-random.pt"
    if kind == "facenet":
        from facenet_pytorch import InceptionResnetV1

        network = InceptionResnetV1(pretrained=None)
    else:
        from retinaface.network import RetinaFace

        network = RetinaFace(
            name="Resnet50",
            pretrained=False,
            return_layers={"layer2": 1, "layer3": 2, "layer4": 3},
            in_channels=256,
            out_channels=256,
        )
        for heads in (network.ClassHead, network.BboxHead, network.LandmarkHead):
            for head in heads:
                head.conv1x1.weight.data *= 0.1  # otherwise most scores are 1 and their order is arbitrary
    torch.save(network.state_dict(), path)
    return path
