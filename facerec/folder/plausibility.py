"""Numbers of faces that no film has: signs that the detector or its weights are broken.

Extraction checks a shard and the merge the film. A network that returns NaN is an error instead.
"""

from __future__ import annotations

MIN_FRAMES = 10_000  # without a face; in a film of 24 frames a second, 7 minutes
MAX_SATURATED = 0.5  # share of the frames; not one frame of a real film is saturated


def implausible_counts(detector: str, frames: int, faces: int, saturated: int) -> list[str]:
    """Say what about the number of faces suggests that the detector is broken.

    Args:
        detector: its name.
        frames: number of frames on which faces were detected.
        faces: number of detections in them.
        saturated: number of frames in which the detector found the maximum of candidates (see
            `models.base.Detections`).

    Returns:
        Sentences; none for a plausible film.
    """
    found = []
    if frames >= MIN_FRAMES and not faces:
        found.append(
            f"no face was found in {frames} frames: if people are on screen, {detector} or its weights are "
            "broken, or --face-threshold or --min-face-size is too high"
        )
    if saturated and saturated >= MAX_SATURATED * frames:
        found.append(
            f"{detector} found the maximum of candidates in {saturated} of {frames} frames: it or its "
            "weights are broken, or --face-threshold is too low; its boxes are probably no faces"
        )
    return found
