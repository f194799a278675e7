"""View transforms: from the code values of a master to RGB for a display (sRGB).

With v the code value as a share of the largest one, 0 to 1:

- `none`: v.
- `log`: film scanned as printing density (Cineon, DPX), code values of 10 bits, c = 1023 v. One code value is
  a density of 0.002, the negative's gamma is 0.6, black is code 95, white 685 (Kodak, "Conversion of 10-bit
  log film data to 8-bit linear or video data", 1995): t = 10 ** ((c - 685) * 0.002 / 0.6), black
  b = 10 ** ((95 - 685) * 0.002 / 0.6), light = (t - b) / (1 - b).
- `linear`: light = v. Values above 1 are white.
- `xyz`: digital cinema, SMPTE ST 428-1: X, Y, Z = v ** 2.6 * 52.37 / 48 each, then the matrix of
  IEC 61966-2-1 to the primaries of Rec. 709. White is not adapted.

Light, 0 to 1, becomes the code values of sRGB by its curve (IEC 61966-2-1).
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image

View = Literal["none", "log", "linear", "xyz"]
VIEWS: tuple[View, ...] = ("none", "log", "linear", "xyz")

_BLACK, _WHITE, _PER_CODE, _GAMMA = 95, 685, 0.002, 0.6
_XYZ_TO_RGB = np.array(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]], np.float32
)
_ROWS = 64  # converted at once, so that they stay in the cache
_STEPS = 65535  # of light in tables


def apply_view(view: View, codes: NDArray[np.uint16] | NDArray[np.uint8], bits: int) -> Image:
    """Convert code values (height, width, 3), of `bits` bits each, to RGB (height, width, 3) uint8."""
    if view != "xyz":
        image: Image = _table(view, bits)[codes]
        return image
    linear, display = _xyz_table(bits), _table("linear", 16)
    out = np.empty(codes.shape, np.uint8)
    for row in range(0, len(codes), _ROWS):
        light = linear[codes[row : row + _ROWS]] @ _XYZ_TO_RGB.T
        out[row : row + _ROWS] = display[_as_steps(light)]
    return out


def quantised(light: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Convert floating-point samples to codes of 16 bits; below 0 and what is no number become 0."""
    return _as_steps(np.nan_to_num(light, nan=0.0, posinf=1.0, neginf=0.0))


def _as_steps(light: NDArray[np.float32]) -> NDArray[np.uint16]:
    steps: NDArray[np.uint16] = (np.clip(light, 0, 1) * _STEPS + 0.5).astype(np.uint16)
    return steps


@cache
def _table(view: View, bits: int) -> NDArray[np.uint8]:
    """Return the display's code value for each code of `bits` bits."""
    share = np.arange(2**bits) / (2**bits - 1)
    light = _log_light(1023 * share) if view == "log" else share
    shown = share if view == "none" else _srgb(light)
    table: NDArray[np.uint8] = (shown * 255 + 0.5).astype(np.uint8)
    return table


@cache
def _xyz_table(bits: int) -> NDArray[np.float32]:
    share = np.arange(2**bits) / (2**bits - 1)
    table: NDArray[np.float32] = (share**2.6 * 52.37 / 48).astype(np.float32)
    return table


def _log_light(code: NDArray[np.float64]) -> NDArray[np.float64]:
    black = 10 ** ((_BLACK - _WHITE) * _PER_CODE / _GAMMA)
    light = (10 ** ((code - _WHITE) * _PER_CODE / _GAMMA) - black) / (1 - black)
    return np.clip(light, 0, 1)


def _srgb(light: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
