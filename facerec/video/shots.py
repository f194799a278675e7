"""Transitions between shots, decided over the whole film from its miniatures.

A shard records the miniatures of its frames, and the merge decides once for the whole film, so the
transitions do not depend on the number of shards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facerec.settings import ShotSettings
from facerec.video.fades import find_fades
from facerec.video.flashes import is_flash
from facerec.video.gradual import Found, find_gradual
from facerec.video.hard_cuts import find_hard_cuts
from facerec.video.miniature import LUMA_BYTES, Miniatures
from facerec.video.mixes import coarse

HARD = "cut"
_PART = 2000  # frames that are decided together; bounds memory
_MARGIN = 200  # frames around them that are compared too; more than any decision needs


@dataclass(frozen=True)
class Transition:
    """A transition of a film.

    Attributes:
        kind: `cut`, `dissolve`, `wipe` (irises too), `fade through black` or `fade through white`;
            `gradual` if only the network found it.
        begin, end: the frames that are of neither shot alone, half-open; both are `cut` for a hard cut.
        cut: the first frame that is more of the new shot.
    """

    kind: str
    begin: int
    end: int
    cut: int


def find_transitions(
    frames: NDArray[np.int64], miniatures: Miniatures, settings: ShotSettings | None = None
) -> list[Transition]:
    """Find the transitions of a film.

    Args:
        frames: (n,) numbers of the decoded frames, increasing; a frame after missing ones is compared with
            the one before the gap.
        miniatures: of these frames.

    Returns:
        In the order of the film, with cuts increasing.
    """
    settings = settings or ShotSettings()
    found: list[Found] = []
    for begin in range(0, len(frames), _PART):
        end = min(begin + _PART, len(frames))
        low = max(0, begin - _MARGIN)
        part = miniatures[low : min(len(frames), end + _MARGIN)]
        for one in decide(part, settings, low):
            moved = replace(one, begin=one.begin + low, end=one.end + low, cut=one.cut + low)
            is_new = not found or (moved.cut > found[-1].cut and moved.begin >= found[-1].end)
            if begin <= moved.cut < end and is_new:
                found.append(moved)
    numbers = frames.tolist()
    return [
        Transition(one.kind, numbers[one.begin], numbers[min(one.end, len(numbers) - 1)], numbers[one.cut])
        for one in found
    ]


def cuts_of(transitions: list[Transition]) -> list[int]:
    """Return the first frame of each new shot."""
    return [transition.cut for transition in transitions]


def decide(miniatures: NDArray[np.uint8], settings: ShotSettings, first: int = 0) -> list[Found]:
    """Find the transitions of miniatures that fit into memory; in indices of them.

    Args:
        first: index of the first miniature in the film.
    """
    pictures = miniatures[:, :LUMA_BYTES].astype(np.float32)
    if len(pictures) < 2:
        return []
    small = coarse(pictures)
    fades = [fade for fade in find_fades(pictures, small, settings) if not is_flash(pictures, fade, settings)]
    hard = [
        one
        for cut in find_hard_cuts(pictures, settings)
        if not any(fade.begin - 1 < cut <= fade.end for fade in fades)
        and not is_flash(pictures, one := Found(HARD, cut, cut, cut), settings)
    ]
    borders = sorted({one.cut for one in (*hard, *fades)})
    gradual = [
        one
        for one in find_gradual(pictures, small, borders, settings, first)
        if not any(one.begin <= fade.end and one.end >= fade.begin for fade in fades)
        and not is_flash(pictures, one, settings)
    ]
    return sorted([*hard, *fades, *gradual], key=lambda one: one.cut)
