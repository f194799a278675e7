"""The tag of a film made of masters that says which frames repeat the one before."""

from __future__ import annotations

from facerec.video.container import open_video
from facerec.video.film import Film

_TAG = "comment"
_BEGIN = "made by facerec with held frames: "


def held_frames_tags(ranges: str) -> dict[str, str]:
    """Return the tags of a film with held frames, as in `3,7-9`; none if `ranges` is empty."""
    return {_TAG: f"{_BEGIN}{ranges}"} if ranges else {}


def held_frames(film: Film) -> str:
    """Return the frames of a film that repeat the one before, as in `3,7-9`; empty for none."""
    with open_video(film.path) as (container, _):
        tags = {key.lower(): value for key, value in container.metadata.items()}
    text = tags.get(_TAG, "")
    return text.removeprefix(_BEGIN) if text.startswith(_BEGIN) else ""
