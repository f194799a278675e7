"""Picture files: every kind is decoded as it was written, a file that was cut off is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facerec.errors import InputError
from facerec.masters.numbered import DECODERS
from facerec.masters.pictures import codes_of, decode_picture
from facerec.masters.views import apply_view
from tests.films import number_in, picture
from tests.masters.pictures import CODECS, write_picture

KINDS = {
    ".dpx": "gbrp10le gbrp12be rgb48be gray16be",
    ".exr": "gbrpf32le gbrapf32le grayf32le",
    ".tif": "rgb24 rgba64le gray16le",
    ".png": "rgb48be rgba",
    ".jpg": "yuvj444p",
    ".j2k": "rgb24 gbrp12le",
    ".bmp": "bgr24",
}


@pytest.mark.parametrize(
    ("suffix", "pix_fmt"), [(suffix, one) for suffix, found in KINDS.items() for one in found.split()]
)
def test_a_picture_is_decoded_as_it_was_written_and_refused_if_cut_off(
    tmp_path: Path, suffix: str, pix_fmt: str
) -> None:
    path = write_picture(tmp_path / f"1{suffix}", picture(77), pix_fmt)
    image = apply_view("none", *codes_of(decode_picture(path)))
    assert number_in(image) == 77
    if "gray" not in pix_fmt:
        assert np.abs(image.astype(int) - picture(77)).mean() < 2
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(InputError, match=rf"1\{suffix}: .*copy it again"):
        decode_picture(path)


def test_every_kind_of_picture_has_a_decoder() -> None:
    import av

    assert set(CODECS) <= set(DECODERS)
    assert all(av.codec.Codec(codec, "r") for codec in DECODERS.values())
