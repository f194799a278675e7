"""Sources of frames to encode: a folder of pictures, or ranges of films."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, TypeVar

from facerec.errors import InputError
from facerec.geometry import Image
from facerec.masters.numbered import NumberedPictures
from facerec.masters.pictures import codes_of, decode_picture
from facerec.masters.views import View, apply_view
from facerec.support.limits import cpu_threads
from facerec.video.decoded_frame import DecodedFrame
from facerec.video.film import Film, read_decoded
from facerec.video.identity import file_stamp
from facerec.video.orientation import Orientation

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


class Source(Protocol):
    """Frames `[0, frame_count)`, all of one size."""

    @property
    def frame_count(self) -> int:
        """Number of frames."""

    @property
    def rate(self) -> Fraction:
        """Frames per second."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""

    @property
    def sample_aspect(self) -> Fraction:
        """Width / height of a pixel."""

    @property
    def held(self) -> set[int]:
        """Those of the frames yielded so far that show the frame before them."""

    def images(self, beg: int, end: int) -> Iterator[Image]:
        """Yield the frames `[beg, end)` as RGB (height, width, 3) uint8."""

    def identity(self, beg: int, end: int) -> list[Any]:
        """Return what the pictures of the frames `[beg, end)` depend on, for JSON."""


@dataclass(frozen=True)
class PictureSource:
    """The frames of a folder of pictures.

    Args:
        hold: show the frame before in place of one that cannot be decoded.
        files: the file of each frame.
    """

    pictures: NumberedPictures
    rate: Fraction
    size: tuple[int, int]
    sample_aspect: Fraction
    view: View
    hold: bool
    files: Sequence[Path] = field(repr=False)
    held: set[int] = field(default_factory=set, repr=False)

    @property
    def frame_count(self) -> int:
        return self.pictures.frame_count

    def images(self, beg: int, end: int) -> Iterator[Image]:
        yield from in_threads(self._image, range(beg, end))

    def identity(self, beg: int, end: int) -> list[Any]:
        files = [(str(path.absolute()), file_stamp(path)) for path in self.files[beg:end]]
        return [files, self.view, self.hold]

    def _image(self, number: int) -> Image:
        for earlier in range(number, -1, -1):
            try:
                frame = decode_picture(self.files[earlier])
            except InputError as error:
                if not self.hold:
                    raise InputError(f"{error}, or hold the frame before with --gaps hold") from None
                if earlier == number:
                    log.warning("frame %d: %s; the frame before is held", number, error)
            else:
                if number and self.files[earlier] == self.files[number - 1]:
                    self.held.add(number)
                return apply_view(self.view, *codes_of(frame))
        raise InputError(f"{self.files[0]}: neither it nor a frame up to number {number} can be decoded")


@dataclass(frozen=True)
class FilmRange:
    """Frames `[beg, end)` of a film."""

    film: Film
    beg: int
    end: int


@dataclass(frozen=True)
class FilmSource:
    """The frames of films, one after the other.

    Args:
        hold: show the frame before in place of one that cannot be decoded.
    """

    ranges: Sequence[FilmRange]
    rate: Fraction
    view: View
    hold: bool
    held: set[int] = field(default_factory=set, repr=False)

    @property
    def frame_count(self) -> int:
        return sum(part.end - part.beg for part in self.ranges)

    @property
    def size(self) -> tuple[int, int]:
        film = self.ranges[0].film
        return (film.width, film.height) if self.view != "none" else (film.display_width, film.display_height)

    @property
    def sample_aspect(self) -> Fraction:
        film = self.ranges[0].film
        if self.view == "none":
            return Fraction(1)
        return Fraction(film.display_width * film.height, film.display_height * film.width)

    def images(self, beg: int, end: int) -> Iterator[Image]:
        first = 0  # number of the part's first frame
        for part in self.ranges:
            count = part.end - part.beg
            if first < end and first + count > beg:
                wanted = part.beg + max(0, beg - first), part.beg + min(count, end - first)
                image: Image | None = None
                for found in in_threads(self._image, self._frames(part, first, *wanted)):
                    image = found if found is not None else image
                    assert image is not None
                    yield image
            first += count

    def identity(self, beg: int, end: int) -> list[Any]:
        parts = [[str(one.film.path.absolute()), one.film.stamp, one.beg, one.end] for one in self.ranges]
        return [parts, self.view, self.hold]

    def _frames(self, part: FilmRange, first: int, beg: int, end: int) -> Iterator[DecodedFrame | None]:
        """Yield the frames `[beg, end)` of a part's film; None for one that repeats the one before.

        Args:
            first: number of the part's first frame.
        """
        before: DecodedFrame | None = None
        due = beg
        for frame in read_decoded(part.film, beg, end):
            if frame.number < beg:
                before = frame
                continue
            yield from self._repeated(part, first, before, range(due, frame.number), begun=due > beg)
            yield frame
            before, due = frame, frame.number + 1
        yield from self._repeated(part, first, before, range(due, end), begun=due > beg)

    def _repeated(
        self, part: FilmRange, first: int, before: DecodedFrame | None, missing: range, *, begun: bool
    ) -> Iterator[DecodedFrame | None]:
        if not missing:
            return
        more = f" and {len(missing) - 1} after it" if len(missing) > 1 else ""
        where = f"{part.film.path}: frame {missing[0]}{more} cannot be decoded"
        if not self.hold:
            raise InputError(f"{where}; copy the film again, or hold the frame before with --gaps hold")
        if before is None:
            raise InputError(f"{where}, and no frame before them")
        log.warning("%s; the frame before is held", where)
        self.held.update(first - part.beg + number for number in missing)
        if not begun:  # the frame before was read, but is not one of those to yield
            yield before
        yield from [None] * (len(missing) - (not begun))

    def _image(self, frame: DecodedFrame | None) -> Image | None:
        if frame is None:
            return None
        return frame.image() if self.view == "none" else apply_view(self.view, *codes_of(frame.picture))


def check_one_size(ranges: Sequence[FilmRange], view: View) -> None:
    """Check that all films can be one; raises InputError for other sizes, or turned films with a view."""
    first = ranges[0].film
    for part in ranges:
        film = part.film
        if (film.display_width, film.display_height) != (first.display_width, first.display_height):
            raise InputError(
                f"{film.path}: is {film.display_width}x{film.display_height}, but {first.path} is "
                f"{first.display_width}x{first.display_height}; the parts of a film must have one size"
            )
        if view != "none" and film.orientation != Orientation(0):
            raise InputError(f"{film.path}: is turned, which is not possible with --view {view}")


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `work(item)` for each item in order, computed in `cpu_threads()` threads a few items ahead."""
    threads = cpu_threads()
    if threads == 1:
        yield from map(work, items)
        return
    ahead: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                ahead.append(pool.submit(work, item))
                if len(ahead) > threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for one in ahead:
                one.cancel()
