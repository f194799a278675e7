"""The engine: reads a footage once and computes features of all its clips with all extractors.

A thread decodes, prepares frames and collects windows into batches; the caller's thread computes. Windows of
different clips share batches, also over several calls of `compute`. Memory is bounded by the batches and by
the frames of open windows, not by the length of a footage or clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facerec.errors import InputError, NonFiniteError
from facerec.feature_runs.clips import ClipFrames, ClipWindows, clip_of, wanted_frames
from facerec.feature_runs.rows import OutputFormat, Rows
from facerec.feature_runs.sound import compute_sound
from facerec.feature_runs.sources import ClipRequest, Finished, Footage, Frame
from facerec.feature_runs.work import Work
from facerec.features import EXTRACTORS
from facerec.features.base import Arrays, Extractor
from facerec.geometry import Image
from facerec.support.prefetch import prefetch

DEPTH = 2  # batches, or frames of extractors with state, that may wait for the computing thread
PROGRESS = 64  # frames between two reports of progress


@dataclass(frozen=True)
class _Batch:
    feature: str
    windows: list[tuple[Work, list[Any]]]


@dataclass(frozen=True)
class _Picture:
    work: Work
    frame: int
    picture: Image


@dataclass(frozen=True)
class _End:
    work: Work


@dataclass(frozen=True)
class _Progress:
    frames: int


_Event = _Batch | _Picture | _End | _Progress


class _Decoded:
    """A decoded frame, converted to RGB and prepared at most once."""

    def __init__(self, frame: Frame) -> None:
        self.number, self._convert = frame
        self._picture: Image | None = None
        self._prepared: dict[str, Any] = {}

    @property
    def picture(self) -> Image:
        if self._picture is None:
            self._picture = self._convert()
        return self._picture

    def prepared(self, feature: str, prepare: Callable[[Image], Any]) -> Any:
        if feature not in self._prepared:
            self._prepared[feature] = prepare(self.picture)
        return self._prepared[feature]


class FeatureEngine:
    """Computes features of clips, see `sources.Engine`.

    Args:
        extractors: by name in the registry.
        format: how features are stored.
        folder: for temporary files; None for the system's.
    """

    def __init__(
        self,
        extractors: Mapping[str, Any],
        format: OutputFormat | None = None,
        folder: Path | None = None,
    ) -> None:
        self._extractors, self._folder = extractors, folder
        self._format = format or OutputFormat()
        self._pending: dict[str, list[tuple[Work, list[Any]]]] = {name: [] for name in extractors}

    def extractor(self, feature: str) -> Extractor:
        """Return the extractor of a feature."""
        found: Extractor = self._extractors[feature]
        return found

    def new_rows(self, feature: str) -> Rows:
        """Return empty rows in the format and layout of a feature."""
        transposed = getattr(self._extractors[feature], "transposed", False)
        return Rows(self._format, self._folder, transposed)

    def compute(
        self,
        footage: Footage,
        clips: Sequence[ClipRequest],
        features: Sequence[str],
        finished: Finished,
        advance: Callable[[int], None],
    ) -> None:
        """Compute features of clips of one footage, see `sources.Engine`."""
        works = [
            Work(clip, feature, self.new_rows(feature), finished)
            for clip in clips
            for feature in features
            if _applies(feature, clip)
        ]
        try:
            self._read_pictures(footage, [work for work in works if not _is_sound(work.feature)], advance)
            with_sound = [work for work in works if _is_sound(work.feature)]
            pairs = [(work, self._extractors[work.feature]) for work in with_sound]
            compute_sound(footage, pairs, self._folder)
        except BaseException:
            for name, windows in self._pending.items():
                self._pending[name] = [window for window in windows if window[0] not in works]
            for work in works:
                work.drop()
            raise

    def flush(self) -> None:
        """Compute the windows that wait for a full batch."""
        for feature, windows in self._pending.items():
            if windows:
                self._pending[feature] = []
                self._compute(_Batch(feature, windows))

    def _read_pictures(self, footage: Footage, works: Sequence[Work], advance: Callable[[int], None]) -> None:
        if not works:
            return
        if not len(footage.times):
            for work in works:
                work.error = InputError(f"{footage.name}: has no pictures")
                work.finish()
            return
        for work in works:
            extractor = self._extractors[work.feature]
            if EXTRACTORS[work.feature].kind == "windows":
                work.clip = ClipWindows(footage, work.request, extractor)
            else:
                run = extractor.open(clip_of(footage, work.request.beg, work.request.end))
                work.clip = ClipFrames(work.request, run)
        with prefetch(self._events(footage, works), DEPTH) as events:
            for event in events:
                match event:
                    case _Batch():
                        self._compute(event)
                    case _Picture(work, frame, picture):
                        _push(work, frame, picture)
                    case _End(work):
                        _end(work)
                    case _Progress(frames):
                        advance(frames)

    def _events(self, footage: Footage, works: Sequence[Work]) -> Iterator[_Event]:
        """Decode; runs in the reading thread."""
        waiting = sorted(works, key=lambda work: work.clip.beg if work.clip else 0, reverse=True)
        active: list[Work] = []
        needed = [work.clip for work in works if work.clip is not None and work.clip.beg < work.clip.end]
        beg = min((clip.beg for clip in needed), default=0)
        end = max((clip.end for clip in needed), default=0)
        previous: _Decoded | None = None
        reported = beg
        frames = footage.frames(beg, end, wanted_frames(footage, needed)) if beg < end else iter(())
        for current in map(_Decoded, frames):
            if current.number >= beg:
                while waiting and _clip(waiting[-1]).beg <= current.number:
                    active.append(waiting.pop())
                for work in active:
                    yield from self._feed(work, previous, current)
                over = [work for work in active if _clip(work).end <= current.number + 1]
                yield from map(_End, over)
                if over:
                    active = [work for work in active if work not in over]
            previous = current
            if current.number >= reported + PROGRESS:
                yield _Progress(current.number - reported)
                reported = current.number
        for work in (*active, *reversed(waiting)):
            yield from self._feed(work, previous, None)
            yield _End(work)
        yield _Progress(end - reported)

    def _feed(self, work: Work, previous: _Decoded | None, current: _Decoded | None) -> Iterator[_Event]:
        """Give a clip the frames that it needs, up to `current` or, if that is None, to its end.

        A frame that cannot be decoded is replaced by the one before it in the clip, else by the one after.
        """
        clip = _clip(work)
        stop = clip.end if current is None else min(current.number + 1, clip.end)
        for frame in range(clip.position, stop):
            if not clip.needs(frame):
                continue
            decoded = current
            if current is None or frame < current.number:
                if previous is not None and previous.number >= work.request.beg:
                    decoded = previous
                elif current is not None and current.number >= work.request.end:
                    decoded = None
            if decoded is None:
                work.error = InputError("none of its frames can be decoded")
            elif isinstance(clip, ClipFrames):
                yield _Picture(work, frame, decoded.picture)
            else:
                extractor = self._extractors[work.feature]
                prepared = decoded.prepared(work.feature, extractor.prepare)
                for window in clip.take(frame, prepared):
                    work.queued += 1
                    pending = self._pending[work.feature]
                    pending.append((work, window))
                    if len(pending) >= extractor.batch_size:
                        self._pending[work.feature] = []
                        yield _Batch(work.feature, pending)
        clip.position = max(clip.position, stop)

    def _compute(self, batch: _Batch) -> None:
        windows = [(work, window) for work, window in batch.windows if work.error is None]
        forward = self._extractors[batch.feature].forward
        results: list[Arrays | NonFiniteError] = []
        if windows:
            try:
                results = [*forward([window for _, window in windows])]
            except NonFiniteError:  # find out which clips
                results = [_try(forward, window) for _, window in windows]
        for (work, _), result in zip(windows, results, strict=True):
            if isinstance(result, NonFiniteError):
                work.error = result
            elif work.error is None:
                try:
                    work.rows.append({name: np.asarray(row)[None] for name, row in result.items()})
                except NonFiniteError as error:
                    work.error = error
        for work, _ in batch.windows:
            work.computed += 1
            if work.ended and work.computed == work.queued:
                work.finish()


def _applies(feature: str, clip: ClipRequest) -> bool:
    kind = EXTRACTORS[feature].kind
    if kind == "sound":
        return clip.sound
    return clip.pictures and (kind == "windows" or clip.owned is None)


def _is_sound(feature: str) -> bool:
    return EXTRACTORS[feature].kind == "sound"


def _clip(work: Work) -> ClipWindows | ClipFrames:
    assert work.clip is not None
    return work.clip


def _push(work: Work, frame: int, picture: Image) -> None:
    if work.error is None and isinstance(work.clip, ClipFrames):
        try:
            work.clip.run.push(frame - work.request.beg, picture)
        except NonFiniteError as error:
            work.error = error


def _end(work: Work) -> None:
    work.ended = True
    if work.error is None:
        if isinstance(work.clip, ClipFrames):
            try:
                for block in work.clip.run.finish():
                    work.rows.append(block)
            except NonFiniteError as error:
                work.error = error
            work.rows.padded = work.clip.run.padded
        elif work.clip is not None:
            work.rows.padded = work.clip.padded
    if work.computed == work.queued:
        work.finish()


def _try(forward: Callable[[Any], list[Arrays]], window: list[Any]) -> Arrays | NonFiniteError:
    try:
        return forward([window])[0]
    except NonFiniteError as error:
        return error
