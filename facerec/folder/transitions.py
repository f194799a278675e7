"""`transitions.json`: kind and extent of every transition of which `scene_changes.json` has the cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from facerec.folder.names import MAX_FRAME
from facerec.support.jsonl import is_int, read_json, require, require_keys

KINDS = ("cut", "dissolve", "wipe", "fade through black", "fade through white")


class TransitionRecord(NamedTuple):
    """A transition.

    Attributes:
        kind: one of `KINDS`.
        begin, end: the frames that are of neither shot alone, half-open; both are `cut` for a hard cut.
        cut: the first frame that is more of the new shot.
    """

    kind: str
    begin: int
    end: int
    cut: int


def transitions_bytes(movie_id: int, transitions: Iterable[TransitionRecord]) -> bytes:
    """Return the contents of `transitions.json`, which `read_transitions` accepts."""
    record = {"movie_id": movie_id, "transitions": [one._asdict() for one in transitions]}
    _parse(record, movie_id)
    return orjson.dumps(record)


def read_transitions(path: Path, movie_id: int) -> list[TransitionRecord]:
    """Read the transitions of a film, in its order.

    Raises:
        ContractError: the file violates its format.
    """
    return read_json(path, lambda value: _parse(value, movie_id))


def _parse(value: object, movie_id: int) -> list[TransitionRecord]:
    record = require_keys(value, {"movie_id", "transitions"})
    found = record["movie_id"]
    require(is_int(found) and found == movie_id, f"movie_id {found!r} in the folder of movie {movie_id}")
    require(isinstance(record["transitions"], list), "transitions must be a list")
    transitions = [_transition(one) for one in record["transitions"]]
    cuts = [one.cut for one in transitions]
    require(cuts == sorted(set(cuts)), "the cuts of the transitions must ascend")
    return transitions


def _transition(value: object) -> TransitionRecord:
    one: Mapping[str, Any] = require_keys(value, {"kind", "begin", "end", "cut"})
    require(one["kind"] in KINDS, f"kind must be one of {', '.join(KINDS)}")
    frames = [one[key] for key in ("begin", "cut", "end")]
    known = all(is_int(frame) and 0 < frame <= MAX_FRAME for frame in frames)
    require(known, "begin, cut and end must be frame numbers above 0")
    require(frames == sorted(frames), "begin, cut and end must not descend")
    require((one["begin"] == one["end"]) == (one["kind"] == KINDS[0]), "only a cut has no frames")
    return TransitionRecord(one["kind"], one["begin"], one["end"], one["cut"])
