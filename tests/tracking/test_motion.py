"""The motion at an end of a track is that of a Kalman filter; costs are relative to the size of the face."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from facerec.tracking import motion
from facerec.tracking.motion import Motion, estimate_motion, link_cost

Floats = NDArray[np.float64]


def kalman(states: Floats, times: list[int]) -> tuple[Floats, Floats]:
    """Filter (n, 3) states at `times` with matrices; return the last state and velocity, (3,) each.

    The state of each coordinate is its position and velocity, moved by white noise of the acceleration.
    """
    r, q, v0 = (sd**2 for sd in (motion._EDGE_SD, motion._VELOCITY_NOISE_SD, motion._INITIAL_VELOCITY_SD))
    mean, covariance = np.array([states[0], np.zeros(3)]), np.diag([r, v0])
    for measured, dt in zip(states[1:], np.diff(times), strict=True):
        step = np.array([[1, dt], [0, 1]])
        noise = q * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        mean, covariance = step @ mean, step @ covariance @ step.T + noise
        gain = covariance[:, :1] / (covariance[0, 0] + r)
        mean = mean + gain * (measured - mean[0])
        covariance = covariance - gain @ covariance[:1]
    return mean[0], mean[1]


@pytest.mark.parametrize("seed", range(5))
def test_the_state_at_an_end_is_that_of_a_filter_with_matrices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = motion._WINDOW - 1
    frames = np.cumsum(rng.integers(1, 4, n))
    states = np.column_stack([rng.uniform(0, 300, (n, 2)), rng.uniform(30, 60, n)])
    forth, back = np.arange(n) - 1, np.where(np.arange(n) + 1 < n, np.arange(n) + 1, -1)
    found = estimate_motion(states, frames, np.array([n - 1, 2, 0]), forth)
    for at, count in enumerate((n, 3, 1)):
        state, velocity = kalman(states[:count], frames[:count].tolist())
        np.testing.assert_allclose(found.state[at], state)
        np.testing.assert_allclose(found.velocity[at], velocity, atol=1e-12)
        assert found.boxes[at] == count
    backwards = estimate_motion(states, frames, np.array([0]), back)
    state, velocity = kalman(states[::-1], (-frames[::-1]).tolist())
    np.testing.assert_allclose(backwards.state[0], state)
    np.testing.assert_allclose(backwards.velocity[0], velocity)


def test_only_the_last_boxes_of_a_track_say_how_it_moves() -> None:
    """Every machine looks at the same number of them: what came earlier has little influence, but some."""
    rng = np.random.default_rng(9)
    n = motion._WINDOW + 3
    states, inward = rng.uniform(30, 60, (n, 3)), np.arange(n) - 1
    found = estimate_motion(states, np.arange(n), np.array([n - 1]), inward)
    state, velocity = kalman(states[3:], list(range(3, n)))
    np.testing.assert_allclose(found.state[0], state)
    np.testing.assert_allclose(found.velocity[0], velocity)
    assert found.boxes.tolist() == [motion._WINDOW]


def end(x: float = 0.0, size: float = 40.0, speed: float = 0.0, boxes: int = 20) -> Motion:
    return Motion(np.array([[x, 0.0, size]]), np.array([[speed, 0.0, 0.0]]), np.array([float(boxes)]))


def cost(one: Motion, other: Motion, frames: int = 1) -> float:
    first = np.zeros(1, np.int64)
    return float(link_cost(one, first, other, first, np.array([frames]))[0])


def test_position_and_size_are_compared_in_the_standard_deviations_of_the_measurement() -> None:
    """In units of the face: of the mean size of both, which is the geometric mean."""
    position, size = sqrt(0.08**2 + 0.23**2 / 10), sqrt(0.05**2 + 0.12**2 / 10 + 0.01**2)
    assert cost(end(), end(40 * position)) == pytest.approx(1)
    assert cost(end(), end(-80 * position)) == pytest.approx(4)
    of_size = 4**2 / (40 * 44) / size**2
    assert cost(end(), end(size=44.0)) == cost(end(size=44.0), end()) == pytest.approx(of_size)
    of_both = of_size + 10**2 / (40 * 44) / position**2
    assert cost(end(), end(10.0, size=44.0)) == pytest.approx(of_both)


def test_ends_of_few_boxes_and_long_gaps_are_less_sure() -> None:
    """Ends of fewer than four boxes count as of four."""
    apart, larger = end(10.0), end(size=46.0)
    for other in (apart, larger):
        many, few, one = (cost(end(boxes=n), other) for n in (20, 4, 1))
        assert many > few == one
    near, far = (0.05**2 + 0.12**2 / 10 + 0.01**2 * frames**2 for frames in (1, 12))
    assert cost(end(), larger, 1) / cost(end(), larger, 12) == pytest.approx(far / near)
    assert cost(end(), apart, 1) == cost(end(), apart, 12)  # at rest the place does not get unsure


def test_a_moving_face_may_be_off_by_a_part_of_its_way_in_the_gap() -> None:
    """As far as the slower of both ends would move."""
    off = end(30.0 + 4 * 6, speed=-4.0)  # outwards, so both move to the right
    slower = end(30.0 + 4 * 6, speed=-1.0)
    expected = 0.08**2 + 0.23**2 / 10 + 0.3**2 * 6**2 * (4 / 40) ** 2
    damped = 3 / (1 + 3 / motion._DAMPING_FRAMES)
    distance = (30 + 24 - 2 * 4 * damped) / 40
    assert cost(end(speed=4.0), off, 6) == pytest.approx(distance**2 / expected)
    assert cost(end(speed=4.0), slower, 6) > cost(end(speed=4.0), off, 6)


def test_up_and_down_are_compared_like_left_and_right() -> None:
    def turned(of: Motion) -> Motion:
        return Motion(of.state[:, [1, 0, 2]], of.velocity[:, [1, 0, 2]], of.boxes)

    one, other = end(speed=4.0), end(40.0, size=44.0, speed=-3.0)
    assert cost(turned(one), turned(other), 6) == cost(one, other, 6) > 0


@pytest.mark.parametrize("scale", [0.25, 3.0])
def test_costs_do_not_depend_on_the_size_of_the_picture(scale: float) -> None:
    def scaled(of: Motion) -> Motion:
        return Motion(of.state * scale, of.velocity * scale, of.boxes)

    one, other = end(speed=4.0), end(40.0, size=44.0, speed=-3.0)
    assert cost(scaled(one), scaled(other), 6) == pytest.approx(cost(one, other, 6))
