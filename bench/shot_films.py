"""Make films with known transitions: real shots, joined and disturbed in ways that are drawn by a seed.

Sources are the shots of real clips and of the demo's film, mirrored and cropped at random. Shots are joined
by hard cuts, dissolves, fades, wipes and irises. Inside shots lies what is no transition: flashes,
explosions, strobe light, steps and ramps of exposure, whip pans, a ball before the lens, subtitles. A third
of the film is made silent film: grey, with flicker, scratches, dust and an unsteady gate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.errors import InputError

WIDTH, HEIGHT, FPS = 320, 180, 25
SHOTS = 48  # of a film
# first frames of the shots of real clips but the first, by eye
CUTS = {
    "10001": (20, 82, 211),
    "10002": (),
    "10003": (),
    "10004": (42, 142, 251, 441, 478, 620, 659, 757, 859),
    "10005": (70, 170, 301, 421, 484),
    "10006": (60, 140),
}
HARD, DISSOLVE, FADE_BLACK, FADE_WHITE, WIPE, IRIS = (
    "hard", "dissolve", "fade through black", "fade through white", "wipe", "iris",
)  # fmt: skip
GRADUAL = (DISSOLVE, FADE_BLACK, FADE_WHITE, WIPE, IRIS)
LENGTHS = {
    DISSOLVE: (4, 8, 12, 16, 24, 36, 48),
    FADE_BLACK: (12, 18, 24, 36),
    FADE_WHITE: (12, 18, 24, 36),
    WIPE: (10, 16, 24),
    IRIS: (12, 18, 24),
}
EVENTS = (
    "flash", "explosion", "strobe", "exposure step", "exposure ramp", "whip pan", "ball", "subtitle",
)  # fmt: skip

Frames = NDArray[np.uint8]  # (n, HEIGHT, WIDTH, 3) RGB


@dataclass(frozen=True)
class Transition:
    """A transition of the truth.

    Attributes:
        begin, end: the frames that are of neither shot alone, half-open; empty for a hard cut.
        cut: first frame that is more of the new shot.
    """

    kind: str
    begin: int
    end: int
    cut: int


@dataclass
class MadeFilm:
    """What a seed draws.

    Attributes:
        events: kind and frames `[begin, end)` of what is no transition.
    """

    frames: Frames
    transitions: list[Transition] = field(default_factory=list)
    events: list[tuple[str, int, int]] = field(default_factory=list)


def find_clips(folder: Path) -> list[Path]:
    """Return the clips of `CUTS` in a folder.

    Raises:
        InputError: one is missing; the made films would be others.
    """
    found = {path.name[:5]: path for path in sorted(folder.glob("*.mp4"))}
    if missing := [clip for clip in CUTS if clip not in found]:
        raise InputError(f"{folder}: has no film {', '.join(f'{clip}-*.mp4' for clip in missing)}")
    return [found[clip] for clip in CUTS]


def read_shots(clips: Sequence[Path], extra: Sequence[tuple[Path, Sequence[int]]] = ()) -> list[Frames]:
    """Read the shots of the clips, and of further films with their cuts, at WIDTH x HEIGHT."""
    films = [(path, CUTS[path.name[:5]]) for path in clips]
    shots: list[Frames] = []
    for path, cuts in (*films, *extra):
        frames = np.stack(list(_read(path)))
        shots += [shot for shot in np.split(frames, list(cuts)) if len(shot) >= 20]
    return shots


def _read(path: Path) -> Iterator[Frames]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            small = frame.reformat(WIDTH, HEIGHT, "rgb24", interpolation="AREA", threads=1)
            yield np.asarray(small.to_ndarray(), np.uint8)


def make(shots: Sequence[Frames], seed: int, count: int = SHOTS) -> MadeFilm:
    """Join `count` shots."""
    rng = np.random.default_rng(seed)
    made = MadeFilm(np.empty((0, HEIGHT, WIDTH, 3), np.uint8))
    parts: list[Frames] = []
    length = 0
    source = int(rng.integers(len(shots)))
    tail = _excerpt(shots[source], rng)
    silent_from = int(rng.integers(count * 2 // 3))
    silent = [0, 0]
    for k in range(count):
        body, event = _disturbed(tail, rng) if rng.random() < 0.5 else (tail, None)
        source = int(rng.choice([other for other in range(len(shots)) if other != source]))
        tail = _excerpt(shots[source], rng)
        if event:
            made.events.append((event[0], length + event[1], length + event[2]))
        kind = HARD if k == count - 1 or rng.random() < 0.45 else str(rng.choice(GRADUAL))
        if k == silent_from:
            silent[0] = length
        if k == silent_from + count // 3:
            silent[1] = length
        if kind == HARD:
            parts.append(body)
            length += len(body)
            cut = Transition(HARD, length, length, length)
        else:
            steps = int(rng.choice(LENGTHS[kind]))
            room = min(steps, len(body) - 12, len(tail) - 12)
            room -= room % 2
            mixed = _join(kind, body[len(body) - room :], tail[:room], rng)
            parts += [body[: len(body) - room], mixed]
            begin = length + len(body) - room
            length = begin + room
            cut = Transition(kind, begin, length, begin + room // 2)
            tail = tail[room:]
        if k < count - 1:
            made.transitions.append(cut)
    made.frames = np.concatenate(parts)
    end = silent[1] or length
    _silent(made.frames[silent[0] : end], rng)
    made.events.append(("silent film", silent[0], end))
    return made


def _excerpt(shot: Frames, rng: np.random.Generator) -> Frames:
    """Take a part of a shot, mirrored and cropped at random; a short shot goes back and forth."""
    length = int(rng.integers(64, 130))
    frames = shot
    while len(frames) < length:
        frames = np.concatenate([frames, frames[::-1]])
    begin = int(rng.integers(len(frames) - length + 1))
    frames = frames[begin : begin + length]
    if rng.random() < 0.5:
        frames = frames[:, :, ::-1]
    share = float(rng.uniform(0.6, 1))
    h, w = int(HEIGHT * share), int(WIDTH * share)
    y, x = int(rng.integers(HEIGHT - h + 1)), int(rng.integers(WIDTH - w + 1))
    return np.stack([cv2.resize(one[y : y + h, x : x + w], (WIDTH, HEIGHT)) for one in frames])


def _join(kind: str, old: Frames, new: Frames, rng: np.random.Generator) -> Frames:
    """Mix two stretches of the same length; at the middle frame the new one takes over."""
    n = len(old)
    share = (np.arange(n) + 0.5) / n
    if kind == DISSOLVE:
        return _mix(old, new, share)
    if kind in (FADE_BLACK, FADE_WHITE):
        colour = np.full_like(old, 0 if kind == FADE_BLACK else 255)
        half = np.clip(share * 2, 0, 1)
        return np.concatenate(
            [_mix(old, colour, half)[: n // 2], _mix(new, colour, np.clip(2 - 2 * share, 0, 1))[n // 2 :]]
        )
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    if kind == WIPE:
        angle = float(rng.choice([0, 90, 180, 270, 45, 135]))
        when = x * math.cos(math.radians(angle)) + y * math.sin(math.radians(angle))
    else:
        when = np.hypot(x - WIDTH / 2, y - HEIGHT / 2)
        when = when if rng.random() < 0.5 else -when
    order = np.argsort(when, axis=None)
    rank = np.empty(order.size, np.float32)
    rank[order] = (np.arange(order.size) + 0.5) / order.size
    turn = rank.reshape(HEIGHT, WIDTH, 1)
    return np.stack([np.where(turn < s, b, a) for a, b, s in zip(old, new, share, strict=True)])


def _mix(old: Frames, new: Frames, share: NDArray[np.float64]) -> Frames:
    pairs = zip(old, new, share, strict=True)
    return np.stack([cv2.addWeighted(a, 1 - float(s), b, float(s), 0) for a, b, s in pairs])


def _gained(frame: Frames, gain: float, offset: float = 0.0) -> Frames:
    return np.asarray(cv2.convertScaleAbs(frame, alpha=gain, beta=offset), np.uint8)


def _disturbed(shot: Frames, rng: np.random.Generator) -> tuple[Frames, tuple[str, int, int] | None]:
    """Add an event to a shot, away from its ends, which may be in a transition."""
    kind = str(rng.choice(EVENTS))
    frames = shot.copy()
    longest = {"flash": 5, "explosion": 20, "strobe": 24, "whip pan": 14, "ball": 8, "subtitle": 24}
    n = {"flash": int(rng.integers(1, 6)), "ball": int(rng.integers(4, 9))}.get(kind, longest.get(kind, 1))
    if kind == "exposure ramp":
        n = int(rng.integers(6, 25))
    free = len(shot) - 48 - n  # half the longest transition at either end
    if free < 1:
        return shot, None
    begin = 24 + int(rng.integers(free))
    span = slice(begin, begin + n)
    colour = rng.uniform(0.6, 1, 3)
    centre = rng.uniform(0.25, 0.75, 2) * (WIDTH, HEIGHT)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    if kind == "flash":
        strength = float(rng.uniform(0.5, 1))
        for t, one in enumerate(frames[span]):
            one[:] = cv2.addWeighted(one, 1 - strength * 0.8**t, np.full_like(one, 255), strength * 0.8**t, 0)
    elif kind == "explosion":
        for t, one in enumerate(frames[span]):
            size = WIDTH * 0.9 * min(1.0, (t + 1) / 4) * (1 - 0.5 * t / n)
            light = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * size**2 / 6))
            light *= max(0.0, 1 - (t / n) ** 2)
            one[:] = (one * (1 - light[..., None]) + 255 * light[..., None] * colour).clip(0, 255)
    elif kind == "strobe":
        period = int(rng.integers(2, 5))
        for t, one in enumerate(frames[span]):
            one[:] = _gained(one, 2.2 if t % period == 0 else 0.35)
    elif kind in ("exposure step", "exposure ramp"):
        gain = float(rng.choice([0.45, 0.6, 0.7, 1.4, 1.5, 1.8]))
        for t in range(begin, len(frames)):
            frames[t] = _gained(frames[t], 1 + (gain - 1) * min(1.0, (t - begin + 1) / n))
    elif kind == "whip pan":
        for t, one in enumerate(frames[span]):
            wide = np.concatenate([one, one[:, ::-1]], axis=1)
            at = int(WIDTH * (1 - math.cos(math.pi * (t + 1) / (n + 1))) / 2)
            speed = max(1, int(WIDTH * math.pi / 2 / n * math.sin(math.pi * (t + 1) / (n + 1))))
            one[:] = cv2.blur(wide, (speed, 1))[:, at : at + WIDTH]
        frames[begin + n :] = frames[begin + n :, :, ::-1]
    elif kind == "ball":
        ball = rng.integers(0, 256, 3)
        size = HEIGHT * float(rng.uniform(0.5, 1.0))
        for t, one in enumerate(frames[span]):
            inside = np.hypot(x - WIDTH * 1.6 * ((t + 0.5) / n) + WIDTH * 0.3, y - centre[1]) < size
            one[inside] = ball
    else:
        for one in frames[begin : begin + max(n, (len(frames) - 24) // 2)]:
            font, text = cv2.FONT_HERSHEY_SIMPLEX, "They never found it."
            cv2.putText(one, text, (40, 160), font, 0.7, (255, 255, 240), 2)
    return frames, (kind, begin, begin + n)


def make_title(shots: Sequence[Frames], seed: int) -> Frames:
    """Make a title without a transition: a still that grows, or shrinks, over a plain background."""
    rng = np.random.default_rng(seed)
    shot = shots[int(rng.integers(len(shots)))]
    still = shot[int(rng.integers(len(shot)))]
    length = int(rng.choice([10, 16, 24, 36, 48]))
    small, large = float(rng.uniform(0.05, 0.5)), float(rng.choice([1.0, 1.0, rng.uniform(0.7, 1.2)]))
    plain = np.broadcast_to(rng.integers(0, 256, 3).astype(np.uint8), still.shape)
    start, middle = rng.uniform(0.35, 0.65, 2) * (WIDTH, HEIGHT), np.array([WIDTH, HEIGHT]) / 2
    grown = np.clip((np.arange(length + 80) - 40) / length, 0, 1)
    if rng.random() < 0.5:
        grown = (1 - np.cos(np.pi * grown)) / 2
    frames = []
    for share in grown:
        scale = small + (large - small) * share
        shift = start + (middle - start) * share - scale * middle
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        frames.append(plain.copy())
        cv2.warpAffine(
            still,
            matrix,
            (WIDTH, HEIGHT),
            dst=frames[-1],
            flags=cv2.INTER_AREA,
            borderMode=cv2.BORDER_TRANSPARENT,
        )
    return np.stack(frames[:: int(rng.choice([-1, 1]))])


def _silent(frames: Frames, rng: np.random.Generator) -> None:
    """Make frames those of an old film, in place."""
    light = 1.0
    for one in frames:
        grey = cv2.cvtColor(one, cv2.COLOR_RGB2GRAY)
        light = 0.6 * light + 0.4 + float(rng.normal(0, 0.07))
        dx, dy = rng.normal(0, 0.8, 2)
        shift = np.array([[1, 0, dx], [0, 1, dy]])
        grey = cv2.warpAffine(grey, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        grey = _gained(grey, light, float(rng.normal(0, 3)))
        for _ in range(int(rng.poisson(1.5))):
            column = int(rng.integers(WIDTH))
            grey[:, column : column + int(rng.integers(1, 3))] = rng.choice([0, 255])
        for _ in range(int(rng.poisson(2))):
            centre = tuple(rng.integers(0, (WIDTH, HEIGHT)).tolist())
            cv2.circle(grey, centre, int(rng.integers(1, 9)), int(rng.choice([0, 255])), -1)
        one[:] = grey[..., None]


def encode(path: Path, frames: Frames) -> None:
    """Encode as films are: H.264 at constant quality."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.options = {"crf": "20", "preset": "veryfast", "threads": "1"}
        for one in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(one, format="rgb24")))
        container.mux(stream.encode())
