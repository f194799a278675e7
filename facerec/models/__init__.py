"""The models by name. A new one is a file here, a line in the table below and, where its weights are
published, one in `weights.CATALOGUE`.

A model is named by a *spec*: `NAME` or `NAME:FILE`, where FILE says where its weights are (the folder
of them where a model has several files).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from facerec.errors import ModelError
from facerec.models.base import ModelCard
from facerec.models.device import choose_device, choose_placement
from facerec.models.feed import count_feed
from facerec.models.weights import WeightFiles, find_weights
from facerec.settings import ExtractSettings

if TYPE_CHECKING:
    from facerec.models.base import Detector, Embedder


@dataclass(frozen=True)
class _Entry:
    """Where a model is: module and class; whether it can use a GPU, whether it can compute in reduced
    precision, whether a `FILE.toml` says how it is fed; a detector's own threshold."""

    module: str
    name: str
    runs_on_cuda: bool = False
    reduces: bool = False
    has_feed: bool = False
    threshold: float = 0.0


DETECTORS: Mapping[str, _Entry] = {
    "retinaface": _Entry("retinaface", "RetinaFace", runs_on_cuda=True, reduces=True, threshold=0.7),
    "mtcnn": _Entry("mtcnn", "MTCNN", runs_on_cuda=True, threshold=0.8),
    "yunet": _Entry("yunet", "YuNet", threshold=0.6),
}
EMBEDDERS: Mapping[str, _Entry] = {
    "facenet": _Entry("facenet", "FaceNet", runs_on_cuda=True, reduces=True),
    "dlib": _Entry("dlib_resnet", "DlibResNet"),
    "arcface": _Entry("arcface", "ArcFace", has_feed=True),
}


def load_detector(
    spec: str,
    *,
    device: str = "auto",
    batch_size: int | None = None,
    precision: str = "auto",
    min_face_size: float = ExtractSettings.min_face_size,
    face_threshold: float | None = ExtractSettings.face_threshold,
) -> Detector:
    """Load a face detector.

    Args:
        spec: `retinaface`, `mtcnn` or `yunet`, or one of them with `:FILE`.
        device: `auto`, `cpu`, `cuda` or `cuda:i`.
        batch_size: frames at once; None: what suits the model and the device.
        precision: `float32`, `float16`, `bfloat16`, or `auto`: float16 on a GPU, float32 on a CPU. Models
            that have no reduced precision (all but RetinaFace and FaceNet) compute in float32.
        min_face_size, face_threshold: see `ExtractSettings`; of a box that comes back the longer side is
            at least `min_face_size`.

    Raises:
        ModelError: no such model, its weights are missing or others, the device is not there.
    """
    if min_face_size < 1:
        raise ModelError(f"the least face size must be at least 1 pixel, not {min_face_size}")
    if face_threshold is not None and not 0 < face_threshold < 1:
        raise ModelError(f"the face threshold lies between 0 and 1, not at {face_threshold}")
    entry, found = _look_up(spec, DETECTORS, "detector")
    threshold = entry.threshold if face_threshold is None else face_threshold
    placement = choose_placement(device, precision, batch_size, entry.name, entry.runs_on_cuda)
    loaded: Detector = _class(entry)(found, placement, min_face_size=min_face_size, face_threshold=threshold)
    return loaded


def load_embedder(
    spec: str, *, device: str = "auto", batch_size: int | None = None, precision: str = "auto"
) -> Embedder:
    """Load a face embedder: `facenet`, `dlib` or `arcface:FILE`; the rest is as in `load_detector`."""
    entry, found = _look_up(spec, EMBEDDERS, "embedder")
    placement = choose_placement(device, precision, batch_size, entry.name, entry.runs_on_cuda)
    loaded: Embedder = _class(entry)(found, placement)
    return loaded


def card_of(spec: str, role: str | None = None) -> ModelCard:
    """What to record of the model `spec`; hashes its weights, loads nothing.

    Args:
        role: `detector` or `embedder`, where it must be one.

    Raises:
        ModelError: no such model, or its weights are missing or others.
    """
    name = spec.partition(":")[0]
    role = role or ("detector" if name in DETECTORS else "embedder" if name in EMBEDDERS else "model")
    table = {"detector": DETECTORS, "embedder": EMBEDDERS}.get(role, {**DETECTORS, **EMBEDDERS})
    return _look_up(spec, table, role)[1].card


def check_device(device: str, *specs: str) -> None:
    """Refuse a GPU that is not there, or that none of the models `specs` can use.

    Raises:
        ModelError: so it is.
    """
    entries = [_entry(spec, {**DETECTORS, **EMBEDDERS}, "model") for spec in specs]
    names = " and ".join(specs)
    able = any(entry.runs_on_cuda for entry in entries)
    choose_device(
        device, names, able or device != "auto"
    )  # auto asks torch, which takes a second, if need be
    if device.startswith("cuda") and not able:
        raise ModelError(f"device {device} was asked for, and {names} run on the CPU only: use --device cpu")


def reduces_precision(*specs: str) -> bool:
    """Whether one of the models `specs` can compute in reduced precision.

    Raises:
        ModelError: there is no such model.
    """
    return any(_entry(spec, {**DETECTORS, **EMBEDDERS}, "model").reduces for spec in specs)


def _entry(spec: str, table: Mapping[str, _Entry], what: str) -> _Entry:
    name = spec.partition(":")[0]
    if name not in table:
        raise ModelError(f"no {what} is called {name!r}; there are {', '.join(table)}")
    return table[name]


def _look_up(spec: str, table: Mapping[str, _Entry], what: str) -> tuple[_Entry, WeightFiles]:
    entry = _entry(spec, table, what)
    name, colon, file = spec.partition(":")
    found = find_weights(name, file if colon else None)
    return entry, count_feed(found) if entry.has_feed else found


def _class(entry: _Entry) -> Callable[..., Any]:
    made: Callable[..., Any] = getattr(importlib.import_module(f"facerec.models.{entry.module}"), entry.name)
    return made
