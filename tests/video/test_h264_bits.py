"""Headers of H.264 bit by bit: every form that an encoder may write, and none that is read as another."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from facerec.video.h264_headers import PacketHeaders, unit_reader
from facerec.video.skipping import DamagedPackets, UnwantedPackets, reference_test

SLICE, IDR, SEI, SEQUENCE, PICTURE, DELIMITER, FILLER, PARTITION = 1, 5, 6, 7, 8, 9, 12, 2
Deltas = Sequence[int] | None


class Writer:
    """Writes bits as section 7.2 and 9.1 of ITU-T H.264 say."""

    def __init__(self) -> None:
        self.bits = ""

    def u(self, count: int, value: int) -> Writer:
        self.bits += f"{value:0{count}b}"
        return self

    def ue(self, *values: int) -> Writer:
        for value in values:
            digits = f"{value + 1:b}"
            self.bits += "0" * (len(digits) - 1) + digits
        return self

    def se(self, value: int) -> Writer:
        return self.ue(2 * value - 1 if value > 0 else -2 * value)

    def unit(self, kind: int, reference: int = 0) -> bytes:
        """Return a NAL unit, with the bytes that keep its contents from being taken for a start code."""
        bits = self.bits + "1"
        bits += "0" * (-len(bits) % 8)
        data = bytearray([reference << 5 | kind])
        zeros = 0
        for value in int(bits, 2).to_bytes(len(bits) // 8, "big"):
            if zeros == 2 and value <= 3:
                data.append(3)
                zeros = 0
            data.append(value)
            zeros = zeros + 1 if value == 0 else 0
        return bytes(data)


def sequence(
    number: int = 0,
    size: int = 4,
    *,
    profile: int = 66,
    chroma: int = 1,
    has_planes: bool = False,
    lists: Sequence[Deltas] | None = None,
    order: int = 2,
    offsets: Sequence[int] = (),
    gaps: bool = False,
) -> bytes:
    """Make sequence parameters with frame numbers of `size` bits (7.3.2.1.1).

    Args:
        lists: for each scaling list its differences, None if it is not there.
    """
    to = Writer().u(8, profile).u(16, 0x0128).ue(number)
    if profile != 66:
        to.ue(chroma)
        if chroma == 3:
            to.u(1, has_planes)
        to.ue(2, 2).u(1, 1).u(1, lists is not None)
        for deltas in lists or ():
            to.u(1, deltas is not None)
            for delta in deltas or ():
                to.se(delta)
    to.ue(size - 4, order)
    if order == 0:
        to.ue(11)
    if order == 1:
        to.u(1, 1).se(-3).se(5).ue(len(offsets))
        for offset in offsets:
            to.se(offset)
    return to.ue(4).u(1, gaps).ue(0, 8).u(1, 1).u(1, 1).u(1, 0).u(1, 0).unit(SEQUENCE, 3)


def parameters(number: int, sequence_number: int) -> bytes:
    return Writer().ue(number, sequence_number).u(8, 0x5A).unit(PICTURE, 3)


def slice_of(
    number: int,
    size: int = 4,
    *,
    picture: int = 0,
    plane: int | None = None,
    reference: int = 1,
    first: int = 0,
) -> bytes:
    to = Writer().ue(first, 5, picture)
    if plane is not None:
        to.u(2, plane)
    return to.u(size, number).u(16, 0xBEEF).unit(SLICE, reference)


class Data(bytes):
    """The data of a packet."""

    side_data: frozenset[str] = frozenset()

    def has_sidedata(self, kind: str) -> bool:
        return kind in self.side_data


def by_start_codes(*units: bytes) -> Data:
    return Data(b"".join(b"\0\0\1" + unit for unit in units))


def by_lengths(*units: bytes, size: int = 4) -> Data:
    return Data(b"".join(len(unit).to_bytes(size, "big") + unit for unit in units))


def configuration(
    sequences: Sequence[bytes], pictures: Sequence[bytes], size: int = 4, *, marked: bool = True
) -> bytes:
    """Make an AVCDecoderConfigurationRecord (ISO/IEC 14496-15); `marked` sets its reserved bits."""
    high, middle = (0xE0, 0xFC) if marked else (0, 0)
    record = bytes([1, 66, 1, 40, middle | size - 1, high | len(sequences)]) + by_lengths(*sequences, size=2)
    return record + bytes([len(pictures)]) + by_lengths(*pictures, size=2)


def context_of(extradata: bytes | None, name: str = "h264", intra_only: bool = False) -> Any:
    return SimpleNamespace(extradata=extradata, name=name, codec=SimpleNamespace(intra_only=intra_only))


def missing(*numbers: int, extradata: bytes, **form: Any) -> list[int]:
    """Return the places of the reference pictures with these numbers before which others are missing."""
    headers = PacketHeaders(context_of(extradata))
    return [
        place
        for place, number in enumerate(numbers)
        if headers.lack_references(by_start_codes(slice_of(number, **form)))  # type: ignore[arg-type]
    ]


RISING, WAVY, ENDS = [3, -1, *[0] * 14], [5, -2, 0, -3] * 16, [120, 120, 8]  # the last one ends at 256
FORMS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "order 0": {"order": 0},
    "order 1": {"order": 1, "offsets": [4, -2, 7]},
    "order 1 without offsets": {"order": 1},
    "16 bits": {"size": 16},
    "high": {"profile": 100},
    "high 4:2:2 without lists": {"profile": 122, "size": 5, "chroma": 2, "lists": [None] * 8},
    "lists": {"profile": 100, "size": 9, "lists": [RISING, None, ENDS, [-8], None, RISING, WAVY, [-8]]},
    "lists that wrap": {
        "profile": 44,
        "size": 6,
        "lists": [[-9, 2, *[0] * 14], *[None] * 4, [0] * 16, [-8], [0] * 64],
    },
    "4:4:4": {"profile": 244, "chroma": 3},
    "4:4:4 with lists": {"profile": 244, "size": 7, "chroma": 3, "lists": [RISING, *[None] * 5, *[WAVY] * 6]},
    "planes": {"profile": 244, "chroma": 3, "has_planes": True},
}


@pytest.mark.parametrize("name", FORMS)
def test_frame_numbers_are_found_behind_parameters_of_every_form(name: str) -> None:
    """A bit more or less that is read before a number gives another number."""
    form = FORMS[name]
    size, has_planes = form.get("size", 4), form.get("has_planes", False)
    made = [sequence(**form), parameters(0, 0)]
    for extradata in (by_start_codes(*made), configuration(made[:1], made[1:])):
        for plane in (1, 2) if has_planes else (None,):
            cut_out = [0, 1, 2, 2, 3, 5, 6, 10, 10, 11, 13, 0, 1, 3, 1, 2]
            if extradata[0]:
                data = [by_lengths(slice_of(n, size, plane=plane)) for n in cut_out]
            else:
                data = [by_start_codes(slice_of(n, size, plane=plane)) for n in cut_out]
            headers = PacketHeaders(context_of(extradata))
            found = [place for place, packet in enumerate(data) if headers.lack_references(packet)]  # type: ignore[arg-type]
            assert found == [5, 7, 10, 13]


def test_gaps_that_the_parameters_allow_are_not_missing_pictures() -> None:
    extradata = by_start_codes(
        sequence(0), sequence(1, gaps=True), parameters(0, 0), parameters(1, 1), parameters(2, 9)
    )
    assert missing(3, 9, 14, extradata=extradata) == [1, 2]
    assert missing(3, 9, 14, extradata=extradata, picture=1) == []
    assert missing(3, 9, 14, extradata=extradata, picture=2) == []
    for order in (0, 1, 2):
        allowing = by_start_codes(sequence(order=order, offsets=[2], gaps=True), parameters(0, 0))
        assert missing(3, 9, 14, extradata=allowing) == []
    headers = PacketHeaders(context_of(extradata))
    found = [
        headers.lack_references(by_start_codes(slice_of(number, picture=picture)))  # type: ignore[arg-type]
        for number, picture in ((3, 0), (9, 1), (14, 0), (3, 0), (9, 2), (5, 0), (8, 0))
    ]
    assert found == [False, False, False, True, False, False, True], "after a gap any number may come"


def test_the_parameters_that_a_picture_names_are_used_and_may_change() -> None:
    extradata = by_start_codes(
        sequence(0, 12), sequence(3, 5), parameters(0, 0), parameters(4, 3), parameters(5, 0)
    )
    assert missing(3, 4, 9, extradata=extradata, size=5, picture=4) == [2]
    assert missing(3, 4, 900, extradata=extradata, size=12, picture=5) == [2]
    headers = PacketHeaders(context_of(extradata))
    packets = [
        [slice_of(8, 12)],
        [Writer().u(24, 0).unit(SEI), sequence(0, 7), slice_of(9, 7)],
        [slice_of(11, 7)],
        [parameters(0, 3), slice_of(12, 5)],
        [slice_of(14, 5)],
        [parameters(0, 3)],
        [b"", parameters(0, 0), slice_of(20, 7)],
    ]
    found = [headers.lack_references(by_start_codes(*units)) for units in packets]  # type: ignore[arg-type]
    assert found == [False, False, True, False, True, False, True]


def test_bytes_that_prevent_start_codes_are_no_part_of_a_number() -> None:
    """Rows far down in a large picture have many zeros in their slices' first number."""
    made = sequence(0, 12), parameters(0, 0)
    for first in ((1 << 22) - 1, (3 << 21) + 5):
        unit = slice_of(5, 12, first=first)
        assert b"\0\0\3" in unit
        assert missing(3, 4, 5, 7, extradata=by_start_codes(*made), size=12, first=first) == [3]


def test_only_references_are_counted_and_a_key_picture_begins_again() -> None:
    headers = PacketHeaders(context_of(by_start_codes(sequence(), parameters(0, 0))))

    def is_missing(unit: bytes) -> bool:
        return headers.lack_references(by_start_codes(unit))  # type: ignore[arg-type]

    assert not is_missing(slice_of(6)), "nothing is known before the first one"
    assert not is_missing(slice_of(7, reference=0)) and not is_missing(slice_of(7, reference=0))
    assert is_missing(slice_of(8, reference=0)), "7 was no reference"
    assert [is_missing(slice_of(n, reference=n - 6)) for n in (7, 8, 9)] == [False] * 3
    assert not is_missing(slice_of(10, reference=0)) and is_missing(slice_of(11))
    assert not is_missing(Writer().ue(0, 7, 0).unit(IDR, 3)) and is_missing(slice_of(2))
    assert not is_missing(slice_of(15 - 12)) and not is_missing(slice_of(0)) and not is_missing(slice_of(1))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_units_that_are_damaged_end_a_packet_and_change_nothing(size: int) -> None:
    made = [sequence()], [parameters(0, 0)]
    extradata = configuration(*made, size, marked=False)
    units = unit_reader(context_of(extradata))
    long, other = bytes([SEI]) + bytes(range(1, 201)), slice_of(3)
    whole = by_lengths(long, other, size=size)
    cut = Data(whole[:-1])
    assert list(units(whole)) == [long, other]  # type: ignore[arg-type]
    assert list(units(cut)) == [long, b""]  # type: ignore[arg-type]
    assert list(units(whole + bytes(size) + whole)) == [long, other, b""]  # type: ignore[arg-type]
    assert list(units(b"")) == []  # type: ignore[arg-type]
    headers = PacketHeaders(context_of(extradata))
    for data in (
        by_lengths(slice_of(3), size=size),
        by_lengths(slice_of(9)[:2], size=size),
        cut,
    ):
        assert not headers.lack_references(data)  # type: ignore[arg-type]
    assert headers.lack_references(by_lengths(slice_of(5), size=size))  # type: ignore[arg-type]
    headers = PacketHeaders(context_of(configuration([sequence(0, 9)], made[1], size)))
    assert not headers.lack_references(by_lengths(slice_of(3, 9), size=size))  # type: ignore[arg-type]
    assert headers.lack_references(by_lengths(slice_of(5, 9)[:3], size=size)), "the number is still there"  # type: ignore[arg-type]


FIRST, SECOND = sequence(0, 4), sequence(0, 5)
LONG = sequence(0, 4, profile=100, lists=[[3, -1] * 8] * 6 + [[99, -99] * 32] * 2)


@pytest.mark.parametrize(
    ("extradata", "packets", "expected"),
    [
        (None, [by_start_codes(slice_of(0))], None),
        (None, [by_start_codes(FIRST, slice_of(0)), by_start_codes(slice_of(1))], FIRST),
        (by_start_codes(FIRST), [by_start_codes(FIRST + b"\0", slice_of(0))], None),
        (by_start_codes(FIRST), [by_start_codes(b"\x09\xf0", FIRST, slice_of(0))], FIRST),
        (by_start_codes(FIRST), [by_start_codes(SECOND, slice_of(0))], None),
        (by_start_codes(FIRST), [by_start_codes(slice_of(0), slice_of(0), SECOND)], None),
        (None, [by_start_codes(FIRST), by_start_codes(SECOND), by_start_codes(FIRST)], None),
        (configuration([FIRST], []), [by_lengths(slice_of(0)), by_lengths(FIRST)], FIRST),
        (configuration([FIRST], []), [by_lengths(slice_of(0), SECOND)], None),
        (configuration([FIRST], []), [by_lengths(b"\x09\xf0" + by_start_codes(FIRST, slice_of(0)))], FIRST),
        (configuration([FIRST], []), [by_lengths(b"\x09\xf0" + by_start_codes(SECOND, slice_of(0)))], None),
        (configuration([FIRST], []), [Data(by_lengths(slice_of(0))[:-1])], None),
        (configuration([FIRST, SECOND], []), [by_lengths(slice_of(0))], None),
        (by_start_codes(LONG), [by_start_codes(slice_of(0))], None),
    ],
    ids=[
        "none", "one", "with a zero behind it", "repeated", "another", "another behind the slices",
        "another and the first again", "in MP4", "another in MP4",
        "behind a start code in MP4", "another behind a start code in MP4", "damage", "two from the start",
        "too long to be compared",
    ],
)  # fmt: skip
def test_the_header_is_known_while_there_was_no_other(
    extradata: bytes | None, packets: list[Data], expected: bytes | None
) -> None:
    headers = PacketHeaders(context_of(extradata))
    for packet in packets:
        headers.lack_references(packet)  # type: ignore[arg-type]
    assert headers.sequence == expected


def test_the_header_is_not_known_after_one_beside_a_packet() -> None:
    """As MP4 with parts of different recordings has it."""
    headers = PacketHeaders(context_of(configuration([FIRST], [])))
    packet = by_lengths(slice_of(0))
    packet.side_data = frozenset({"new_extradata"})
    for one in (packet, by_lengths(FIRST)):
        headers.lack_references(one)  # type: ignore[arg-type]
        assert headers.sequence is None


def test_of_a_long_unit_only_the_beginning_is_copied_and_the_next_one_is_found() -> None:
    long, other = bytes([SLICE]) + b"\7" * 999, slice_of(3)
    extradata = configuration([sequence()], [parameters(0, 0)])
    assert list(unit_reader(context_of(extradata))(by_lengths(long, other))) == [long[:256], other]  # type: ignore[arg-type]
    reader = unit_reader(context_of(None))
    assert list(reader(b"\0" + by_start_codes(long, other, long))) == [long[:256], other, long[:256]]  # type: ignore[arg-type]
    assert list(reader(b"\0\0\2" + other)) == []  # type: ignore[arg-type]


def test_extradata_that_are_cut_off_are_no_error() -> None:
    made, packet = [sequence(0), parameters(0, 0)], by_lengths(slice_of(3))
    for whole in (configuration(made[:1], made[1:]), by_start_codes(*made)):
        for length in range(len(whole) - len(made[1])):
            headers = PacketHeaders(context_of(whole[:length] or None))
            assert not headers.lack_references(packet) and not headers.lack_references(
                by_lengths(slice_of(9))
            )  # type: ignore[arg-type]


def test_a_packet_is_skipped_only_if_all_of_it_is_pictures_without_references() -> None:
    test = reference_test(context_of(None))
    assert test is not None
    picture, reference = slice_of(3, reference=0), slice_of(3, reference=1)
    others = [Writer().u(16, 9).unit(kind) for kind in (SEI, DELIMITER, FILLER)]
    for units in ([picture], [picture, picture], [*others, picture], [picture, *others]):
        assert test(by_start_codes(*units)), units  # type: ignore[arg-type]
    parts = [bytes([kind]) + b"\xff" * 9 for kind in (0, PARTITION, IDR, SEQUENCE, PICTURE, 14, 20)]
    for units in (others, [], [reference], [picture, reference], *([picture, part] for part in parts)):
        assert not test(by_start_codes(*units)), units  # type: ignore[arg-type]
    assert not test(by_start_codes(picture, b""))  # type: ignore[arg-type]
    assert not test(by_start_codes(slice_of(3, reference=2)))  # type: ignore[arg-type]


def test_only_codecs_without_prediction_and_h264_have_packets_that_can_be_skipped() -> None:
    test = reference_test(context_of(None, "mjpeg", intra_only=True))
    assert test is not None and test(b"anything") is True  # type: ignore[arg-type]
    assert reference_test(context_of(None, "hevc")) is None


class Packet(bytes):
    """The data of a packet, with its time."""

    pts: int | None = None

    @classmethod
    def of(cls, pts: int | None, unit: bytes) -> Any:
        made = cls(by_start_codes(unit))
        made.pts = pts
        return made


def test_unwanted_packets_are_skipped_from_the_second_on_and_remembered_once() -> None:
    numbers = {10 * n: n for n in range(8)}
    wanted = np.array([False] * 5 + [True] + [False] * 2)
    skipping = UnwantedPackets(lambda pts: None if pts is None else numbers.get(pts), wanted)
    picture, reference = slice_of(3, reference=0), slice_of(3)
    packets = [(10, picture), (0, picture), (20, reference), (30, picture), (50, picture), (40, picture)]
    others = [(None, picture), (5, picture)]
    for _ in range(2):
        skipping.open(context_of(None))
        found = [skipping.skips(Packet.of(pts, unit)) for pts, unit in packets + others]
        assert found == [False, True, False, True, False, True, False, False]
    assert not skipping.skipped_all(range(3))
    assert skipping.skipped_all(range(3, 5)) and not skipping.skipped_all(range(3, 4))
    assert not skipping.skipped_all(range(1)), "what was asked for is forgotten"
    skipping.open(context_of(None, "hevc"))
    assert not any(skipping.skips(Packet.of(pts, unit)) for pts, unit in packets)
    skipping.report_damage(30)
    assert not skipping.skipped_all(range(4, 5))


def test_a_damaged_packet_is_skipped_in_the_next_run_if_no_other_refers_to_it() -> None:
    skipping = DamagedPackets()
    picture, reference = slice_of(3, reference=0), slice_of(3)
    packets = [(0, reference), (10, picture), (20, reference), (30, picture), (None, picture)]
    skipping.open(context_of(None))
    assert not any(skipping.skips(Packet.of(pts, unit)) for pts, unit in packets)
    for pts in (20, 30, 40, None):
        skipping.report_damage(pts)
    assert skipping.found == {30} and not skipping.skipped_all(range(3, 4))
    skipping.open(context_of(None))
    found = [skipping.skips(Packet.of(pts, unit)) for pts, unit in packets]
    assert found == [False, False, False, True, False]
    skipping.open(context_of(None, "hevc"))
    assert not any(skipping.skips(Packet.of(pts, unit)) for pts, unit in packets)
