"""Settings of the actor database: pictures of actors, and faces learnt from labels."""

from __future__ import annotations

from dataclasses import dataclass

from facerec.errors import InputError
from facerec.settings.extraction import ExtractSettings


@dataclass(frozen=True)
class GallerySettings:
    """Which faces of an actor's picture count; actor_embeddings.meta.json records them.

    Attributes:
        max_side: larger pictures are shrunk to this longer side, in pixels. Higher: finds smaller faces in
            large pictures, takes longer.
        min_share: minimum height of a face as a share of the picture's highest face. Lower: more pictures are
            refused for a bystander in the background; higher: a second person may be overlooked.
        min_face_size, face_threshold: of the detector, see `ExtractSettings`.
    """

    max_side: int = 1600
    min_share: float = 0.25
    min_face_size: int = ExtractSettings.min_face_size
    face_threshold: float | None = ExtractSettings.face_threshold

    def __post_init__(self) -> None:
        if self.max_side < 100:
            raise InputError(f"max_side must be at least 100 pixels, not {self.max_side}")
        if not 0 <= self.min_share <= 1:
            raise InputError(f"min_share must be between 0 and 1, not {self.min_share}")


@dataclass(frozen=True)
class LearnSettings:
    """Which confirmed faces become pictures of an actor.

    Attributes:
        per_actor: maximum number of faces learnt per actor and movie. Higher: more variety, but one film may
            outweigh the others.
    """

    per_actor: int = 5

    def __post_init__(self) -> None:
        if self.per_actor < 0:
            raise InputError(f"per_actor must be at least 0 faces, not {self.per_actor}")
