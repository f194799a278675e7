"""The detectors and embedders of persons by name."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facerec.features.person_boxes import PersonDetector, PersonEmbedder
from facerec.models.device import Placement, onnx_has_cuda
from facerec.models.weights import WeightFiles, find_weights


@dataclass(frozen=True)
class _Entry:
    """A model: module in this package, its class, and whether torch or onnxruntime runs it."""

    module: str
    name: str
    is_onnx: bool


# by their name in the catalogue, the default first
DETECTORS: Mapping[str, _Entry] = {
    "yolox": _Entry("yolox", "YOLOX", is_onnx=True),
    "faster_rcnn": _Entry("faster_rcnn", "FasterRCNN", is_onnx=False),
}
EMBEDDERS: Mapping[str, _Entry] = {
    "osnet": _Entry("osnet", "OSNet", is_onnx=True),
    "reid_resnet50": _Entry("reid_resnet50", "ReidResNet50", is_onnx=False),
}


def load_person_detector(found: WeightFiles, placement: Placement, threshold: float) -> PersonDetector:
    """Load the detector of persons that the kind of the model card names.

    Args:
        threshold: minimum score of a detection, 0..1.

    Raises:
        ModelError: the file is not the weights of this model.
    """
    detector: PersonDetector = _class(found.card.kind, DETECTORS, placement)(
        found, placement, threshold=threshold
    )
    return detector


def load_person_embedder(found: WeightFiles, placement: Placement) -> PersonEmbedder:
    """Load the embedder of persons that the kind of the model card names.

    Raises:
        ModelError: the file is not the weights of this model.
    """
    embedder: PersonEmbedder = _class(found.card.kind, EMBEDDERS, placement)(found, placement)
    return embedder


def check_person_weights(kind: str, path: Path) -> None:
    """Load the file `path` as the catalogue's weights `kind`.

    Raises:
        ModelError: it is not such a file.
    """
    found = find_weights(kind, str(path))
    if kind in DETECTORS:
        load_person_detector(found, Placement(), 0.5)
    else:
        load_person_embedder(found, Placement())


def _class(name: str, table: Mapping[str, _Entry], placement: Placement) -> Any:
    entry = table[name]
    if placement.device != "cpu" and entry.is_onnx and not onnx_has_cuda():
        logging.warning("%s has no GPU version: it runs on the CPU, not on device %s", name, placement.device)
    return getattr(importlib.import_module(f"facerec.features.{entry.module}"), entry.name)
