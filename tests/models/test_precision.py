"""`auto` is float16 only on a GPU and with weights for which a GPU has shown that the results hold."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from facerec import measure_precision
from facerec.errors import ModelError
from facerec.models import auto_precision, precision
from facerec.models.agreement import Agreement
from facerec.models.base import Detections
from facerec.models.precision import add_record, compare_boxes, least_cosine, read_records, record_path
from facerec.models.retinaface_network import blank_network
from facerec.models.weights import find_weights
from facerec.support.cli import run_main
from tests.films import make_film
from tests.models.networks import random_state


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEREC_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


@pytest.fixture
def specs(tmp_path: Path) -> tuple[str, str]:
    for name in ("a.pth", "b.pt"):
        (tmp_path / name).write_bytes(name.encode())
    return f"retinaface:{tmp_path / 'a.pth'}", f"facenet:{tmp_path / 'b.pt'}"


def sha256(spec: str) -> str:
    kind, _, file = spec.partition(":")
    return find_weights(kind, file).card.sha256


def test_auto_is_float16_once_both_models_were_measured(folder, gpu, specs, caplog) -> None:
    assert auto_precision("auto", *specs) == "float32"
    assert "measure_precision" in caplog.text and "retinaface and facenet" in caplog.text
    add_record({sha256(specs[0]): {"holds": True}}, "float16")
    assert auto_precision("auto", *specs) == "float32"
    add_record({sha256(specs[1]): {"holds": True}}, "float16")
    caplog.clear()
    assert auto_precision("cuda:0", *specs) == "float16" and not caplog.records
    assert auto_precision("cuda:0", specs[0], "dlib") == "float16"
    assert auto_precision("cpu", *specs) == "float32"
    add_record({sha256(specs[1]): {"holds": False}}, "float16")
    assert auto_precision("auto", *specs) == "float32"
    assert (
        f"does not give the results of float32 with retinaface and facenet ({record_path()})" in caplog.text
    )


def test_auto_without_a_gpu_or_a_model_that_reduces_is_float32_without_a_message(
    folder, specs, caplog
) -> None:
    caplog.set_level(logging.INFO)
    assert auto_precision("auto", *specs) == "float32" == auto_precision("auto", "mtcnn", "dlib")
    assert not caplog.records


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"a": {"float16": 3}}', '{"a": {"float16": null}}'])
def test_a_damaged_record_is_an_error(folder, text) -> None:
    folder.mkdir()
    (folder / precision.FILE).write_text(text)
    with pytest.raises(ModelError, match=r"precision\.json: .*delete it and measure again"):
        read_records()


def detections(*boxes: tuple[float, ...]) -> Detections:
    table = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(table, np.ones(len(table), np.float32), np.zeros((len(table), 5, 2), np.float32))


def test_boxes_are_compared_both_ways() -> None:
    one, moved, other = (0, 0, 10, 10), (0, 1, 10, 11), (50, 50, 60, 60)
    assert compare_boxes([detections(one)], [detections(moved)]) == (1.0, 1)  # IoU 0.82
    assert compare_boxes([detections(one)], [detections(one, other)]) == (0.5, 1)
    assert compare_boxes([detections(one, other), detections()], [detections(one), detections()]) == (0.5, 2)
    assert compare_boxes([detections()], [detections(one)]) == (0.0, 0)
    assert compare_boxes([detections()], [detections()]) == (1.0, 0)
    vectors = np.eye(3, dtype=np.float32)
    assert least_cosine(vectors, vectors) == 1 and least_cosine(vectors, vectors[::-1]) == 0
    assert least_cosine(vectors[:0], vectors[:0]) == 1


@pytest.mark.parametrize(
    ("value", "compared", "holds"), [(0.981, 100, True), (0.979, 5000, False), (1.0, 99, False)]
)
def test_few_faces_decide_nothing(value, compared, holds) -> None:
    found = Agreement("retinaface", "ab", value, 0.98, compared, "H100")
    assert found.holds is holds
    if compared < 100:
        with pytest.raises(ModelError, match=r"only 99 faces in these frames of x\.mp4, too few"):
            found.record("x.mp4")
    else:
        assert found.record("x.mp4")["holds"] is holds


@pytest.mark.slow
def test_a_cpu_measures_but_records_nothing(folder, tmp_path, capsys) -> None:
    film = make_film(tmp_path / "1-Film.mp4", 3, width=64, height=48)
    path = tmp_path / "random.pth"
    torch.save(random_state(blank_network()), path)
    words = ["--device", "cpu", "--frames", "2", "--precision", "bfloat16", "--embedder", "dlib"]
    assert run_main(measure_precision.main, [*words, "--detector", f"retinaface:{path}", str(film)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("retinaface: ") and "boxes agree" in out and "not recorded" in out
    assert not folder.exists()


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_what_a_cpu_measured_is_not_recorded_for_gpus(folder, tmp_path, capsys, monkeypatch, device) -> None:
    """`auto` is the CPU where there is no GPU; float16 would then be used on all GPUs from then on."""
    asked: list[str] = []

    def measured(*_: object, device: str, **__: object) -> list[Agreement]:
        asked.append(device)
        return [Agreement("retinaface", "ab", 1.0, 0.98, 5000, device)]

    monkeypatch.setattr("facerec.models.agreement.measure_agreement", measured)
    film = make_film(tmp_path / "1-Film.mp4", 3)
    assert run_main(measure_precision.main, ["--device", device, str(film)]) == 0
    assert asked == ["cpu"] and "not recorded" in capsys.readouterr().out and not folder.exists()


def test_what_cannot_be_measured_is_one_line(folder, tmp_path, capsys, monkeypatch) -> None:
    film = make_film(tmp_path / "1-Film.mp4", 3)
    for words, line in (
        (["--detector", "mtcnn", "--embedder", "dlib"], "mtcnn and dlib compute in float32 only"),
        (["--frames", "0"], "--frames and --min-face-size must be at least 1"),
        (["--embedder", "dlib"], "device cuda was requested, but torch finds 0 GPUs"),
    ):
        assert run_main(measure_precision.main, [*words, str(film)]) == 1
        (error,) = capsys.readouterr().err.strip().splitlines()
        assert line in error
