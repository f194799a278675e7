"""Where a face was going at the end of a trajectory, and how unlike a link of two such ends is. Numbers only.

A link must be explained from both sides: a constant-velocity Kalman filter runs over the last boxes of the
one, forwards, and over the first boxes of the other, backwards, and the two must predict the same place in
the middle of the gap (the two-filter form of smoothing: D. C. Fraser, J. E. Potter, "The optimum linear
smoother as a combination of two optimum linear filters", 1969). How far apart they may be is measured in
standard deviations, which grow with how few boxes the ends have, and with the way that both of them go in
the gap: what moves is likely to turn, what rests on either side is not likely to be elsewhere after it.

All lengths are relative to the face's size. Each pair is judged by + - * / of its own numbers, so all
machines agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_WINDOW = 12  # boxes at an end that say where the face is going; older ones have no weight left
_JITTER = 0.05  # standard deviation of a detected edge, in face sizes
_TURN = 0.02  # standard deviation of the change of velocity in one frame, in face sizes a frame
_SPEED = 0.05  # standard deviation of the velocity of a face seen once, in face sizes a frame
_STEADY = 16.0  # frames after which half of the way that a velocity would have gone is gone: heads turn back

# Standard deviations of what two ends of one face disagree by. Chosen on TV episodes of 25 frames a second.
_PLACE = 0.08  # of the place, in face sizes: what is left where both ends are long and the face rests,
_PLACE_SEEN = 0.23  # a box seen at one end; falls with the square root of the boxes,
_PLACE_MOVED = 0.3  # and a face size that the slower of the two ends would go in the gap
_SIZE = 0.05  # of the size, as a share of it: likewise,
_SIZE_SEEN = 0.12
_SIZE_FRAME = 0.01  # and a frame of the gap
_FEWEST = 4  # boxes that every end counts as: a box or two must not be excused for everything


@dataclass(frozen=True)
class Motion:
    """Filtered ends of n trajectories.

    Attributes:
        state: (n, 3) x, y of the centre, and size, in pixels.
        velocity: (n, 3) their change a frame, outwards.
        seen: (n,) boxes that this was computed from, at most `_WINDOW`.
    """

    state: Floats
    velocity: Floats
    seen: Floats

    def ahead(self, chosen: Ints, dt: Floats) -> Floats:
        """(m, 2) where the centres of the `chosen` (m,) ends will be `dt` (m,) frames on.

        Heads do not go on for long: a velocity is lost by and by (R. A. Singer, "Estimating optimal
        tracking filter performance for manned maneuvering targets", 1970).
        """
        return self.state[chosen, :2] + self.velocity[chosen, :2] * (dt / (1 + dt / _STEADY))[:, None]


def unlikeness(going: Motion, i: Ints, coming: Motion, j: Ints, step: Ints) -> Floats:
    """How badly the ends `i` (m,) of `going` and the beginnings `j` (m,) of `coming` fit each other.

    Args:
        step: (m,) frames from the last box of the one to the first of the other.

    Returns:
        (m,) sum of the squares of how far apart they are in place and in size, in standard deviations.
    """
    one, other = going.ahead(i, step / 2), coming.ahead(j, step / 2)
    a, b = going.state[i, 2], coming.state[j, 2]
    small, area = np.minimum(a, b), a * b
    few = 1 / np.maximum(going.seen[i], _FEWEST) + 1 / np.maximum(coming.seen[j], _FEWEST)
    slower = np.minimum(_square(going.velocity[i, :2]), _square(coming.velocity[j, :2])) / (small * small)
    place = _PLACE**2 + _PLACE_SEEN**2 * few + _PLACE_MOVED**2 * step * step * slower
    size = _SIZE**2 + _SIZE_SEEN**2 * few + _SIZE_FRAME**2 * step * step
    unlike: Floats = _square(one - other) / area / place + (a - b) * (a - b) / area / size
    return unlike


def _square(vectors: Floats) -> Floats:
    """(m,) squared lengths of (m, 2) vectors."""
    squared: Floats = vectors[:, 0] * vectors[:, 0] + vectors[:, 1] * vectors[:, 1]
    return squared


def filtered(states: Floats, frames: Ints, ends: Ints, inwards: Ints) -> Motion:
    """Run a constant-velocity Kalman filter over the last boxes of each chain, towards its end.

    The noise is relative to the face's size and the same for all three coordinates, so they share one
    covariance: `pp`, `pv`, `vv`, in squared face sizes.

    Args:
        states: (all, 3) x, y of the centre, and size of each detection, in pixels.
        frames: (all,) frame of each.
        ends: (n,) detections at which chains end.
        inwards: (all,) the next detection towards the middle of the chain, −1 where there is none.
    """
    steps = [ends]
    while len(steps) < _WINDOW:
        steps.append(np.where(steps[-1] >= 0, inwards[steps[-1]], -1))
    r, q, v0 = _JITTER * _JITTER, _TURN * _TURN, _SPEED * _SPEED
    n = len(ends)
    state, velocity = np.zeros((n, 3)), np.zeros((n, 3))
    pp, pv, vv, last = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    begun = np.zeros(n, bool)
    for step in reversed(steps):  # the oldest first; a chain that is shorter begins later
        here = step >= 0
        seen, now = states[step], frames[step]
        first, later = here & ~begun, here & begun
        dt = np.where(later, np.abs(now - last), 0.0)
        pp, pv, vv = (
            pp + 2 * dt * pv + dt * dt * vv + q * dt * dt * dt / 3,
            pv + dt * vv + q * dt * dt / 2,
            vv + q * dt,
        )
        gain, turn = np.where(later, (pp / (pp + r), pv / (pp + r)), 0.0)
        predicted = state + velocity * dt[:, None]
        state = np.where(first[:, None], seen, predicted + gain[:, None] * (seen - predicted))
        velocity = velocity + turn[:, None] * (seen - predicted) * later[:, None]
        pp, pv, vv = (
            np.where(first, r, (1 - gain) * pp),
            np.where(first, 0.0, (1 - gain) * pv),
            np.where(first, v0, vv - turn * pv),
        )
        begun, last = begun | here, np.where(here, now, last)
    state[:, 2] = np.maximum(state[:, 2], 1.0)
    seen = np.sum([step >= 0 for step in steps], axis=0, dtype=np.float64)
    return Motion(state, velocity, seen)
