"""The settings of every stage and their default values: one module per subject, one class per stage or step.

The standard library only, so that `--help` stays fast. manifest.json records settings under the names of
their fields.
"""

from facerec.settings.actors import GallerySettings, LearnSettings
from facerec.settings.extraction import AUTO, RESULTS_VERSION, ExtractSettings, face_size, smallest_box
from facerec.settings.people import (
    HDBSCAN,
    METHODS,
    PLDA,
    POOR,
    POOR_ALONE,
    POOR_ON_PAGES,
    ClusterSettings,
    NamingSettings,
    VectorSettings,
)
from facerec.settings.shots import BOTH, RULE, SHOT_METHODS, TRANSNET, ShotSettings
from facerec.settings.tracks import KeepSettings, SplitSettings, ThumbnailSettings, TrackSettings

__all__ = [
    "AUTO",
    "BOTH",
    "HDBSCAN",
    "METHODS",
    "PLDA",
    "POOR",
    "POOR_ALONE",
    "POOR_ON_PAGES",
    "RESULTS_VERSION",
    "RULE",
    "SHOT_METHODS",
    "TRANSNET",
    "ClusterSettings",
    "ExtractSettings",
    "GallerySettings",
    "KeepSettings",
    "LearnSettings",
    "NamingSettings",
    "ShotSettings",
    "SplitSettings",
    "ThumbnailSettings",
    "TrackSettings",
    "VectorSettings",
    "face_size",
    "smallest_box",
]
