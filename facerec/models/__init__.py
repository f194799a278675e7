"""Face detectors and embedders: loading by name, weights, devices and inference.

Works on networks and pixels; does not depend on movie folders, tracks or actors.

A model is given by a *spec*: `NAME` or `NAME:FILE`, where FILE is its weights file (or the folder of them if
a model has several). To add a model, add a module, a line in `DETECTORS` or `EMBEDDERS` and, if its weights
are published, an entry in `weights.CATALOGUE`.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from facerec.errors import ModelError
from facerec.models.base import FaceSearch, ModelCard
from facerec.models.device import (
    DEVICE,
    NO_CUDA_PROVIDER,
    NO_GPU_VERSION,
    Placement,
    choose_device,
    choose_placement,
    gpu_allocated,
    onnx_has_cuda,
)
from facerec.models.precision import is_measured, unmeasured_note
from facerec.models.preprocessing import hash_preprocessing
from facerec.models.weights import WeightFiles, find_weights
from facerec.settings import ExtractSettings
from facerec.support.shell import option

if TYPE_CHECKING:
    from facerec.models.base import Detector, Embedder


@dataclass(frozen=True)
class _Entry:
    """A line of the registry.

    Attributes:
        module, name: module in this package and its class.
        runs_on_cuda: whether it can use a GPU.
        has_provider: whether ONNX Runtime computes it, which can use a GPU if its CUDA provider is installed.
        has_reduced_precision: whether it can compute in float16 or bfloat16.
        has_preprocessing: whether a `FILE.toml` states its preprocessing.
        has_tiles: whether it can search tiles of a frame.
        threshold: a detector's default score threshold.
    """

    module: str
    name: str
    runs_on_cuda: bool = False
    has_reduced_precision: bool = False
    has_preprocessing: bool = False
    has_tiles: bool = False
    has_provider: bool = False
    threshold: float = 0.0

    def can_use(self, device: str) -> bool:
        """Return whether it can run on `device`, as given by the user, if that is here."""
        return self.runs_on_cuda or (self.has_provider and device != "cpu" and onnx_has_cuda())


DETECTORS: Mapping[str, _Entry] = {
    "retinaface": _Entry(
        "retinaface", "RetinaFace", runs_on_cuda=True, has_reduced_precision=True, threshold=0.7
    ),
    "mtcnn": _Entry("mtcnn", "MTCNN", threshold=0.8),
    "yunet": _Entry("yunet", "YuNet", threshold=0.6),
    "scrfd": _Entry("scrfd", "SCRFD", has_tiles=True, has_provider=True, threshold=0.5),
}
EMBEDDERS: Mapping[str, _Entry] = {
    "facenet": _Entry("facenet", "FaceNet", runs_on_cuda=True, has_reduced_precision=True),
    "dlib": _Entry("dlib_resnet", "DlibResNet"),
    "arcface": _Entry("arcface", "ArcFace", has_preprocessing=True, has_provider=True),
}


def load_detector(
    spec: str,
    *,
    device: str = "auto",
    batch_size: int | None = None,
    precision: str = "auto",
    min_face_size: float = ExtractSettings.min_face_size,
    min_box_size: float | None = None,
    face_threshold: float | None = ExtractSettings.face_threshold,
    tiles: bool = ExtractSettings.tiles,
    cuda_graphs: bool = False,
) -> Detector:
    """Load a face detector.

    Args:
        spec: `retinaface`, `mtcnn`, `yunet` or `scrfd`, or one of them with `:FILE`.
        device: `auto`, `cpu`, `cuda` or `cuda:i`.
        batch_size: frames at once; None for the model's own choice.
        precision: `float32`, `float16`, `bfloat16`, or `auto`: float16 on a GPU if it was measured that this
            gives the same results (`precision.py`), otherwise float32. Only RetinaFace and FaceNet have
            reduced precision; the others compute in float32.
        min_face_size: size of the faces to search for, in pixels; decides the scale of the frames.
        min_box_size: boxes with a longer side below this are dropped, in pixels; None: below
            `min_face_size`. Smaller faces than searched for are found as far as the scale allows, at no cost.
            `extract.py` then also drops boxes with a shorter side below it.
        face_threshold: minimum score; see `ExtractSettings`.
        tiles: see `ExtractSettings`.
        cuda_graphs: see `Placement`.

    Raises:
        ModelError: there is no such model, its weights are missing or wrong, the device is not available,
            or a value is not valid.
    """
    if min_face_size < 1:
        raise ModelError(f"the minimum face size must be at least 1 pixel, not {min_face_size}")
    if face_threshold is not None and not 0 < face_threshold < 1:
        raise ModelError(f"the face threshold must be between 0 and 1, not {face_threshold}")
    entry, found = _look_up(spec, DETECTORS, "detector")
    threshold = entry.threshold if face_threshold is None else face_threshold
    placement = _place(entry, found.card, device, precision, batch_size, cuda_graphs)
    if tiles:
        check_tiles(spec)
    smallest = min_face_size if min_box_size is None else min_box_size
    loaded: Detector = _class(entry)(found, placement, FaceSearch(min_face_size, smallest, threshold, tiles))
    return loaded


def load_embedder(
    spec: str,
    *,
    device: str = "auto",
    batch_size: int | None = None,
    precision: str = "auto",
    cuda_graphs: bool = False,
) -> Embedder:
    """Load a face embedder.

    Args:
        spec: `facenet`, `dlib` or `arcface:FILE`, or one of the first two with `:FILE`.
        device, batch_size, precision, cuda_graphs: as in `load_detector`, for crops.

    Raises:
        ModelError: as in `load_detector`.
    """
    entry, found = _look_up(spec, EMBEDDERS, "embedder")
    placement = _place(entry, found.card, device, precision, batch_size, cuda_graphs)
    loaded: Embedder = _class(entry)(found, placement)
    return loaded


def card_of(spec: str, role: str | None = None) -> ModelCard:
    """Return the identity of the model `spec`; hashes its weights without loading them.

    Args:
        role: `detector` or `embedder` if it must be one.

    Raises:
        ModelError: there is no such model, or its weights are missing or wrong.
    """
    name = spec.partition(":")[0]
    role = role or ("detector" if name in DETECTORS else "embedder" if name in EMBEDDERS else "model")
    table = {"detector": DETECTORS, "embedder": EMBEDDERS}.get(role, {**DETECTORS, **EMBEDDERS})
    return _look_up(spec, table, role)[1].card


def check_tiles(spec: str) -> None:
    """Check that the detector `spec` can search tiles of a frame.

    Raises:
        ModelError: it cannot, or there is no such detector.
    """
    if not _entry(spec, DETECTORS, "detector").has_tiles:
        able = ", ".join(name for name, entry in DETECTORS.items() if entry.has_tiles)
        name = spec.partition(":")[0]
        raise ModelError(
            f"{name} takes frames of any size, so it needs no tiles: leave --tiles out, or use {able}"
        )


def check_device(device: str, *specs: str) -> None:
    """Check that a requested GPU is available and that one of the models `specs` can use it.

    Raises:
        ModelError: it is not available, or none can use it.
    """
    usable = _uses_cuda(device, specs)
    # With `auto` this imports torch, which takes a second, only if a model can use a GPU.
    choose_device(device, " and ".join(specs), usable or device != "auto")
    check_device_name(device, *specs)


def check_device_name(device: str, *specs: str) -> None:
    """Check that `device` is one and that one of the models `specs` can use it; it need not be here.

    Raises:
        ModelError: it is no device, or a GPU that none of them can use.
    """
    if not DEVICE.fullmatch(device):
        raise ModelError(f"device {device!r} is not one of auto, cpu, cuda, cuda:0, cuda:1, …")
    if device.startswith("cuda") and not _uses_cuda(device, specs):
        names = " and ".join(specs)
        able = [spec.partition(":")[0] for spec in specs if _model(spec).has_provider]
        hint = f"; {able[0]} {NO_CUDA_PROVIDER}" if able else ""
        raise ModelError(
            f"device {device} was requested, but {names} run on the CPU only: use "
            f"{option('--device', 'cpu')}{hint}"
        )


def _uses_cuda(device: str, specs: Sequence[str]) -> bool:
    """Return whether one of the models `specs` can use a GPU; raises `ModelError` for an unknown one."""
    entries = [_model(spec) for spec in specs]
    return any(entry.can_use(device) for entry in entries)


def _model(spec: str) -> _Entry:
    """Return the entry of a detector or an embedder."""
    name = spec.partition(":")[0]
    if name not in {**DETECTORS, **EMBEDDERS}:
        raise ModelError(
            f"unknown model {name!r}; detectors are {', '.join(DETECTORS)}; "
            f"embedders are {', '.join(EMBEDDERS)}"
        )
    return {**DETECTORS, **EMBEDDERS}[name]


def reduces_precision(*specs: str) -> bool:
    """Return whether one of the models `specs` can compute in reduced precision.

    Raises:
        ModelError: there is no such model.
    """
    return any(_model(spec).has_reduced_precision for spec in specs)


def auto_precision(device: str, *specs: str) -> str:
    """Return the precision in which the models `specs` compute with `auto` on `device`.

    It is one for all, float16 only on a GPU that all of them with reduced precision were measured on.

    Raises:
        ModelError: as in `load_detector`.
    """
    reducing = [spec for spec in specs if reduces_precision(spec)]
    if not reducing or choose_device(device, " and ".join(reducing), True) == "cpu":
        return "float32"
    cards = [card_of(spec) for spec in reducing]
    if is_measured(*cards):
        return "float16"
    logging.warning("--precision auto: %s", unmeasured_note(*cards))
    return "float32"


def _place(
    entry: _Entry, card: ModelCard, device: str, precision: str, batch_size: int | None, cuda_graphs: bool
) -> Placement:
    can_use = entry.can_use(device)
    if device == "auto" and entry.has_provider and not can_use and gpu_allocated():
        logging.warning("%s runs on the CPU, because it %s", entry.name, NO_CUDA_PROVIDER)
    measured = precision == "auto" and entry.has_reduced_precision and is_measured(card)
    return choose_placement(
        device,
        precision,
        batch_size,
        entry.name,
        can_use,
        measured=measured,
        cuda_graphs=cuda_graphs,
        obstacle=NO_CUDA_PROVIDER if entry.has_provider else NO_GPU_VERSION,
    )


def _entry(spec: str, table: Mapping[str, _Entry], what: str) -> _Entry:
    name = spec.partition(":")[0]
    if name not in table:
        raise ModelError(f"unknown {what} {name!r}; valid names are {', '.join(table)}")
    return table[name]


def _look_up(spec: str, table: Mapping[str, _Entry], what: str) -> tuple[_Entry, WeightFiles]:
    entry = _entry(spec, table, what)
    name, colon, file = spec.partition(":")
    found = find_weights(name, file if colon else None)
    return entry, hash_preprocessing(found) if entry.has_preprocessing else found


def _class(entry: _Entry) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(importlib.import_module(f"facerec.models.{entry.module}"), entry.name)
    return found
