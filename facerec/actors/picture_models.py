"""The models with which pictures of actors, and stills of them, are detected and embedded."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from facerec import models
from facerec.actors.database import ActorDatabase
from facerec.errors import InputError
from facerec.models.base import Detector, Embedder
from facerec.settings import GallerySettings


def load_picture_models(
    detector: str, embedder: str, device: str, settings: GallerySettings
) -> tuple[Detector, Embedder]:
    """Load the models for one picture at a time and in float32.

    So embeddings do not depend on the run that made them.

    Args:
        detector, embedder: NAME or NAME:FILE.
        settings: without a threshold, the detector's own is taken.

    Raises:
        ModelError: a model or the device is not here.
    """
    models.check_device(device, detector, embedder)
    threshold = settings.face_threshold
    if threshold is None:
        threshold = models.DETECTORS[detector.partition(":")[0]].threshold
    options: dict[str, Any] = {"device": device, "precision": "float32", "batch_size": 1}
    return (
        models.load_detector(
            detector, **options, min_face_size=settings.min_face_size, face_threshold=threshold
        ),
        models.load_embedder(embedder, **options),
    )


def prepared_models(
    database: ActorDatabase, detector: str = "", embedder: str = ""
) -> tuple[str, str, GallerySettings]:
    """Return the detector, the embedder and the settings with which the pictures were prepared.

    Args:
        detector, embedder: NAME or NAME:FILE, to take this one; the embedder must be the one that prepared
            the pictures.

    Raises:
        InputError: no pictures are prepared, or with another embedder, or its file is not known.
    """
    meta = database.read_meta()
    if meta is None or not isinstance(meta.get("detector"), dict):
        raise InputError(f"{database.embeddings_meta}: names no models; run prepare_actors.py first")
    detector = detector or str(meta["detector"].get("kind"))
    embedder = embedder or str(meta["embedder"]["kind"])
    if embedder == "arcface":
        raise InputError("the pictures were prepared with an ArcFace file; give it: --embedder arcface:FILE")
    database.check_embedder(asdict(models.card_of(embedder, "embedder")), "the stills would be compared")
    recorded = dict(meta.get("settings") or {})
    known = {field.name for field in fields(GallerySettings)} & recorded.keys()
    return detector, embedder, GallerySettings(**{name: recorded[name] for name in known})
