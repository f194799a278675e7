"""The registry and the weights: the right model, on the device that was asked for, or one clear line."""

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
from facerec.models import card_of, check_device, load_detector, load_embedder, weights
from facerec.models.base import make_detections
from facerec.models.device import choose_device, choose_placement, cpu_threads, oom_as_model_error

ROOT = Path(__file__).resolve().parents[2]


def test_an_unknown_name_is_answered_with_the_valid_ones():
    with pytest.raises(ModelError, match="no detector is called 'mtcn'; there are retinaface, mtcnn, yunet"):
        load_detector("mtcn")
    with pytest.raises(ModelError, match="no embedder is called 'mtcnn'; there are facenet, dlib, arcface"):
        load_embedder("mtcnn")
    with pytest.raises(ModelError, match="arcface:FILE"):
        card_of("arcface")


@pytest.mark.parametrize("spec", ["retinaface", "yunet", "facenet"])
def test_missing_weights_say_which_file_from_where_to_where(spec, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEREC_WEIGHTS", str(tmp_path))
    known = weights.CATALOGUE[spec]
    with pytest.raises(ModelError) as raised:
        card_of(spec)
    for part in (str(tmp_path / known.files[0]), known.source, f"make models MODELS={spec}"):
        assert part in str(raised.value)


@pytest.mark.parametrize("spec", ["retinaface", "mtcnn", "yunet", "facenet", "dlib", "arcface"])
def test_a_weights_file_that_is_something_else_is_one_line(spec, tmp_path):
    path = tmp_path / "weights.bin"
    if spec == "mtcnn":
        path.mkdir()
        for name in weights.CATALOGUE["mtcnn"].files:
            (path / name).write_text("no weights")
    else:
        path.write_text("no weights")
    load = load_detector if spec in ("retinaface", "mtcnn", "yunet") else load_embedder
    with pytest.raises(ModelError) as raised:
        load(f"{spec}:{path}", device="cpu")
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_weights_that_would_run_code_are_not_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    torch.save({"conv2d_1a.conv.weight": Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(ModelError, match=r"bomb\.pt: no PyTorch weights file"):
        load_embedder(f"facenet:{tmp_path / 'bomb.pt'}", device="cpu")
    assert not (tmp_path / "exploded").exists()


def test_a_file_that_no_longer_is_what_was_recorded_is_refused(tmp_path):
    path = tmp_path / "net.dat"
    shutil.copy(weights.find_weights("dlib").paths[0], path)
    (tmp_path / "weights.json").write_text(json.dumps({"net.dat": {"sha256": card_of("dlib").sha256}}))
    assert card_of(f"dlib:{path}").sha256 == card_of("dlib").sha256
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    with pytest.raises(ModelError, match=r"not the file that weights\.json beside it records"):
        card_of(f"dlib:{path}")


def test_other_weights_under_a_published_name_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEREC_WEIGHTS", str(tmp_path))
    path = tmp_path / weights.CATALOGUE["yunet"].files[0]
    path.write_bytes(b"another model")
    with pytest.raises(ModelError, match=f"yunet:{path}, to use other weights"):
        card_of("yunet")


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}'])
def test_damaged_records_are_refused(tmp_path, text):
    (tmp_path / "net.dat").write_bytes(b"x")
    (tmp_path / "weights.json").write_text(text)
    with pytest.raises(ModelError, match="make models"):
        card_of(f"dlib:{tmp_path / 'net.dat'}")


def test_a_missing_gpu_is_an_error_and_never_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto", "MTCNN", True) == "cpu"
    for asked in ("cuda", "cuda:0"):
        with pytest.raises(ModelError, match=f"device {asked} was asked for"):
            load_detector("mtcnn", device=asked)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto", "MTCNN", True) == "cuda:0"
    assert choose_device("cuda:1", "MTCNN", True) == "cuda:1"
    assert choose_placement("cuda", "auto", None, "RetinaFace", True).precision == "float16"
    with pytest.raises(ModelError, match="torch finds 2 GPUs"):
        choose_device("cuda:2", "MTCNN", True)


def test_a_gpu_that_neither_model_can_use_is_refused_and_half_a_use_is_said(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_device("cuda", "mtcnn", "dlib")
    check_device("auto", "yunet", "dlib")
    with pytest.raises(ModelError, match="yunet and dlib run on the CPU only"):
        check_device("cuda", "yunet", "dlib")
    load_embedder("dlib", device="cuda")
    assert "runs on the CPU" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"device": "gpu"},
        {"device": "cuda:x"},
        {"batch_size": 0},
        {"precision": "half"},
        {"min_face_size": 0},
        {"face_threshold": 1.5},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ModelError):
        load_detector("mtcnn", **wrong)


def test_threads_are_those_that_slurm_gave(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert cpu_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert cpu_threads() == 2


def test_naming_a_model_loads_none():
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


def test_the_example_in_the_package_tells_two_people_apart(capsys):
    from skimage import data

    astronaut = data.astronaut()[:300, 100:400]
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    lines = textwrap.dedent(facerec.__doc__.split("height, width, 3)):\n")[1])
    exec(lines, {"frame": np.hstack([astronaut, mirrored])})
    assert capsys.readouterr().out.startswith("one person")


def test_a_name_that_the_package_lacks_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'load_tracker'"):
        facerec.load_tracker  # noqa: B018


@given(
    st.lists(st.tuples(*[st.floats(-500, 900, width=32)] * 4, st.floats(0, 1, width=32)), max_size=12),
    st.integers(1, 60),
)
def test_boxes_are_clipped_ordered_and_never_empty(rows, min_face_size):
    table = np.array(rows, np.float32).reshape(-1, 5)
    points = np.zeros((len(table), 5, 2), np.float32)
    found = make_detections(table[:, :4], table[:, 4], points, (240, 320), min_face_size)
    assert len(found) == len(found.scores) == len(found.keypoints)
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all() and (found.boxes >= 0).all()
    assert (found.boxes <= [320, 240, 320, 240]).all() and (np.diff(found.scores) <= 0).all()


def test_a_gpus_float32_is_no_tf32_and_the_same_bits_each_time(monkeypatch):
    """For the process: two models' threads that set it each for themselves undid one another's."""
    for name in ("benchmark", "allow_tf32"):
        monkeypatch.setattr(torch.backends.cudnn, name, True)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_placement("cuda", "float32", None, "RetinaFace", runs_on_cuda=True).device == "cuda:0"
    flags = torch.backends.cudnn
    assert (flags.benchmark, flags.deterministic, flags.allow_tf32) == (False, True, False)


def test_a_full_gpu_is_told_in_one_line_with_the_way_out():
    told = r"too small for 16 frames of 3840x2160 .* smaller --batch-size"
    with pytest.raises(ModelError, match=told), oom_as_model_error("16 frames of 3840x2160 pixels at once"):
        raise torch.OutOfMemoryError("CUDA out of memory")
