"""Pictures and films that the tests of masters write."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image
from tests.films import picture

CODECS = {
    ".dpx": "dpx",
    ".exr": "exr",
    ".tif": "tiff",
    ".png": "png",
    ".jpg": "mjpeg",
    ".j2k": "jpeg2000",
    ".bmp": "bmp",
}
FORMATS = {
    ".dpx": "gbrp10le",
    ".exr": "gbrpf32le",
    ".tif": "rgb48le",
    ".png": "rgb24",
    ".jpg": "yuvj444p",
    ".j2k": "rgb24",
}
_CINEMA_2K = b"\0\3"  # capabilities of a JPEG 2000 code stream


def write_picture(path: Path, image: Image | NDArray[np.uint16], pix_fmt: str | None = None) -> Path:
    """Encode an RGB picture of 8 or 16 bits in the format of the file's suffix."""
    source = "rgb24" if image.dtype == np.uint8 else "rgb48le"
    frame = av.VideoFrame.from_ndarray(image, format=source)
    path.write_bytes(encode(CODECS[path.suffix], frame.reformat(format=pix_fmt or FORMATS[path.suffix])))
    return path


def encode(codec: str, frame: Any) -> bytes:
    """Encode one frame as a picture."""
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
    context.time_base = Fraction(1, 24)
    context.options = {"format": "j2k"} if codec == "jpeg2000" else {}
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def write_frames(
    folder: Path, numbers: Sequence[int], suffix: str = ".png", name: str = "scan_{:05d}"
) -> Path:
    """Write a folder of pictures, each of which shows its place among `numbers`."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, number in enumerate(numbers):
        write_picture(folder / f"{name.format(number)}{suffix}", picture(place))
    return folder


def cinema_picture(xyz: NDArray[np.uint16]) -> bytes:
    """Encode X'Y'Z' of 12 bits as a code stream of digital cinema."""
    frame = av.VideoFrame.from_ndarray((xyz << 4).astype(np.uint16), format="rgb48le")
    data = bytearray(encode("jpeg2000", frame.reformat(format="gbrp12le")))
    place = data.index(b"\xff\x4f\xff\x51") + 6
    data[place : place + 2] = _CINEMA_2K
    return bytes(data)


def write_cinema_film(path: Path, pictures: Sequence[NDArray[np.uint16]]) -> Path:
    """Write an MXF file of X'Y'Z' pictures."""
    height, width, _ = pictures[0].shape
    with av.open(str(path), "w", format="mxf") as container:
        stream: Any = container.add_stream("jpeg2000", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "gbrp12le"
        for number, xyz in enumerate(pictures):
            packet = av.Packet(cinema_picture(xyz))
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 24), stream, True
            container.mux(packet)
    return path


def write_package(folder: Path, reels: Sequence[tuple[str, int, int]], key: str = "", more: str = "") -> Path:
    """Write ASSETMAP and playlist of reels (file, entry point, duration).

    Args:
        key: XML inside each picture.
        more: name of a second playlist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name, _, _ in reels]
    assets = [(f"urn:uuid:{k:08d}-aaaa", name) for k, name in enumerate(names)]
    playlists = ["cpl.xml", *([more] if more else [])]
    listed = assets + [(f"urn:uuid:cccc-{name}", name) for name in playlists]
    entries = "".join(
        f"<Asset><Id>{one}</Id><ChunkList><Chunk><Path>{name}</Path></Chunk></ChunkList></Asset>"
        for one, name in listed
    )
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    (folder / "ASSETMAP.xml").write_text(
        f'{head}<AssetMap xmlns="http://www.smpte-ra.org/schemas/429-9/2007/AM"><AssetList>{entries}</AssetList>'
        "</AssetMap>"
    )
    shown = "".join(
        f"<Reel><AssetList><MainPicture><Id>{one.upper()}</Id><EditRate>24 1</EditRate>"
        f"<EntryPoint>{beg}</EntryPoint><Duration>{count}</Duration>{key}</MainPicture></AssetList></Reel>"
        for (one, _), (_, beg, count) in zip(assets, reels, strict=True)
    )
    for name in playlists:
        (folder / name).write_text(
            f'{head}<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/429-7/2006/CPL">'
            f"<ContentTitleText>{name}</ContentTitleText><ReelList>{shown}</ReelList></CompositionPlaylist>"
        )
    return folder
