"""The detectors and embedders of persons by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from facerec.features.person_boxes import PersonDetector, PersonEmbedder
from facerec.models.device import Placement
from facerec.models.weights import WeightFiles

# by their name in the catalogue: module in this package and its class; the first is the default
DETECTORS: Mapping[str, tuple[str, str]] = {
    "yolox": ("yolox", "YOLOX"),
    "faster_rcnn": ("faster_rcnn", "FasterRCNN"),
}
EMBEDDERS: Mapping[str, tuple[str, str]] = {
    "osnet": ("osnet", "OSNet"),
    "reid_resnet50": ("reid_resnet50", "ReidResNet50"),
}


def load_person_models(
    files: Sequence[WeightFiles], placement: Placement, threshold: float
) -> tuple[PersonDetector, PersonEmbedder]:
    """Load a detector and an embedder of persons.

    Args:
        files: their weights; the kind of their model cards names the models.
        threshold: minimum score of a detection, 0..1.

    Raises:
        ModelError: a file is not the weights of its model.
    """
    detector, embedder = files
    return (
        _class(DETECTORS[detector.card.kind])(detector, placement, threshold=threshold),
        _class(EMBEDDERS[embedder.card.kind])(embedder, placement),
    )


def _class(entry: tuple[str, str]) -> Any:
    module, name = entry
    return getattr(importlib.import_module(f"facerec.features.{module}"), name)
