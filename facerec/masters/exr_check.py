"""Find whether an OpenEXR file was cut off: FFmpeg decodes what is there and leaves the rest black.

Layout of OpenEXR 2: magic and version of 4 bytes each; attributes (name, type, size, value) up to an empty
name; a table with the position of each chunk of rows, 8 bytes each; the chunks.
"""

from __future__ import annotations

import numpy as np

_TILED, _MULTIPART = 0x200, 0x1000  # in the version


def exr_is_cut_off(data: bytes) -> bool:
    """Return whether chunks are missing at the end of a file; False for files of several parts."""
    version = int.from_bytes(data[4:8], "little")
    if version & _MULTIPART:
        return False
    try:
        table = _end_of_header(data)
        first = int.from_bytes(data[table : table + 8], "little")
        chunks = np.frombuffer(data[table:first], "<u8")
    except ValueError:
        return True
    last = int(chunks.max(initial=0))
    if not chunks.all() or last + 8 > len(data):
        return True
    return not version & _TILED and last + 8 + int.from_bytes(data[last + 4 : last + 8], "little") > len(data)


def _end_of_header(data: bytes) -> int:
    """Return the position after the attributes; raises ValueError if they do not end."""
    position = 8
    while data[position : position + 1] != b"\0":
        kind = data.index(b"\0", position) + 1
        size = data.index(b"\0", kind) + 1
        position = size + 4 + int.from_bytes(data[size : size + 4], "little")
    return position + 1
