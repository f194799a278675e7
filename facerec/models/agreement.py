"""Compare the results of a detector and an embedder in reduced precision with those in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import torch

from facerec.errors import ModelError
from facerec.geometry import Image
from facerec.models import load_detector, load_embedder, reduces_precision
from facerec.models.precision import LEAST_BOXES, LEAST_COSINE, compare_boxes, least_cosine
from facerec.support.text import counted

ENOUGH = 100  # boxes or vectors; fewer decide nothing


@dataclass(frozen=True)
class Agreement:
    """What reduced precision keeps of the results of one model.

    Attributes:
        kind, sha256: of the model.
        value: share of boxes, or smallest cosine.
        least: the value from which the results pass.
        compared: number of boxes or vectors.
        device: name of the GPU.
    """

    kind: str
    sha256: str
    value: float
    least: float
    compared: int
    device: str

    @property
    def holds(self) -> bool:
        """Whether the results pass."""
        return self.value >= self.least and self.compared >= ENOUGH

    def summary(self) -> str:
        """Describe the result in one line."""
        what = "boxes agree" if self.least == LEAST_BOXES else "is the smallest cosine"
        verdict = (
            "passes" if self.holds else "does not pass" if self.compared >= ENOUGH else "too few to decide"
        )
        return f"{self.value:.4f} {what} ({self.compared} compared, at least {self.least} wanted): {verdict}"

    def record(self, film: str) -> dict[str, Any]:
        """Return the record for `precision.json`.

        Raises:
            ModelError: there were too few to decide.
        """
        if self.compared < ENOUGH:
            raise ModelError(
                f"{self.kind}: only {counted(self.compared, 'face')} in these frames of {film}, too few to "
                "decide: take a film with more, or more --frames"
            )
        return {
            "kind": self.kind,
            "holds": self.holds,
            "value": round(self.value, 5),
            "compared": self.compared,
            "device": self.device,
            "torch": torch.__version__,
            "film": film,
            "date": date.today().isoformat(),
        }


def measure_agreement(
    frames: Sequence[Image],
    detector: str,
    embedder: str,
    *,
    device: str,
    precision: str,
    min_face_size: float,
    face_threshold: float | None = None,
    reduced: Callable[[], AbstractContextManager[None]] = nullcontext,
    max_crops: int = 5000,
) -> list[Agreement]:
    """Compare the boxes in `frames`, and the vectors of the faces that float32 finds there.

    Args:
        frames: of one size.
        detector, embedder: specs; only those with reduced precision are compared.
        reduced: context in which the reduced results are computed.
        max_crops: number of faces of which vectors are compared, at most; from all of the frames.
    """
    settings: dict[str, Any] = {
        "device": device,
        "min_face_size": min_face_size,
        "face_threshold": face_threshold,
    }
    exact = load_detector(detector, precision="float32", **settings)
    found = exact.detect(frames)
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    measured: list[Agreement] = []
    if reduces_precision(detector):
        other_detector = load_detector(detector, precision=precision, **settings)
        with reduced():
            others = other_detector.detect(frames)
        share, boxes = compare_boxes(found, others)
        measured.append(Agreement(exact.card.kind, exact.card.sha256, share, LEAST_BOXES, boxes, name))
    if reduces_precision(embedder):
        one = load_embedder(embedder, device=device, precision="float32")
        other = load_embedder(embedder, device=device, precision=precision)
        crops = [
            one.crop(frame, box, keypoints)
            for frame, faces in zip(frames, found, strict=True)
            for box, keypoints in zip(np.rint(faces.boxes), faces.keypoints, strict=True)
        ]
        crops = crops[:: max(1, -(-len(crops) // max_crops))]
        vectors = one.embed(crops)
        with reduced():
            cosine = least_cosine(vectors, other.embed(crops))
        measured.append(Agreement(one.card.kind, one.card.sha256, cosine, LEAST_COSINE, len(crops), name))
    return measured
