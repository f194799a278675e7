"""Fonts for the contact sheet: one that has the letters of a text, or a text that can be drawn instead."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

import PIL.Image
from PIL import ImageDraw, ImageFont

log = logging.getLogger(__name__)

_FIRST = ("notosanscjk", "sourcehansans", "notosans", "wqy", "droidsansfallback", "unifont")
_NOT_USED = ("lastresort", "emoji", "symbol", "mono")  # fonts with boxes, pictures or very wide letters


def font_for(text: str, size: int, bold: bool) -> ImageFont.FreeTypeFont:
    """Load the font that draws `text`: DejaVu Sans or, if it lacks a letter, a font of this machine.

    DejaVu Sans comes with matplotlib; Pillow's own font has no letter beyond ASCII.
    """
    path = _path_for(_letters(text), bold)
    return _load(path or _dejavu(bold), size)


def draw_text(
    sheet: PIL.Image.Image,
    corner: tuple[int, int],
    text: str,
    size: int,
    colour: tuple[int, int, int],
    width: float,
    *,
    bold: bool = False,
) -> None:
    """Draw one line of text, shortened with an ellipsis to fit `width` pixels."""
    text = drawable(text)
    font = font_for(text + "…", size, bold)
    if font.getlength(text) > width:
        while text and font.getlength(text + "…") > width:
            text = text[:-1]
        text += "…"
    ImageDraw.Draw(sheet).text(corner, text, font=font, fill=colour)


def drawable(text: str, instead: str = "") -> str:
    """Return `text` if a font has all its letters, else `instead`, or `text` with codes for letters.

    Without a font, a letter would be an empty box.
    """
    letters = _letters(text)
    if _path_for(letters, bold=False) is not None:
        return text
    _warn_once(text)
    if instead and instead != text:
        return drawable(instead)
    known = _charmap(_dejavu(bold=False))
    missing = {letter for letter in letters if ord(letter) not in known}
    return "".join(f"\\u{ord(letter):04x}" if letter in missing else letter for letter in text)


@cache
def _warn_once(text: str) -> None:
    log.warning("no font here has all letters of %r; install one, for example fonts-noto-cjk", text)


def _letters(text: str) -> frozenset[str]:
    return frozenset(letter for letter in text if letter.isprintable() and not letter.isspace())


@cache
def _path_for(letters: frozenset[str], bold: bool) -> Path | None:
    """Return the first font file that has all letters; None if there is none."""
    codes = {ord(letter) for letter in letters}
    for path in (_dejavu(bold), *_system_fonts(bold)):
        if codes <= _charmap(path):
            return path
    return None


def _dejavu(bold: bool) -> Path:
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name


@cache
def _system_fonts(bold: bool) -> tuple[Path, ...]:
    """Return the fonts of this machine, those of many letters and the wanted weight first."""
    from matplotlib import font_manager

    def order(path: Path) -> tuple[object, ...]:
        name = path.stem.lower().replace("-", "")
        rank = next((k for k, first in enumerate(_FIRST) if first in name), len(_FIRST))
        return rank, ("bold" in name) != bold, "italic" in name or "oblique" in name, str(path)

    found = {Path(name) for name in font_manager.findSystemFonts()}
    used = (path for path in found if not any(word in path.name.lower() for word in _NOT_USED))
    return tuple(sorted(used, key=order))


@cache
def _charmap(path: Path) -> frozenset[int]:
    """Return the codes of the letters that a font file has; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()


@cache
def _load(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)
