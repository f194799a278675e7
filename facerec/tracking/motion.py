"""The motion of a face at an end of its track, and the cost of linking two such ends.

Two tracks are linked only if both sides agree: a constant-velocity Kalman filter runs forwards over the
last boxes of the earlier track and backwards over the first boxes of the later one, and the two must predict
the same place in the middle of the gap (the two-filter form of smoothing: D. C. Fraser, J. E. Potter, "The
optimum linear smoother as a combination of two optimum linear filters", 1969). Their difference is measured
in standard deviations. These grow as the ends have fewer boxes, and with the distance that both faces would
cover in the gap: a moving head may turn, but a head at rest on both sides of a gap stays where it is.

Lengths are relative to the size of the face, and each pair is judged by + - * / of its own numbers, so all
machines give the same result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_WINDOW = 12  # boxes at an end that are filtered; earlier ones would have almost no influence
_EDGE_SD = 0.05  # standard deviation of a detected edge, in face sizes
_VELOCITY_NOISE_SD = 0.02  # standard deviation of the change of velocity in a frame, in face sizes per frame
_INITIAL_VELOCITY_SD = 0.05  # standard deviation of the velocity at the first box, in face sizes per frame
_DAMPING_FRAMES = 16.0  # frames after which a damped motion has covered half of the undamped way

# Standard deviations of the difference between two ends of one face, chosen on TV episodes of 25 frames a
# second. Each is the root of a sum of squares: a constant part, a part for the number of boxes, a part for
# the gap.
_POSITION_SD = 0.08  # of the position, in face sizes
_POSITION_SD_ONE_BOX = 0.23  # at an end of one box; falls with the square root of the boxes
_POSITION_SD_MOTION = 0.3  # times the way that the slower of the two ends would cover in the gap
_SIZE_SD = 0.05  # of the size, as a share of it
_SIZE_SD_ONE_BOX = 0.12
_SIZE_SD_FRAME = 0.01  # times the frames of the gap
_MIN_BOXES = 4  # each end counts as at least so many, or the gate of very short tracks would let all pass


@dataclass(frozen=True)
class Motion:
    """Kalman estimates at one end of each of n tracks.

    Attributes:
        state: (n, 3) x, y of the box's centre, and its size, in pixels.
        velocity: (n, 3) change of the state in a frame, in the direction that leads out of the track.
        boxes: (n,) number of boxes filtered, at most `_WINDOW`.
    """

    state: Floats
    velocity: Floats
    boxes: Floats

    def predict_centres(self, tracks: Ints, frames: Floats) -> Floats:
        """Predict the centres of `tracks` (m,) `frames` (m,) frames beyond their end; (m, 2) x, y in pixels.

        The velocity is damped, because heads do not move on for long (R. A. Singer, "Estimating optimal
        tracking filter performance for manned maneuvering targets", 1970).
        """
        damped = frames / (1 + frames / _DAMPING_FRAMES)
        return self.state[tracks, :2] + self.velocity[tracks, :2] * damped[:, None]


def link_cost(ends: Motion, i: Ints, starts: Motion, j: Ints, frames: Ints) -> Floats:
    """Compute the costs of m links, from the ends `i` (m,) of tracks to the starts `j` (m,) of later ones.

    Args:
        ends, starts: motion at the ends of the earlier and the starts of the later tracks.
        frames: (m,) frames from the last box of the one to the first box of the other, at least 1.

    Returns:
        (m,) squared difference of position and of size, each in standard deviations, added up.
    """
    centre_i, centre_j = ends.predict_centres(i, frames / 2), starts.predict_centres(j, frames / 2)
    size_i, size_j = ends.state[i, 2], starts.state[j, 2]
    smaller, area = np.minimum(size_i, size_j), size_i * size_j
    fewness = 1 / np.maximum(ends.boxes[i], _MIN_BOXES) + 1 / np.maximum(starts.boxes[j], _MIN_BOXES)
    speed_i, speed_j = _squared_norm(ends.velocity[i, :2]), _squared_norm(starts.velocity[j, :2])
    slower = np.minimum(speed_i, speed_j) / (smaller * smaller)
    position_variance = (
        _POSITION_SD**2
        + _POSITION_SD_ONE_BOX**2 * fewness
        + _POSITION_SD_MOTION**2 * frames * frames * slower
    )
    size_variance = _SIZE_SD**2 + _SIZE_SD_ONE_BOX**2 * fewness + _SIZE_SD_FRAME**2 * frames * frames
    cost: Floats = (
        _squared_norm(centre_i - centre_j) / area / position_variance
        + (size_i - size_j) * (size_i - size_j) / area / size_variance
    )
    return cost


def _squared_norm(vectors: Floats) -> Floats:
    """(m,) squared lengths of (m, 2) vectors."""
    squared: Floats = vectors[:, 0] * vectors[:, 0] + vectors[:, 1] * vectors[:, 1]
    return squared


def walk_inward(ends: Ints, inward: Ints, count: int) -> list[Ints]:
    """Return `count` arrays (m,): the detections at the ends of m tracks, those next to them, and so on.

    Args:
        ends, inward: as in `estimate_motion`. Where a track has no more detections there is −1.
    """
    steps = [ends]
    while len(steps) < count:
        steps.append(np.where(steps[-1] >= 0, inward[steps[-1]], -1))
    return steps


def estimate_motion(states: Floats, frames: Ints, ends: Ints, inward: Ints) -> Motion:
    """Run a constant-velocity Kalman filter over the last boxes of each track, towards its end.

    The noise is relative to the size of the face and the same for all three coordinates, which therefore
    share one covariance: `pp` (position), `pv`, `vv` (velocity), in squared face sizes.

    Args:
        states: (n, 3) x, y of the centre, and size, of each detection, in pixels.
        frames: (n,) frame of each detection.
        ends: (m,) the detection at the end of each track.
        inward: (n,) the detection next to each one, away from the end; −1: none.
    """
    steps = walk_inward(ends, inward, _WINDOW)
    r = _EDGE_SD * _EDGE_SD
    q = _VELOCITY_NOISE_SD * _VELOCITY_NOISE_SD
    v0 = _INITIAL_VELOCITY_SD * _INITIAL_VELOCITY_SD
    m = len(ends)
    state, velocity = np.zeros((m, 3)), np.zeros((m, 3))
    pp, pv, vv, last = np.zeros(m), np.zeros(m), np.zeros(m), np.zeros(m)
    started = np.zeros(m, bool)
    for step in reversed(steps):  # from the innermost box outwards; shorter tracks start later
        present = step >= 0
        measured, now = states[step], frames[step]
        first, later = present & ~started, present & started
        dt = np.where(later, np.abs(now - last), 0.0)
        pp, pv, vv = (
            pp + 2 * dt * pv + dt * dt * vv + q * dt * dt * dt / 3,
            pv + dt * vv + q * dt * dt / 2,
            vv + q * dt,
        )
        gain, velocity_gain = np.where(later, (pp / (pp + r), pv / (pp + r)), 0.0)
        predicted = state + velocity * dt[:, None]
        state = np.where(first[:, None], measured, predicted + gain[:, None] * (measured - predicted))
        velocity = velocity + velocity_gain[:, None] * (measured - predicted) * later[:, None]
        pp, pv, vv = (
            np.where(first, r, (1 - gain) * pp),
            np.where(first, 0.0, (1 - gain) * pv),
            np.where(first, v0, vv - velocity_gain * pv),
        )
        started, last = started | present, np.where(present, now, last)
    state[:, 2] = np.maximum(state[:, 2], 1.0)
    boxes: Floats = np.sum([step >= 0 for step in steps], axis=0, dtype=np.float64)
    return Motion(state, velocity, boxes)
