"""ONNX models on a GPU: through the CUDA provider where it is installed, a clear line where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from facerec import models
from facerec.errors import ModelError
from facerec.models import check_device, check_device_name, load_detector, load_embedder
from facerec.models.loading import TENSORRT
from tests.models.onnx_files import write_embedder
from tests.models.scrfd_files import write_scrfd


@pytest.fixture(autouse=True)
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def provider(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    monkeypatch.setattr(models, "onnx_has_cuda", lambda: installed)


def test_without_the_provider_a_gpu_is_refused_with_the_package_that_is_missing(monkeypatch) -> None:
    provider(monkeypatch, False)
    for check in (check_device, check_device_name):
        with pytest.raises(
            ModelError, match=r"run on the CPU only: .*CUDA provider.*onnxruntime-gpu"
        ) as raised:
            check("cuda", "scrfd:a.onnx", "arcface:b.onnx")
        assert "\n" not in str(raised.value)
    check_device("cuda", "scrfd:a.onnx", "facenet")
    check_device("auto", "scrfd:a.onnx", "arcface:b.onnx")


def test_without_the_provider_a_model_beside_one_on_the_gpu_says_that_it_is_not(
    monkeypatch, caplog, tmp_path: Path
) -> None:
    provider(monkeypatch, False)
    load_detector(write_scrfd(tmp_path / "a.onnx"), device="cuda")
    load_embedder(write_embedder(tmp_path / "b.onnx"), device="cuda:1")
    for line in ("SCRFD needs ONNX Runtime's CUDA provider", "it runs on the CPU, not on device cuda:1"):
        assert line in caplog.text


def test_without_the_provider_an_allocated_gpu_that_stays_idle_is_reported(
    monkeypatch, caplog, tmp_path: Path
) -> None:
    provider(monkeypatch, False)
    monkeypatch.setenv("SLURM_JOB_GPUS", "0")
    load_detector(write_scrfd(tmp_path / "a.onnx"), device="auto")
    assert "SCRFD runs on the CPU, because it needs ONNX Runtime's CUDA provider" in caplog.text


class Session:
    """A session of the CPU provider that says which providers it has."""

    requested: list

    def __init__(self, *args, providers, **more) -> None:
        type(self).requested = providers
        self._session = onnxruntime.capi.onnxruntime_inference_collection.InferenceSession(
            *args, providers=["CPUExecutionProvider"], **more
        )

    def get_providers(self) -> list[str]:
        return [name if isinstance(name, str) else name[0] for name in self.requested]

    def __getattr__(self, name: str):
        return getattr(self._session, name)


class WithoutLibraries(Session):
    """As onnxruntime-gpu where a library of CUDA is missing: it only logs that."""

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]


@pytest.mark.parametrize(("device", "number"), [("cuda:1", "1"), ("cuda", "0"), ("auto", "0")])
def test_with_the_provider_a_model_runs_on_the_gpu_and_is_exact_there(
    monkeypatch, tmp_path: Path, device: str, number: str
) -> None:
    provider(monkeypatch, True)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    check_device(device, "scrfd:a.onnx", "arcface:b.onnx")
    detector = load_detector(write_scrfd(tmp_path / "a.onnx", size=(64, 64)), device=device)
    (name, options), last = Session.requested
    assert (name, last) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert options["device_id"] == number and options["use_tf32"] == "0"
    assert options["cudnn_conv_algo_search"] != "EXHAUSTIVE"  # which times the algorithms
    assert len(detector.detect([np.zeros((64, 64, 3), np.uint8)])[0]) == 0
    load_embedder(write_embedder(tmp_path / "b.onnx"), device=device)
    assert Session.requested[0][0] == "CUDAExecutionProvider"


def test_a_provider_that_cannot_load_is_an_error_and_not_a_fallback(monkeypatch, tmp_path: Path) -> None:
    provider(monkeypatch, True)
    monkeypatch.setattr(onnxruntime, "InferenceSession", WithoutLibraries)
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot use it for a\.onnx.*onnxruntime-gpu"):
        load_detector(write_scrfd(tmp_path / "a.onnx"), device="cuda")
    load_detector(write_scrfd(tmp_path / "a.onnx"), device="cpu")


def test_tensorrt_is_used_only_when_it_is_asked_for(monkeypatch, tmp_path: Path) -> None:
    provider(monkeypatch, True)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setenv(TENSORRT, "1")
    with pytest.raises(
        ModelError, match="FACEREC_TENSORRT=1, but this ONNX Runtime has no TensorRT provider"
    ):
        load_embedder(write_embedder(tmp_path / "b.onnx"), device="cuda")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["TensorrtExecutionProvider"])
    load_embedder(write_embedder(tmp_path / "b.onnx"), device="cuda")
    assert [one[0] for one in Session.requested[:2]] == ["TensorrtExecutionProvider", "CUDAExecutionProvider"]


def test_crops_go_to_a_gpu_in_batches_that_are_halved_where_memory_is_too_small(
    monkeypatch, tmp_path: Path, caplog
) -> None:
    provider(monkeypatch, True)
    spec = write_embedder(tmp_path / "b.onnx")
    on_cpu = load_embedder(spec, device="cpu")
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    embedder = load_embedder(spec, device="cuda", batch_size=8)
    shape = embedder._preprocessing.size
    crops = [np.random.default_rng(n).integers(0, 255, (*shape, 3), np.uint8) for n in range(5)]
    sizes: list[int] = []
    real = embedder._session

    class Small:
        def run(self, names, feed):
            (pixels,) = feed.values()
            sizes.append(len(pixels))
            if len(pixels) > 2:
                raise RuntimeError("BFCArena::AllocateRawInternal Failed to allocate memory for a buffer")
            return real.run(names, feed)

    monkeypatch.setattr(embedder, "_session", Small())
    np.testing.assert_allclose(embedder.embed(crops), on_cpu.embed(crops), atol=1e-6)
    assert sizes == [8, 4, 2, 2, 2]
    assert caplog.text.count("too small for 8 times a crop of") == 1
    assert "--batch-size" not in caplog.text  # of extract.py, which is the detector's
