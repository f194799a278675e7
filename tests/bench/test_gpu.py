"""The benchmark of a GPU: its parts on a CPU, and its verdict."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bench import gpu, gpu_film, gpu_parts, gpu_tables, nvml
from facerec.models.base import FaceSearch
from facerec.models.retinaface import RetinaFace
from facerec.models.retinaface_network import anchors
from facerec.video.film import open_film, read_frames
from tests.films import make_film


def test_no_frame_of_the_made_film_is_shown_twice() -> None:
    pictures = list(gpu_film.photographs(64, 36, 2 * gpu_film.SHOT))
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_a_film_is_written_at_a_size_from_its_middle_and_not_repeated(tmp_path: Path) -> None:
    source = make_film(tmp_path / "1-Film.mp4", 30)
    assert gpu_film.write_at_size(source, tmp_path / "2-few.mp4", 64, 48, 10) == 10
    assert gpu_film.write_at_size(source, tmp_path / "3-all.mp4", 64, 48, 100) == 30
    few = open_film(tmp_path / "2-few.mp4")
    assert (few.frame_count, few.display_width, few.display_height) == (10, 64, 48)


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_made_up_boxes_are_as_many_as_asked_for_and_most_are_suppressed(count: int) -> None:
    class Blank(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            places = len(anchors(*pixels.shape[2:]))
            return tuple(torch.ones(len(pixels), places, size) for size in (4, 2, 10))

    detector = RetinaFace.__new__(RetinaFace)
    detector._network = gpu_parts.MadeUpBoxes(Blank(), count)
    detector._priors, detector._device = {}, torch.device("cpu")
    detector.search = FaceSearch(min_face_size=16, min_box_size=16, face_threshold=0.7)
    rows, counts, finite = detector._candidates(torch.zeros(2, 3, 180, 320))
    assert counts.tolist() == [count, count] and finite.all()
    kept = gpu_parts_kept(rows, count)
    assert count / 10 <= kept < count


def gpu_parts_kept(rows: torch.Tensor, count: int) -> int:
    from facerec.models.retinaface import suppress_one

    return len(suppress_one(rows[0, :count]))


def size(share: float, extract: float, ratio: float) -> dict[str, Any]:
    return {
        "batch_size": {4: {"share_of_matrix_rate": 0.1}, 16: {"share_of_matrix_rate": share}},
        "decoders": {1: {"share_of_detector": 0.2}, 8: {"share_of_detector": extract}},
        "predict_jsons_ratio": ratio,
    }


def test_the_verdict_takes_the_best_figures_of_the_judged_size() -> None:
    table = {"sizes": {"1920x1080": size(0.36, 0.84, 21), "640x360": size(0.9, 0.9, 90)}}
    found = gpu.verdict(table, "cuda")
    assert found["size"] == "1920x1080" and "note" not in found
    reached = {goal: found[goal]["reached"] for goal in gpu.GOALS}
    assert list(reached.values()) == [True, False, True]
    assert found["detector / matrix rate"] == {"value": 0.36, "goal": 0.35, "reached": True}


def test_what_was_not_measured_is_neither_reached_nor_missed() -> None:
    found = gpu.verdict({"sizes": {"160x90": {}}}, "cpu")
    assert (
        all(found[goal]["reached"] is None for goal in gpu.GOALS) and "says nothing of a GPU" in found["note"]
    )


def test_what_the_time_does_not_suffice_for_is_listed(tmp_path: Path) -> None:
    run = gpu_tables.Run(gpu.arguments().parse_args(["--budget", "0"]), tmp_path)
    time.sleep(0.01)
    assert run.part("decoding", lambda: 1) is None
    run.args.budget = 60

    def missing() -> None:
        raise ModuleNotFoundError("No module named 'albumentations'")

    assert run.part("predict_jsons", missing) is None and run.part("this", lambda: 7) == 7
    assert run.left_out == [
        "decoding: no time left of 0 s",
        "predict_jsons: No module named 'albumentations'",
    ]


class FakeNvml:
    """A GPU that is busy 40 and 60 percent in turn, and its UUID."""

    def __init__(self) -> None:
        self.reads = 0

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, handle: Any) -> int:  # noqa: N802
        return 0 if uuid == b"GPU-7" else 6

    def nvmlDeviceGetUtilizationRates(self, handle: Any, rates: Any) -> int:  # noqa: N802
        found = ctypes.cast(rates, ctypes.POINTER(nvml._Rates)).contents
        found.gpu = 40 if self.reads % 2 else 60
        self.reads += 1
        return 0


def test_the_utilisation_is_the_mean_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "INTERVAL_S", 0.001)
    library = FakeNvml()
    with nvml.Utilisation("GPU-7", library) as used:
        while library.reads < 10:
            time.sleep(0.001)
    assert used.percent is not None and 45 <= used.percent <= 55
    with nvml.Utilisation("") as used:  # the CPU
        pass
    assert used.percent is None


def test_the_utilisation_of_another_gpu_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA_VISIBLE_DEVICES=3 makes the fourth GPU CUDA's first; NVML's first may belong to someone else."""
    properties = SimpleNamespace(uuid="9")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    library = FakeNvml()
    monkeypatch.setattr(nvml, "INTERVAL_S", 0.001)
    with nvml.Utilisation(gpu_parts.gpu_uuid("cuda:0"), library) as used:
        time.sleep(0.01)
    assert used.percent is None and library.reads == 0
    properties.uuid = "7"
    assert gpu_parts.gpu_uuid("cuda:0") == "GPU-7" and gpu_parts.gpu_uuid("cpu") == ""


@pytest.mark.parametrize(
    ("seconds", "rate", "copies"), [(0, 1400, 1), (6, 1400, 18), (6, 40, 1), (6, 80.1, 2)]
)
def test_a_film_is_repeated_until_a_run_lasts(seconds: float, rate: float, copies: int) -> None:
    """480 frames last a third of a second at 1,400 a second, most of which is the beginning of the run."""
    assert gpu_tables.copies_for(seconds, rate, 480) == copies


@pytest.mark.slow
def test_the_whole_benchmark_reaches_its_verdict_on_a_cpu(tmp_path: Path, capsys, monkeypatch) -> None:
    import json

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    film = make_film(tmp_path / "1-Film.mp4", 12, width=160, height=96)
    assert gpu.main([str(film), "--device", "cpu", "--sizes", "96x64", "--decoders", "1", "--frames", "12",
                     "--precisions", "float32", "--whole-seconds", "0.5"]) == 0  # fmt: skip
    table = json.loads(capsys.readouterr().out)
    assert table["left_out"] == [] and table["film"] == "1-Film.mp4" and table["device"] == "CPU"
    assert all(table["verdict"][goal]["value"] > 0 for goal in gpu.GOALS)
    assert table["precisions"]["float32"]["retinaface"]["value"] == 1
    assert set(table["sizes"]["96x64"]["made_up_boxes"]) == {"10", "100", "1000"}
    frames = [image for _, image in read_frames(open_film(film), 0, 3)]
    assert not np.array_equal(frames[0], frames[2])
