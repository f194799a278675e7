"""The registry, weights files and devices: the right model on the requested device, or a one-line error."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import facerec
from facerec.errors import ModelError
from facerec.models import DETECTORS, card_of, check_device, load_detector, load_embedder, weights
from facerec.models.base import make_detections
from facerec.models.device import choose_device, choose_placement
from facerec.models.memory import oom_as_model_error
from facerec.support.limits import cpu_threads

ROOT = Path(__file__).resolve().parents[2]


def test_missing_weights_of_the_default_models_name_those_that_need_no_download(monkeypatch, tmp_path):
    monkeypatch.setenv("FACEREC_WEIGHTS", str(tmp_path))
    for model in ("retinaface", "facenet"):
        with pytest.raises(ModelError, match="need no download: --detector mtcnn --embedder dlib"):
            card_of(model)


def test_an_unknown_name_lists_the_valid_names():
    with pytest.raises(ModelError, match="unknown detector 'mtcn'; valid names are retinaface, mtcnn, yunet"):
        load_detector("mtcn")
    with pytest.raises(
        ModelError, match=r"unknown model 'mtcn'; detectors are retinaface, mtcnn, .*; embedders"
    ):
        check_device("cuda", "mtcn", "dlib")
    with pytest.raises(ModelError, match="unknown embedder 'mtcnn'; valid names are facenet, dlib, arcface"):
        load_embedder("mtcnn")


@pytest.mark.parametrize("spec", ["retinaface", "yunet", "scrfd", "facenet", "arcface"])
def test_missing_weights_name_file_source_and_remedy(spec, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEREC_WEIGHTS", str(tmp_path))
    known = weights.CATALOGUE[spec]
    with pytest.raises(ModelError) as raised:
        card_of(spec)
    for part in (str(tmp_path / known.files[0]), known.source, f"make models MODELS={spec}"):
        assert part in str(raised.value)


@pytest.mark.parametrize("spec", ["retinaface", "mtcnn", "yunet", "scrfd", "facenet", "dlib", "arcface"])
def test_a_file_that_is_not_weights_is_a_one_line_error(spec, tmp_path):
    path = tmp_path / "weights.bin"
    if spec == "mtcnn":
        path.mkdir()
        for name in weights.CATALOGUE["mtcnn"].files:
            (path / name).write_text("no weights")
    else:
        path.write_text("no weights")
    load = load_detector if spec in DETECTORS else load_embedder
    with pytest.raises(ModelError) as raised:
        load(f"{spec}:{path}", device="cpu")
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_weights_cannot_run_code(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    torch.save({"conv2d_1a.conv.weight": Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(ModelError, match=r"bomb\.pt: not a PyTorch weights file"):
        load_embedder(f"facenet:{tmp_path / 'bomb.pt'}", device="cpu")
    assert not (tmp_path / "exploded").exists()


def test_weights_that_differ_from_their_record_are_refused(tmp_path):
    path = tmp_path / "net.dat"
    shutil.copy(weights.find_weights("dlib").paths[0], path)
    (tmp_path / "weights.json").write_text(json.dumps({"net.dat": {"sha256": card_of("dlib").sha256}}))
    assert card_of(f"dlib:{path}").sha256 == card_of("dlib").sha256
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    with pytest.raises(ModelError, match=r"differs from its record in weights\.json"):
        card_of(f"dlib:{path}")


def test_weights_that_differ_from_the_published_ones_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEREC_WEIGHTS", str(tmp_path))
    path = tmp_path / weights.CATALOGUE["yunet"].files[0]
    path.write_bytes(b"another model")
    with pytest.raises(ModelError, match=f"to use other weights, give their path, as in yunet:{path}"):
        card_of("yunet")


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}'])
def test_damaged_records_are_refused(tmp_path, text):
    (tmp_path / "net.dat").write_bytes(b"x")
    (tmp_path / "weights.json").write_text(text)
    with pytest.raises(ModelError, match="make models"):
        card_of(f"dlib:{tmp_path / 'net.dat'}")


def test_a_missing_gpu_is_an_error_and_not_a_fallback(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto", "MTCNN", True) == "cpu"
    for requested in ("cuda", "cuda:0"):
        with pytest.raises(ModelError, match=f"device {requested} was requested"):
            load_detector("mtcnn", device=requested)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto", "MTCNN", True) == "cuda:0"
    assert choose_device("cuda:1", "MTCNN", True) == "cuda:1"
    assert choose_placement("cuda", "auto", None, "RetinaFace", True).precision == "float32"
    assert choose_placement("cuda", "auto", None, "RetinaFace", True, measured=True).precision == "float16"
    assert choose_placement("cpu", "auto", None, "RetinaFace", True, measured=True).precision == "float32"
    with pytest.raises(ModelError, match="torch finds 2 GPUs"):
        choose_device("cuda:2", "MTCNN", True)


def test_a_gpu_that_no_model_can_use_is_refused_and_partial_use_logged(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_device("cuda", "mtcnn", "facenet")
    check_device("auto", "yunet", "dlib")
    for detector in ("yunet", "mtcnn"):
        with pytest.raises(ModelError, match=f"{detector} and dlib run on the CPU only"):
            check_device("cuda", detector, "dlib")
    load_embedder("dlib", device="cuda")
    assert "runs on the CPU" in caplog.text


@pytest.mark.parametrize(
    "invalid",
    [
        {"device": "gpu"},
        {"device": "cuda:x"},
        {"batch_size": 0},
        {"precision": "half"},
        {"min_face_size": 0},
        {"face_threshold": 1.5},
    ],
)
def test_invalid_settings_are_refused(invalid):
    with pytest.raises(ModelError):
        load_detector("mtcnn", **invalid)


def test_cpu_threads_follow_omp_and_slurm(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert cpu_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert cpu_threads() == 2


def test_card_of_imports_no_heavy_library():
    code = """
        import sys, facerec
        from facerec.models import card_of
        print(card_of("mtcnn").sha256[:4], card_of("dlib").sha256[:4])
        heavy = {"torch", "cv2", "onnxruntime", "dlib"} & set(sys.modules)
        sys.exit(f"imported {heavy}" if heavy else 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["7437", "5553"]), done.stderr


def test_the_example_in_the_package_docstring_works(capsys):
    from skimage import data

    astronaut = data.astronaut()[:300, 100:400]
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    lines = textwrap.dedent(facerec.__doc__.split("height, width, 3)):\n")[1])
    exec(lines, {"frame": np.hstack([astronaut, mirrored])})
    assert capsys.readouterr().out.startswith("one person")


def test_an_unknown_attribute_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'load_tracker'"):
        facerec.load_tracker  # noqa: B018


@given(
    st.lists(st.tuples(*[st.floats(-500, 900, width=32)] * 4, st.floats(0, 1, width=32)), max_size=12),
    st.integers(1, 60),
)
def test_detections_are_clipped_sorted_and_not_empty(rows, min_face_size):
    table = np.array(rows, np.float32).reshape(-1, 5)
    points = np.zeros((len(table), 5, 2), np.float32)
    found = make_detections(table[:, :4], table[:, 4], points, (240, 320), min_face_size)
    assert len(found) == len(found.scores) == len(found.keypoints)
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all() and (found.boxes >= 0).all()
    assert (found.boxes <= [320, 240, 320, 240]).all() and (np.diff(found.scores) <= 0).all()


def test_cudnn_is_exact_and_deterministic_on_a_gpu(monkeypatch):
    """Set for the process: when two models set it in their threads, each undid the other's setting."""
    for name in ("benchmark", "allow_tf32"):
        monkeypatch.setattr(torch.backends.cudnn, name, True)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_placement("cuda", "float32", None, "RetinaFace", runs_on_cuda=True).device == "cuda:0"
    flags = torch.backends.cudnn
    assert (flags.benchmark, flags.deterministic, flags.allow_tf32) == (False, True, False)


def test_out_of_gpu_memory_is_one_line_with_the_remedy():
    message = r"too small for 16 frames of 3840x2160 .* try --batch-size 8"
    with (
        pytest.raises(ModelError, match=message),
        oom_as_model_error("16 frames of 3840x2160 pixels at once", 16),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory")
