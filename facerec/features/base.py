"""The interfaces of feature extractors, and functions that several extractors use.

An extractor knows pictures, sound samples and tensors, never films, folders or lists: the engine
(`facerec.feature_runs.engine`) reads a film once for all extractors and asks each one, clip by clip, what
it needs. There are three kinds:

- `WindowExtractor`: independent windows of frames, one row of features each (resnet152, place, …);
- `FrameExtractor`: frames of a clip one after the other, with state between them (person, action);
- `SoundExtractor`: the sound of a clip, in pieces of any length (audio_stft, vggish).

Features of a clip depend on this clip alone. Those of a window must not depend on the other windows in its
batch beyond rounding (1e-5 of the value), because the batches depend on how the work is shared out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image
from facerec.models.base import ModelCard
from facerec.models.device import Placement

if TYPE_CHECKING:
    from facerec.models.weights import WeightFiles

Arrays = Mapping[str, NDArray[Any]]  # by name: "features", or "layer_0", "layer_1", …

# Names of arrays. Vectors (`features`, `embeddings`, `layer_…`) are stored as --float16 and --l2 say; others,
# such as boxes, never.
FEATURES = "features"  # of an extractor that has only one array
EMBEDDINGS = "embeddings"
FRAMES = "frames"  # (n,) int64: the frame of each row, from the start of the clip
TRACKS = "tracks"  # (n,) int64: the track of each row, from 0
PICTURES = "pictures"  # (n,) bytes objects: a JPEG for each row


@dataclass(frozen=True, eq=False)
class Clip:
    """Times and size of a clip's frames: all that the choice of frames may depend on.

    Attributes:
        times: (n,) float64, presentation times of the frames in seconds from the first one, increasing. All
            frames that the clip should have, decodable or not.
        duration: in seconds, including the time for which the last frame is shown.
        width, height: size of the frames as displayed, in pixels.
    """

    times: NDArray[np.float64]
    duration: float
    width: int
    height: int

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class Window:
    """Frames that give one row of features.

    Attributes:
        frames: frame numbers inside the clip, not decreasing; a number may be repeated (padding).
        time: of its centre, in seconds from the start of the clip.
        padded: whether the clip was too short for it.
    """

    frames: tuple[int, ...]
    time: float
    padded: bool = False

    @property
    def centre(self) -> int:
        """The frame in its middle, which decides which part of a film the window belongs to."""
        return self.frames[len(self.frames) // 2]


@dataclass(frozen=True)
class Options:
    """Options of extractors; `options` in the registry names those that one has; None: the default.

    Attributes:
        layers: layers to return, each as an array of its own.
        step: frames from one window or detection to the next.
        window: length of a window, in frames.
        reduce: whether features with a time axis are reduced to a fixed size.
        crop: whether the centre of a frame is used instead of all of it.
        threshold: minimum score of persons, 0..1.
    """

    layers: tuple[int, ...] | None = None
    step: int | None = None
    window: float | None = None
    reduce: bool | None = None
    crop: bool | None = None
    threshold: float | None = None


class Extractor(Protocol):
    """The part of the three interfaces that is the same. A class takes `(files, placement, options)`.

    Attributes:
        name: in the registry.
        cards: identities of its models, in the order of the registry's `weights`.
        settings: everything else that decides the results (rate, window, step, size, layers, precision), for
            the provenance; JSON values.
        arrays: names of the arrays that it returns. Their first axis is time or order: windows, detections.
    """

    name: str
    cards: tuple[ModelCard, ...]
    settings: Mapping[str, Any]
    arrays: tuple[str, ...]

    def __init__(self, files: Sequence[WeightFiles], placement: Placement, options: Options) -> None: ...


class WindowExtractor(Extractor, Protocol):
    """Computes one row of features from each window of frames; the windows are independent.

    Attributes:
        batch_size: best number of windows for one call of `forward`.
    """

    batch_size: int

    def windows(self, clip: Clip) -> Iterator[Window]:
        """Yield the windows of `clip`, at least one; first frames and centres do not decrease.

        Lazily, and cheaply: it is called for whole films.
        """
        ...

    def prepare(self, picture: Image) -> NDArray[Any]:
        """Resize or crop a frame (height, width, 3) RGB uint8 to the small array that is kept of it.

        Called once for each frame, however many windows it is in.
        """
        ...

    def forward(self, windows: Sequence[Sequence[NDArray[Any]]]) -> list[Arrays]:
        """Compute the features of windows of prepared frames; the frames' sizes may differ among windows.

        Returns:
            For each window its row of each array, float32.

        Raises:
            NonFiniteError: the network returned NaN or an infinite number.
        """
        ...


class FrameRun(Protocol):
    """The work of a `FrameExtractor` on one clip.

    Attributes:
        padded: whether the clip was too short for a window.
    """

    padded: bool

    def frames(self) -> Iterator[int]:
        """Yield the numbers of the frames it needs, increasing, lazily; the same at each call."""
        ...

    def push(self, frame: int, picture: Image) -> None:
        """Take a frame that it needs, (height, width, 3) RGB uint8, in the order of `frames`.

        A frame that cannot be decoded is replaced by the one before it.
        """
        ...

    def finish(self) -> Iterable[Arrays]:
        """Return the arrays of the clip in blocks of rows, so that memory does not grow with the clip.

        Called once, after the last frame. There is one block at least; it may have no rows.
        """
        ...


class FrameExtractor(Extractor, Protocol):
    """Computes features of a clip from its frames, with state between them; memory must be bounded.

    It works on shots: the result of a film is that of its shots, joined by `join`.
    """

    def open(self, clip: Clip) -> FrameRun:
        """Begin a clip."""
        ...

    def join(self, parts: Iterable[tuple[int, Iterable[Arrays]]]) -> Iterator[Arrays]:
        """Join the results of the shots of a film, block by block.

        Args:
            parts: first frame of the shot in the film, and the blocks of its arrays; in order.
        """
        ...


class SoundRun(Protocol):
    """The work of a `SoundExtractor` on one clip.

    Attributes:
        padded: whether the clip was too short for a window; valid after `finish`.
    """

    padded: bool

    def push(self, samples: NDArray[np.float32]) -> Sequence[Arrays]:
        """Take the next samples (n,), mono, -1 to 1; return blocks of rows that are complete."""
        ...

    def finish(self) -> Iterable[Arrays]:
        """Return the last blocks of rows. Called once, after the last sample; there is one at least."""
        ...


class SoundExtractor(Extractor, Protocol):
    """Computes features of the sound of a clip, in pieces, so that memory does not grow with the clip.

    Attributes:
        sample_rate: of the samples that it takes, in Hz.
        transposed: arrays are stored as (features, rows) instead of (rows, features).
    """

    sample_rate: int
    transposed: bool

    def open(self, duration: float, folder: Path | None = None) -> SoundRun:
        """Begin a clip of `duration` seconds.

        Args:
            folder: for temporary files; None for the system's.
        """
        ...


def sample_at_rate(clip: Clip, rate: float) -> Iterator[int]:
    """Yield the frames of a clip at a constant rate, as FFmpeg's filter `fps` chooses them.

    There are round(duration * rate) of them, which may be 0. The k-th is the last frame with a time of at
    most k, in units of 1 / rate and rounded; halves are rounded up.

    Args:
        rate: frames per second.
    """
    units = np.floor(clip.times * rate + 0.5)
    units[0] = min(units[0], 0.0)
    count = int(np.floor(clip.duration * rate + 0.5))
    for beg in range(0, count, 1024):  # in pieces: a film has many
        wanted = np.arange(beg, min(beg + 1024, count))
        yield from (np.searchsorted(units, wanted, side="right") - 1).tolist()


def windows_at_rate(clip: Clip, rate: float) -> Iterator[Window]:
    """Yield a window for each frame of `sample_at_rate`; if there is none, one of the middle frame."""
    found = False
    for frame in sample_at_rate(clip, rate):
        found = True
        yield Window((frame,), float(clip.times[frame]))
    if not found:
        middle = len(clip) // 2
        yield Window((middle,), float(clip.times[middle]), padded=True)


def group_by_shape(
    windows: Sequence[Sequence[NDArray[Any]]], compute: Callable[[NDArray[Any]], Sequence[Arrays]]
) -> list[Arrays]:
    """Call `compute` for the windows of each shape, stacked to (windows, frames, …); keep their order."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for k, window in enumerate(windows):
        groups.setdefault((len(window), *window[0].shape), []).append(k)
    found: dict[int, Arrays] = {}
    for members in groups.values():
        rows = compute(np.stack([np.stack(windows[k]) for k in members]))
        found.update(zip(members, rows, strict=True))
    return [found[k] for k in range(len(windows))]


def join_tracks(parts: Iterable[tuple[int, Iterable[Arrays]]]) -> Iterator[Arrays]:
    """Join arrays of shots that have `FRAMES` and `TRACKS`: `FrameExtractor.join` of most extractors.

    Frames are then counted from the start of the film, tracks on through all shots.
    """
    next_track = 0
    for first_frame, blocks in parts:
        first_track = next_track
        for block in blocks:
            tracks = block[TRACKS] + first_track
            next_track = max(next_track, int(tracks.max(initial=-1)) + 1)
            yield {**block, FRAMES: block[FRAMES] + first_frame, TRACKS: tracks}
