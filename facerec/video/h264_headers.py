"""Headers of H.264's packets: whether pictures are missing that others refer to, or the header changes.

Each picture has a number (`frame_num`) that follows from the reference picture before it. FFmpeg's decoder
replaces missing ones without a sign, and with other pixels if it has several threads. Sections of ITU-T H.264
are given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

SLICE, IDR_SLICE, SEQUENCE, PICTURE = 1, 5, 7, 8  # types of NAL units
_START_CODE = re.compile(rb"\x00\x00\x01")
_AVC_CONFIGURATION = 1  # first byte of the extradata if packets have lengths in place of start codes
_HEAD = 256  # bytes of a unit that are looked at
_HIGH_PROFILES = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}  # have a chroma format


def unit_reader(context: VideoCodecContext) -> Callable[[Packet[VideoStream]], Iterator[bytes]]:
    """Return a function that yields the beginnings of a packet's NAL units; b"" where it is damaged."""
    extradata = context.extradata or b""
    if len(extradata) > 4 and extradata[0] == _AVC_CONFIGURATION:
        size = (extradata[4] & 3) + 1
        return lambda packet: _by_lengths(memoryview(packet), size)
    return lambda packet: _by_start_codes(memoryview(packet))


def _by_lengths(data: memoryview, size: int) -> Iterator[bytes]:
    """Yield NAL units before which their lengths have `size` bytes."""
    position = 0
    while position < len(data):
        begin = position + size
        length = int.from_bytes(data[position:begin], "big")
        position = begin + length
        if not length or position > len(data):
            yield b""
            return
        yield bytes(data[begin : min(position, begin + _HEAD)])
        if data[begin] & 31 not in (SLICE, IDR_SLICE):
            # FFmpeg reads what is after start codes, too: some files have one length for a whole packet
            yield from _by_start_codes(data[begin:position])


def _by_start_codes(data: bytes | memoryview) -> Iterator[bytes]:
    """Yield NAL units, or what is after each start code."""
    begin = 0
    for code in _START_CODE.finditer(data):  # twice as fast as `bytes.find`
        if begin:
            yield bytes(data[begin : min(code.start(), begin + _HEAD)])
        begin = code.end()
    if begin:
        yield bytes(data[begin : begin + _HEAD])


class PacketHeaders:
    """Reads the headers of the packets that a decoder gets; to be given all of them in their order.

    Attributes:
        sequence: the sequence parameters, which describe the pictures; None once there were different ones,
            or anything that the decoder could read in another way.
    """

    def __init__(self, context: VideoCodecContext) -> None:
        self._units = unit_reader(context)
        self._sequences: dict[int, tuple[int, bool] | None] = {}  # bits of frame_num, separate colour planes
        self._pictures: dict[int, int] = {}  # picture parameters: their sequence parameters
        self._last: int | None = None  # number of the last reference picture
        self.sequence: bytes | None = None
        self._noted = False  # whether there were sequence parameters, so that `sequence` can only become None
        for unit in _extradata_units(context.extradata or b""):
            self._add_parameters(unit)

    def lack_references(self, packet: Packet[VideoStream]) -> bool:
        """Return whether reference pictures are missing before a packet; False if that is not known."""
        lacks: bool | None = None  # as the first slice says
        if packet.has_sidedata("new_extradata"):
            self._note_sequence(None)
        for unit in self._units(packet):
            if not unit:
                self._note_sequence(None)
            elif unit[0] & 31 not in (SLICE, IDR_SLICE):
                self._add_parameters(unit)
            elif lacks is None:
                lacks = self._lacks_before(unit)
        return bool(lacks)

    def _lacks_before(self, unit: bytes) -> bool:
        """Return whether reference pictures are missing before that of a slice."""
        if unit[0] & 31 == IDR_SLICE:
            self._last = 0
            return False
        return self._are_missing(unit)

    def _note_sequence(self, unit: bytes | None) -> None:
        """Compare sequence parameters with those before; None for some that cannot be read."""
        if not unit or len(unit) >= _HEAD or (self._noted and unit != self.sequence):
            self.sequence = None
        elif not self._noted:
            self.sequence = unit
        self._noted = True

    def _are_missing(self, unit: bytes) -> bool:
        """Compare the number of a slice's picture with the last one (7.4.3); 0 and 1 may restart."""
        bits, last = _Bits(unit), self._last
        try:
            bits.exponential(), bits.exponential()  # first macroblock, slice type
            parameters = self._sequences.get(self._pictures[bits.exponential()])
            if parameters is None:
                self._last = None
                return False
            size, has_planes = parameters
            bits.read(2 * has_planes)
            number = bits.read(size)
        except (KeyError, ValueError):
            return False
        if unit[0] >> 5 & 3:
            self._last = number
        return not (last is None or number in (0, 1, last, last + 1))

    def _add_parameters(self, unit: bytes) -> None:
        kind = unit[0] & 31 if unit else 0
        if kind not in (SEQUENCE, PICTURE):
            return
        bits = _Bits(unit)
        try:
            if kind == PICTURE:
                picture = bits.exponential()
                self._pictures[picture] = bits.exponential()
            else:
                self._note_sequence(unit)
                number, parameters = _sequence_parameters(bits)
                self._sequences[number] = parameters
        except ValueError:
            return


class _Bits:
    """The bits after the first byte of a NAL unit."""

    def __init__(self, unit: bytes) -> None:
        data = unit[1:].replace(b"\0\0\3", b"\0\0")
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def read(self, count: int) -> int:
        """Read an unsigned number of `count` bits; raise ValueError at the end."""
        self._left -= count
        if self._left < 0:
            raise ValueError("the unit ends")
        return self._value >> self._left & ((1 << count) - 1)

    def exponential(self) -> int:
        """Read an unsigned number in the Exp-Golomb code (9.1)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)


def _sequence_parameters(bits: _Bits) -> tuple[int, tuple[int, bool] | None]:
    """Read sequence parameters (7.3.2.1.1).

    Returns:
        Their id; the bits of frame_num and whether colour planes are separate, None if gaps are allowed.
    """
    profile = bits.read(8)
    bits.read(16)
    number, has_planes = bits.exponential(), False
    if profile in _HIGH_PROFILES:
        chroma = bits.exponential()
        has_planes = chroma == 3 and bool(bits.read(1))
        bits.exponential(), bits.exponential(), bits.read(1)  # bit depths, transform bypass
        if bits.read(1):
            for k in range(12 if chroma == 3 else 8):
                if bits.read(1):
                    _skip_scaling_list(bits, 16 if k < 6 else 64)
    size = bits.exponential() + 4
    order = bits.exponential()
    if order == 0:
        bits.exponential()
    elif order == 1:
        bits.read(1), bits.exponential(), bits.exponential()
        for _ in range(bits.exponential()):
            bits.exponential()
    bits.exponential()  # reference frames
    return number, None if bits.read(1) else (size, has_planes)


def _skip_scaling_list(bits: _Bits, count: int) -> None:
    last, scale = 8, 8
    for _ in range(count):
        if scale:
            code = bits.exponential()
            scale = (last + (-(code // 2) if code % 2 == 0 else (code + 1) // 2)) % 256
        last = scale or last


def _extradata_units(extradata: bytes) -> Iterator[bytes]:
    """Yield the NAL units of a decoder's extradata, in either form."""
    if not extradata or extradata[0] != _AVC_CONFIGURATION:
        yield from _by_start_codes(extradata)
        return
    position = 5
    for mask in (31, 255):  # sequence parameters, then picture parameters
        count = extradata[position] & mask if position < len(extradata) else 0
        position += 1
        for _ in range(count):
            begin = position + 2
            position = begin + int.from_bytes(extradata[position:begin], "big")
            yield extradata[begin:position]
