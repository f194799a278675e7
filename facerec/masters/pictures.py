"""Decode one picture file, or one frame of a film, to code values."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.masters.numbered import DECODERS
from facerec.masters.views import View, quantised

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Codes = NDArray[np.uint16] | NDArray[np.uint8]

_BITS = {"rgb24": 8, "rgb48le": 16, "rgb48be": 16} | {
    f"gbrp{bits}{order}": bits for bits in (10, 12, 14, 16) for order in ("le", "be")
}
_XYZ_BITS = 12
_TRANSFER_OFFSET = 801  # of the first picture element, in a DPX file (SMPTE ST 268)
_EXR_TILED, _EXR_MULTIPART = 0x200, 0x1000  # in the version of an OpenEXR file
_DPX_VIEWS: dict[int, View] = {1: "log", 2: "linear", 3: "log"}  # printing density, linear, logarithmic


@dataclass(frozen=True)
class PictureFacts:
    """What the first picture of a folder says about all.

    Attributes:
        view: the transform that its header asks for.
        rate: frames per second in its header.
        sample_aspect: width / height of a pixel.
    """

    width: int
    height: int
    view: View
    rate: Fraction | None
    sample_aspect: Fraction


def decode_picture(path: Path) -> VideoFrame:
    """Decode a picture file.

    Raises:
        InputError: it cannot be read or decoded.
    """
    return _decode(path)[0]


def picture_facts(path: Path) -> PictureFacts:
    """Decode a picture and read what its header says; raises InputError as `decode_picture`."""
    frame, context, data = _decode(path)
    suffix = path.suffix.lower()
    view: View = "none"
    if suffix == ".dpx":
        view = _DPX_VIEWS.get(data[_TRANSFER_OFFSET], "none")
    elif suffix == ".exr":
        view = "linear"
    elif is_xyz(frame):
        view = "xyz"
    rate = context.framerate if suffix in (".dpx", ".exr") else None
    rate = _exact(rate) if rate is not None and 1 <= rate <= 240 else None
    return PictureFacts(
        frame.width,
        frame.height,
        view,
        rate,
        context.sample_aspect_ratio or Fraction(1),
    )


def _exact(rate: Fraction) -> Fraction:
    """Return the rate that a rounded one means: 23.976 is 24000/1001."""
    for exact in (Fraction(round(rate)), Fraction(1000 * round(rate * 1001 / 1000), 1001)):
        if abs(exact - rate) < Fraction(1, 500):
            return exact
    return rate


def codes_of(frame: VideoFrame) -> tuple[Codes, int]:
    """Return a frame's code values (height, width, 3), of R, G, B or X, Y, Z, and their number of bits."""
    name = frame.format.name
    if is_xyz(frame):
        plane = frame.planes[0]
        words = np.frombuffer(memoryview(plane), ">u2" if name.endswith("be") else "<u2")
        rows = words.reshape(-1, plane.line_size // 2)[: frame.height, : frame.width * 3]
        return (rows >> (16 - _XYZ_BITS)).astype(np.uint16).reshape(frame.height, frame.width, 3), _XYZ_BITS
    if "f16" in name or "f32" in name:
        converted = frame if name == "gbrpf32le" else frame.reformat(format="gbrpf32le", threads=1)
        return quantised(np.asarray(converted.to_ndarray(), np.float32)), 16
    if name not in _BITS:
        frame, name = frame.reformat(format="rgb48le", threads=1), "rgb48le"
    codes: Any = frame.to_ndarray()
    return codes, _BITS[name]


def is_xyz(frame: VideoFrame) -> bool:
    """Return whether a decoded frame has the colours of digital cinema, CIE XYZ."""
    return bool(frame.format.name.startswith("xyz12"))


def _decode(path: Path) -> tuple[VideoFrame, Any, bytes]:
    data = path.read_bytes()
    codec = DECODERS[path.suffix.lower()]
    context: Any = av.CodecContext.create(codec, "r")
    context.thread_count = 1  # several pictures are decoded at the same time
    if codec == "mjpeg":
        context.options = {"err_detect": "explode"}  # no grey in place of what is missing
    try:
        frames = [*context.decode(av.Packet(data)), *context.decode(None)] if data else []
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be decoded ({error}); copy it again") from None
    if not frames or frames[0].is_corrupt or (codec == "exr" and _exr_is_cut_off(data)):
        raise InputError(f"{path}: is {'damaged' if data else 'empty'}; copy it again")
    return frames[0], context, data


def _exr_is_cut_off(data: bytes) -> bool:
    """Return whether chunks are missing at the end of an OpenEXR file; False for files of several parts.

    FFmpeg decodes what is there and leaves the rest black. Layout of OpenEXR 2: magic and version of 4 bytes
    each; attributes (name, type, size, value) up to an empty name; a table with the position of each chunk of
    rows, 8 bytes each; the chunks.
    """
    version = int.from_bytes(data[4:8], "little")
    if version & _EXR_MULTIPART:
        return False
    try:
        table = _end_of_exr_header(data)
        first = int.from_bytes(data[table : table + 8], "little")
        chunks = np.frombuffer(data[table:first], "<u8")
    except ValueError:
        return True
    last = int(chunks.max(initial=0))
    if not chunks.all() or last + 8 > len(data):
        return True
    if version & _EXR_TILED:
        return False
    return last + 8 + int.from_bytes(data[last + 4 : last + 8], "little") > len(data)


def _end_of_exr_header(data: bytes) -> int:
    """Return the position after the attributes of an OpenEXR file; raises ValueError if they do not end."""
    position = 8
    while data[position : position + 1] != b"\0":
        kind = data.index(b"\0", position) + 1
        size = data.index(b"\0", kind) + 1
        position = size + 4 + int.from_bytes(data[size : size + 4], "little")
    return position + 1
