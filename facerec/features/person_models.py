"""The detectors and embedders of persons by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facerec.features.person_boxes import PersonDetector, PersonEmbedder
from facerec.models.device import Placement
from facerec.models.weights import WeightFiles, find_weights

# by their name in the catalogue: module in this package and its class; the first is the default
DETECTORS: Mapping[str, tuple[str, str]] = {
    "yolox": ("yolox", "YOLOX"),
    "faster_rcnn": ("faster_rcnn", "FasterRCNN"),
}
EMBEDDERS: Mapping[str, tuple[str, str]] = {
    "osnet": ("osnet", "OSNet"),
    "reid_resnet50": ("reid_resnet50", "ReidResNet50"),
}


def load_person_detector(found: WeightFiles, placement: Placement, threshold: float) -> PersonDetector:
    """Load the detector of persons that the kind of the model card names.

    Args:
        threshold: minimum score of a detection, 0..1.

    Raises:
        ModelError: the file is not the weights of this model.
    """
    detector: PersonDetector = _class(DETECTORS[found.card.kind])(found, placement, threshold=threshold)
    return detector


def load_person_embedder(found: WeightFiles, placement: Placement) -> PersonEmbedder:
    """Load the embedder of persons that the kind of the model card names.

    Raises:
        ModelError: the file is not the weights of this model.
    """
    embedder: PersonEmbedder = _class(EMBEDDERS[found.card.kind])(found, placement)
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


def _class(entry: tuple[str, str]) -> Any:
    module, name = entry
    return getattr(importlib.import_module(f"facerec.features.{module}"), name)
