"""No letter of a name is drawn as the empty box of a missing one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest
from PIL import ImageFont

from facerec.reporting import fonts
from facerec.reporting.fonts import drawable, font_for

CHINESE = "\u5f20\u4e09"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
MISSING = "\uffff"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget what was found with other fonts, and find no font of this machine."""
    monkeypatch.setattr(fonts, "_system_fonts", lambda bold: ())
    for cached in (fonts._path_for, fonts._warn_once):
        cached.cache_clear()
    yield
    for cached in (fonts._path_for, fonts._warn_once):
        cached.cache_clear()


def box(font: ImageFont.FreeTypeFont) -> bytes:
    return bytes(font.getmask(MISSING))


@pytest.mark.parametrize("letter", "äöüßéłčİΩЖ")
def test_the_letters_of_european_names_need_no_other_font(letter: str) -> None:
    font = font_for(letter, 22, bold=True)
    assert font.getname() == ("DejaVu Sans", "Bold")
    assert bytes(font.getmask(letter)) != box(font)
    assert drawable(letter) == letter


def test_letters_that_no_font_has_are_replaced_and_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    assert drawable(CHINESE, "zhang-san") == drawable(CHINESE, "zhang-san") == "zhang-san"
    assert drawable(f"1-{CHINESE} é.mp4") == r"1-\u5f20\u4e09 é.mp4"
    assert sum("fonts-noto-cjk" in text for text in caplog.messages) == 2  # for each text


def test_a_font_of_the_machine_that_has_the_letters_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    other = FONTS / "STIXGeneral.ttf"
    letter = chr(min(fonts._charmap(other) - fonts._charmap(FONTS / "DejaVuSans.ttf") - set(range(0x2000))))
    assert drawable(letter, "-") == "-"
    fonts._path_for.cache_clear()
    monkeypatch.setattr(fonts, "_system_fonts", lambda bold: (FONTS / "cmr10.ttf", other))
    assert drawable(letter, "-") == letter
    font = font_for(letter, 30, bold=False)
    assert font.getname()[0] == "STIXGeneral" and bytes(font.getmask(letter)) != box(font)


def test_a_file_that_is_no_font_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.ttf").write_bytes(b"no font")
    monkeypatch.setattr(fonts, "_system_fonts", lambda bold: (tmp_path / "a.ttf",))
    assert drawable(CHINESE, "id") == "id"
