"""Where the numbers of frames come from: packets that agree with decoder and seeks, else decoding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from facerec.errors import InputError
from facerec.video import frame_index as module
from facerec.video.decoding import FrameIndex
from facerec.video.frame_index import HEAD, TAIL, build_index

PATH = Path("7-a.mkv")


@dataclass(frozen=True)
class Packet:
    pts: int | None
    dts: int | None = None
    size: int = 100
    pos: int | None = None
    is_corrupt: bool = False
    is_discard: bool = False


@dataclass
class Film:
    """Stands in for a film of 25 frames per second, its demuxer and its decoder.

    Attributes:
        decoded: times of the frames that come out of the decoder, in place of the packets'.
        lost: times of the frames that come out, but not intact.
        damaged: whether the decoder finds damage.
        after_seek: the packets found after a seek, by the position sought.
        pixels: of the frames found after a seek, by their numbers, where they differ.
    """

    packets: Sequence[Packet]
    decoded: Sequence[int | None] | None = None
    lost: Iterable[int] = ()
    damaged: bool = False
    after_seek: dict[int, Sequence[Packet]] = field(default_factory=dict)
    pixels: dict[int, bytes] = field(default_factory=dict)
    seek_error: bool = False
    time_base: Fraction | None = Fraction(1, 25)
    frames: int = 0
    duration: int | None = None
    others: Sequence[Any] = ()
    unreadable: Sequence[int] = ()
    sought: list[int] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
    given: int = 0  # frames that came out of the decoder

    def times(self) -> list[int | None]:
        shown = [packet.pts for packet in self.packets if not packet.is_discard]
        return sorted(shown, key=lambda pts: pts or 0) if self.decoded is None else list(self.decoded)

    def frame(self, pts: int | None, pixels: bytes | None = None) -> Any:
        self.given += 1
        return SimpleNamespace(pts=pts, planes=[pixels if pixels is not None else f"frame at {pts}".encode()])

    def around(self, path: Path, index: FrameIndex, number: int, *options: Any) -> Iterator[tuple[int, Any]]:
        """Decode from the tenth frame before `number` on, those that are intact and wanted."""
        self.begun.append(number)
        for n in range(max(0, number - 10), len(index.pts)):
            pts = int(index.pts[n])
            is_wanted = len(options) < 2 or options[1]._wanted[n]
            if is_wanted and pts in self.times() and pts not in self.lost:
                yield n, self.frame(pts, self.pixels.get(n))


class Opened:
    """The film, opened once."""

    def __init__(self, film: Film, stream: Any) -> None:
        self.film, self.position, self.duration = film, -1, film.duration
        self.format = SimpleNamespace(name="avi")
        self.streams = Streams([stream, *film.others])

    def seek(self, position: int, stream: Any) -> None:
        assert stream.id == 1, "the position is in the units of the stream"
        self.film.sought.append(position)
        if self.film.seek_error:
            raise OSError("no index")
        self.position = position


class Streams(list[Any]):
    @property
    def video(self) -> list[Any]:
        return self


def indexed(film: Film, monkeypatch: pytest.MonkeyPatch, *, unread: Sequence[str] = ()) -> FrameIndex:
    @contextmanager
    def opened(path: Path, file: object = None) -> Iterator[tuple[Any, Any]]:
        stream = SimpleNamespace(time_base=film.time_base, frames=film.frames, id=1)
        yield Opened(film, stream), stream

    def packets(container: Opened, stream: Any, damage: list[int] | None = None) -> Iterator[Any]:
        assert stream.id == 1
        if damage is not None:
            damage += film.unreadable
        if container.position < 0:
            return iter(film.packets)
        later = [packet for packet in film.packets if (packet.pts or 0) >= container.position]
        return iter(film.after_seek.get(container.position, later))

    class Run:
        damaged = film.damaged

        def __init__(self, *args: Any) -> None:
            assert args == (PATH, None, None)

        def frames(self) -> Iterator[tuple[Any, bool]]:
            for pts in film.times():
                yield film.frame(pts), pts not in film.lost

        def numbered(self, index: FrameIndex) -> Iterator[tuple[int, Any]]:
            return ((index.number(frame.pts), frame) for frame, intact in self.frames() if intact)  # type: ignore[misc]

    kept = SimpleNamespace(add=lambda position: None, losses=lambda: list(unread))
    for name, fake in (("open_video", opened), ("packets", packets), ("Decoding", Run)):
        monkeypatch.setattr(module, name, fake)
    monkeypatch.setattr(module, "frames_around", film.around)

    def unread_parts(path: Path, name: str, known: set[int]) -> Any:
        assert (path, name) == (PATH, "avi") and known == {1, *(other.id for other in film.others)}
        return kept

    monkeypatch.setattr(module, "UnreadParts", unread_parts)
    film.given = 0
    return build_index(PATH)


def with_b_frames(count: int, begin: int = 0) -> list[Packet]:
    """Return packets in the order of decoding: each second frame is decoded after the one that follows it."""
    order = [0, *(n for at in range(1, count, 2) for n in (at + 1, at) if n < count)]
    return [Packet(begin + n, k - 1, 100 + n) for k, n in enumerate(order)]


def test_of_an_intact_film_only_the_head_and_the_last_frame_are_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    film = Film(with_b_frames(1000, begin=7))
    index = indexed(film, monkeypatch)
    assert index.pts.tolist() == list(range(7, 1007)) and index.pts.dtype == np.int64
    assert (index.time_base, index.seekable, index.losses) == (Fraction(1, 25), True, ())
    assert film.begun == [999] and film.given == HEAD + 1
    assert film.sought == [7 + 1000 * k // 9 - 25 for k in range(1, 9)]


def changed(packets: Sequence[Packet], **at: dict[str, Any]) -> list[Packet]:
    """Change the packet at each place, as in `p5={"dts": 3}`."""
    found = list(packets)
    for place, change in at.items():
        found[int(place[1:])] = replace(found[int(place[1:])], **change)
    return found


PLAIN = with_b_frames(300)


@pytest.mark.parametrize(
    ("packets", "by_packets"),
    [
        (PLAIN, True),
        (changed(PLAIN, p9={"dts": None}, p20={"dts": None}), True),
        (changed(PLAIN, p0={"dts": None}, p9={"dts": 7}), True),  # the same as before
        (changed(PLAIN, p9={"dts": 6}), False),
        (changed(PLAIN, p9={"pts": None}), False),
        (changed(PLAIN, p9={"pts": PLAIN[200].pts}), False),
        (changed(PLAIN, p0={"is_discard": True}), True),
        (changed(PLAIN, p9={"is_discard": True}, p20={"is_discard": True}), True),
    ],
)
def test_the_packets_count_if_their_times_rise_and_each_has_its_own(
    packets: list[Packet], by_packets: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = sorted({packet.pts for packet in packets if packet.pts is not None and not packet.is_discard})
    film = Film(packets, decoded=shown)
    assert indexed(film, monkeypatch).pts.tolist() == shown
    assert (film.given < 200) is by_packets


def test_a_film_whose_packets_have_other_times_after_a_seek_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A size belongs to a time; only the first packets from the position on are compared."""
    target, own = 300 * 4 // 9, {packet.pts: packet for packet in PLAIN}

    def by_packets(**sizes: int) -> bool:
        found = {
            pts: replace(own[pts], size=size)
            for pts, size in ((int(name[1:]), at) for name, at in sizes.items())
        }
        after = [Packet(None), Packet(target - 9, size=7), Packet(1 << 40, size=9)]
        after += [found.get(pts, own[pts]) for pts in range(target - 5, target + 100)]
        film = Film(PLAIN, after_seek={target - 25: after})
        assert indexed(film, monkeypatch).pts.tolist() == list(range(300))
        return film.given < 200

    assert by_packets() and by_packets(**{f"p{target - 1}": 1}) and by_packets(**{f"p{target + 15}": 1})
    assert not by_packets(**{f"p{target}": 1}) and not by_packets(**{f"p{target + 14}": 1})


def test_a_film_without_seeks_is_still_indexed_by_its_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    film = Film(PLAIN, seek_error=True)
    assert indexed(film, monkeypatch).pts.tolist() == list(range(300)) and len(film.sought) == 8
    assert film.given < 200


@pytest.mark.parametrize(
    ("head", "lost", "damaged", "first"),
    [
        ([*range(300)], [], False, 0),
        ([*range(3, 300)], [], False, 3),  # leading pictures, which do not come out
        ([*range(300)], [0, 1], False, 2),
        ([*range(40), *range(41, 300)], [], True, 0),  # a lost frame keeps its number
        ([*range(300)], [40, 95], True, 0),
        ([*range(40), *range(41, 300)], [], False, None),
        ([*range(300)], [40], False, None),
        ([*range(95), *range(96, 300)], [], False, None),
        ([*range(96), *range(97, 300)], [], False, 0),  # beyond the head
        ([*range(40), 1000, *range(40, 300)], [], False, None),
        ([*range(40), None, *range(40, 300)], [], False, None),
        ([0, 0, *range(1, 300)], [], True, None),
        ([1, 0, *range(2, 300)], [], True, None),
        ([*range(300)], range(120), True, 120),
    ],
)
def test_the_packets_count_if_the_decoder_gives_a_frame_for_each_in_the_head(
    head: list[int | None],
    lost: Sequence[int],
    damaged: bool,
    first: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    film = Film(PLAIN, decoded=head, lost=lost, damaged=damaged)
    index = indexed(film, monkeypatch)
    if first is None:  # counted by decoding
        assert len(index.pts) == len(head) and film.given > 250
        return
    assert index.pts.tolist() == list(range(first, 300)) and index.seekable


@pytest.mark.parametrize("decoded", [[], [*range(300)]])
def test_a_film_of_which_no_frame_is_intact_is_refused(
    decoded: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"7-a\.mkv: no frame of it can be decoded"):
        indexed(Film(PLAIN, decoded=decoded, lost=range(300), damaged=True), monkeypatch)
    with pytest.raises(InputError, match=r"7-a\.mkv: no frame of it can be decoded"):
        indexed(Film(changed(PLAIN, p9={"dts": 0}), decoded=[]), monkeypatch)


@pytest.mark.parametrize(
    ("end", "begun"),
    [(600, [599]), (599, [599, 536]), (537, [599, 536]), (536, [599, 536, 344]), (340, [599, 536, 344, 0])],
)
def test_frames_at_the_end_that_cannot_be_decoded_are_no_frames(
    end: int, begun: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    film = Film(with_b_frames(600), decoded=list(range(end)))
    assert indexed(film, monkeypatch).pts.tolist() == list(range(end)) and TAIL == 64
    assert film.begun == begun


def test_a_film_whose_end_is_a_lost_frame_ends_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    film = Film(PLAIN, lost=[296, 298, 299], damaged=True)
    assert indexed(film, monkeypatch).pts.tolist() == list(range(298))


BY_DECODING = changed(PLAIN, p9={"dts": 0})


@pytest.mark.parametrize(
    ("decoded", "pixels", "seekable"),
    [
        ([*range(0, 300, 2)], {}, True),
        ([*range(0, 300, 2)], {29: b"other", 31: b"other"}, True),
        *(([*range(0, 300, 2)], {n: b"other"}, False) for n in (30, 60, 90, 120)),
        ([0, 2, 2, *range(4, 300, 2)], {}, False),
        ([0, 4, 2, *range(6, 300, 2)], {}, False),
        ([0, None, *range(4, 300, 2)], {}, False),
    ],
)
def test_a_film_that_was_decoded_to_count_it_is_sought_in_only_where_that_finds_the_same_pixels(
    decoded: list[int | None], pixels: dict[int, bytes], seekable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = Film(BY_DECODING, decoded=decoded, pixels=pixels, time_base=None)
    index = indexed(film, monkeypatch)
    assert index.seekable is seekable and index.time_base == Fraction(1, 1000) and index.losses == ()
    assert index.pts.tolist() == (decoded if seekable else list(range(len(decoded))))
    assert index.pts.dtype == np.int64
    if seekable:
        assert sorted(film.begun) == [30, 60, 90, 120]


def test_a_frame_that_a_seek_does_not_find_is_not_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    film = Film(BY_DECODING, decoded=range(300), lost=range(230, 300))
    assert not indexed(film, monkeypatch).seekable


def test_all_that_is_lost_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """And none of it hides another."""

    def stream(width: int, disposition: int = 0) -> Any:
        return SimpleNamespace(width=width, height=48, disposition=disposition, id=2)

    cover = stream(400, av.stream.Disposition.attached_pic.value)
    others = [stream(64), cover, stream(80)]
    packets = [Packet(n + 20 * (n >= 100), n, is_corrupt=n in (40, 41, 50)) for n in range(200)]
    film = Film(packets, others=others, unreadable=[7, 90], frames=300)
    streams = "of 3 video streams only the first is read, the others (64x48, 80x48) are not"
    jump = "the times of the frames jump by 0.8 s at 1 place, the first after 100 frames"
    places = "data could not be read at 2 places, the first after about 7 frames"
    corrupt = "3 of 200 packets are marked as corrupt"
    short = "the container declares 300 frames, 200 could be read"
    losses = [streams, "a hole", f"{jump}: frames are missing there", places, short, corrupt]
    assert list(indexed(film, monkeypatch, unread=["a hole"]).losses) == losses
    film = Film(changed(packets, p9={"dts": 0}), decoded=range(150), damaged=True, unreadable=[3])
    damage = "150 frames came out of 200 packets of video, some of them damaged"
    place = "data could not be read at 1 place, the first after about 3 frames"
    assert indexed(film, monkeypatch, unread=["a hole"]).losses == (damage, "a hole", place, corrupt)
    assert indexed(Film(PLAIN, others=[cover]), monkeypatch).losses == ()


def test_a_film_without_any_picture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for packets in ([], [Packet(k, is_discard=True) for k in range(9)]):
        with pytest.raises(InputError, match="no frame of it can be decoded"):
            indexed(Film(packets, decoded=[]), monkeypatch)
