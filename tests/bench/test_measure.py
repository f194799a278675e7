"""The benchmarks' arithmetic, on made-up costs."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.gpu_parts import matrix_rate, network_operations
from bench.measure import Cost, cost_of_program, interleaved
from bench.pipeline import ArtificialFaces, repeated, summary
from facerec.geometry import Image
from facerec.models.base import Detections
from facerec.video.film import open_film, read_frames
from tests.films import make_film, number_in


def test_medians_are_taken_of_runs_that_alternate() -> None:
    order: list[str] = []
    walls = iter([1.0, 10.0, 5.0, 30.0, 2.0, 20.0])

    def run(name: str) -> Cost:
        order.append(name)
        return Cost(next(walls), 0.5)

    found = interleaved({"a": lambda: run("a"), "b": lambda: run("b")}, 3)
    assert order == ["a", "b"] * 3
    assert (found["a"].wall_s, found["b"].wall_s) == (2.0, 20.0)


def test_a_programs_peak_is_its_own_and_not_its_starters() -> None:
    held = bytearray(300 << 20)
    used = cost_of_program([sys.executable, "-I", "-S", "-c", "pass"])
    assert held is not None and 1 < used.peak_mib < 100


def test_a_program_that_fails_is_no_measurement() -> None:
    with pytest.raises(SystemExit):
        cost_of_program([sys.executable, "-c", "raise SystemExit(3)"])


def test_efficiency_and_bound_of_a_pipeline() -> None:
    alone = {"decode": Cost(2, 2), "detect": Cost(6, 12), "embed": Cost(1, 1), "write": Cost(1, 1)}
    limits = {"plain decoding": Cost(1, 2), "networks alone": Cost(8, 7)}
    table = summary({**alone, **limits, "whole": Cost(10, 18)}, frames=50, cores=2)
    assert table["efficiency"] == 0.6  # the slowest alone took 6 of 10 seconds
    assert table["bound"] == 0.8  # but 16 CPU seconds cannot be had from two cores in less than 8
    assert table["cores_busy"] == 0.9 and table["overhead"] == 1.125 and table["frames_per_s"] == 5
    assert table["networks"] == 0.5
    short = summary({**limits, "whole": Cost(10, 18)}, frames=50, cores=2)
    assert short == {key: table[key] for key in short if key != "seconds"} | {"seconds": short["seconds"]}
    assert short["networks"] == 0.5 and "efficiency" not in short


def test_copies_of_a_film_are_as_many_films_in_a_row(tmp_path: Path) -> None:
    """Also with B-frames, which are stored in another order than they are shown in."""
    film = make_film(tmp_path / "1-numbers.mp4", 6, bframes=2)
    made = repeated(film, 3, tmp_path)
    assert made != film and made.name.startswith("1-")
    shown = open_film(made)
    assert [number_in(frame) for _, frame in read_frames(shown, 0, shown.frame_count)] == [*range(6)] * 3


def test_a_multiplication_with_an_addition_counts_as_two_for_networks_and_devices(monkeypatch) -> None:
    """Otherwise the detector's share of the device's rate would be wrong by a factor of two."""
    monkeypatch.setattr(
        "facerec.models.retinaface_network.blank_network", lambda: torch.nn.Conv2d(3, 8, 3, device="meta")
    )
    assert network_operations(width=12, height=10) == 2 * 8 * 3 * 9 * (12 - 2) * (10 - 2)
    clock = itertools.count(step=0.5)  # asked before, twice while, and after one round of ten products
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert matrix_rate("cpu", "float32", side=64, seconds=0.1) == 10 * 2 * 64**3 / 1.5


def test_made_up_faces_cost_a_detection_and_lie_in_the_frame() -> None:
    class Counting:
        card, batch_size, seen = None, 4, 0

        def detect(self, frames: Sequence[Image]) -> list[Detections]:
            self.seen += len(frames)
            return []

    inner = Counting()
    frames = [np.zeros((90, 160, 3), np.uint8)] * 3
    found = ArtificialFaces(inner, 2).detect(frames)  # type: ignore[arg-type]
    assert inner.seen == 3 and [len(one) for one in found] == [2, 2, 2]
    assert found[0].boxes.tolist() == [[0, 15, 15, 30], [145, 15, 160, 30]]
    for box, points in zip(found[0].boxes, found[0].keypoints, strict=True):
        assert (points > box[:2]).all() and (points < box[2:]).all()
