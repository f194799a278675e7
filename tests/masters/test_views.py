"""View transforms: log scans are not grey, linear ones not black, digital cinema has right colours."""

from __future__ import annotations

import numpy as np
import pytest

from facerec.masters.views import apply_view, quantised


def _grey(view: str, code: float, bits: int) -> list[int]:
    codes = np.full((1, 1, 3), code, np.uint16)
    return [int(value) for value in apply_view(view, codes, bits)[0, 0]]  # type: ignore[arg-type]


def test_a_log_scan_is_not_grey() -> None:
    """Black, white and 18 % grey, which Cineon files have at 95, 685 and 470 (Kodak)."""
    assert _grey("log", 95, 10) == [0, 0, 0]
    assert _grey("log", 685, 10) == [255, 255, 255]
    assert _grey("log", 1023, 10) == [255, 255, 255]
    light = (10 ** (-215 / 300) - 10 ** (-590 / 300)) / (1 - 10 ** (-590 / 300))
    assert _grey("log", 470, 10) == [round(255 * (1.055 * light ** (1 / 2.4) - 0.055))] * 3
    assert _grey("log", 470 << 6 | 470 >> 4, 16) == _grey("log", 470, 10)


def test_a_linear_scan_is_not_black() -> None:
    assert _grey("linear", round(0.18 * 65535), 16) == [118, 118, 118]  # the sRGB value of 18 % grey
    assert _grey("none", round(0.18 * 65535), 16) == [46, 46, 46]


def test_light_that_is_no_number_is_black_and_above_one_is_white() -> None:
    light = np.array([np.nan, -1, 0, 0.5, 1, 40, np.inf], np.float32)
    assert quantised(light).tolist() == [0, 0, 0, 32768, 65535, 65535, 65535]


@pytest.mark.parametrize("rgb", [(1.0, 1.0, 1.0), (0.5, 0.2, 0.1), (0.0, 0.0, 0.0), (0.1, 0.4, 0.8)])
def test_digital_cinema_has_the_colours_that_were_mastered(rgb: tuple[float, float, float]) -> None:
    """Linear RGB to X'Y'Z' by the inverse matrix, and back within a code value or two of 12-bit rounding."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    codes = np.round(4095 * (to_xyz @ rgb * 48 / 52.37) ** (1 / 2.6)).astype(np.uint16)
    found = apply_view("xyz", np.tile(codes, (70, 2, 1)), 12)
    linear = np.array(rgb)
    wanted = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert found.shape == (70, 2, 3)
    assert np.abs(found.reshape(-1, 3) - wanted).max() <= 2
