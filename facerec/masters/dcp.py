"""Digital cinema packages (SMPTE ST 429): which frames of which files a composition shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath
from urllib.parse import unquote
from xml.etree import ElementTree

from facerec.errors import ContractError, InputError

_MAP_NAMES = ("ASSETMAP.xml", "ASSETMAP")


@dataclass(frozen=True)
class Reel:
    """Frames `[beg, beg + frames)` of the picture file `path`; `frames` None: up to its end."""

    path: Path
    beg: int
    frames: int | None
    rate: Fraction


def is_package(folder: Path) -> bool:
    """Return whether a folder has the map of the files of a digital cinema package."""
    return any((folder / name).is_file() for name in _MAP_NAMES)


def read_package(folder: Path, composition: Path | None = None) -> list[Reel]:
    """Return the reels of a composition.

    Args:
        composition: file of its playlist (CPL); None if the package has one only.

    Raises:
        InputError: there are several compositions, files are missing, or they are encrypted or 3D.
        ContractError: a file is not XML or lacks an element.
    """
    assets = _assets(folder)
    if composition is None:
        composition = _only_composition(folder, assets)
    root = _parse(composition)
    reels = [_reel(composition, reel, assets) for reel in _below(root, "Reel")]
    if not reels:
        raise ContractError(composition, "has no reel")
    if len({reel.rate for reel in reels}) > 1:
        raise InputError(f"{composition}: its reels have different frame rates")
    return reels


def _assets(folder: Path) -> dict[str, Path]:
    """Return the files of a package by their ids."""
    map_path = next(folder / name for name in _MAP_NAMES if (folder / name).is_file())
    found = {}
    for asset in _below(_parse(map_path), "Asset"):
        path = unquote(_text(map_path, asset, "Path").removeprefix("file:///"))
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ContractError(map_path, f"the path {path!r} leads out of the package")
        found[_identifier(_text(map_path, asset, "Id"))] = folder / path
    return found


def _only_composition(folder: Path, assets: dict[str, Path]) -> Path:
    candidates = [path for path in assets.values() if path.suffix.lower() == ".xml" and path.is_file()]
    found = [path for path in candidates if _name(_parse(path)) == "CompositionPlaylist"]
    if not found:
        raise InputError(f"{folder}: no composition playlist (CPL) of this package is here; copy it again")
    if len(found) > 1:
        titles = ", ".join(f"{path.name} ({_title(path)})" for path in sorted(found))
        raise InputError(f"{folder}: {len(found)} compositions: {titles}; choose one with --cpl FILE")
    return found[0]


def _title(path: Path) -> str:
    return next((one.text or "" for one in _below(_parse(path), "ContentTitleText")), "")


def _reel(path: Path, reel: ElementTree.Element, assets: dict[str, Path]) -> Reel:
    pictures = [one for one in reel.iter() if _name(one) in ("MainPicture", "MainStereoscopicPicture")]
    if not pictures:
        raise ContractError(path, "a reel has no picture")
    picture = pictures[0]
    if _name(picture) != "MainPicture":
        raise InputError(f"{path}: is in 3D; take the package of the 2D version")
    identifier = _identifier(_text(path, picture, "Id"))
    file = assets.get(identifier)
    if file is None:
        raise InputError(
            f"{path}: its picture {identifier} belongs to another package (of the original version); "
            "copy that package's files into this folder and its assets into ASSETMAP.xml"
        )
    if any(_name(one) == "KeyId" for one in picture.iter()):
        raise InputError(f"{path}: {file.name} is encrypted; ask for a package without encryption")
    if not file.is_file():
        raise InputError(f"{file}: this picture file of the package is missing; copy the package again")
    rate = _text(path, picture, "EditRate").split()
    if len(rate) != 2 or not all(word.isdigit() and int(word) for word in rate):
        raise ContractError(path, f"the edit rate {' '.join(rate)!r} is not two numbers")
    beg, frames = _number(path, picture, "EntryPoint"), _number(path, picture, "Duration")
    return Reel(file, beg or 0, frames, Fraction(int(rate[0]), int(rate[1])))


def _parse(path: Path) -> ElementTree.Element:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    data = path.read_bytes()
    if b"<!DOCTYPE" in data.replace(b"\0", b"") or b"<!ENTITY" in data.replace(b"\0", b""):
        raise ContractError(path, "has a DOCTYPE, which a package does not need and is not read")
    try:
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ContractError(path, f"is not XML ({error.msg})", error.position[0]) from None


def _below(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (one for one in element.iter() if _name(one) == name)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(path: Path, element: ElementTree.Element, name: str) -> str:
    for one in _below(element, name):
        if one.text and one.text.strip():
            return one.text.strip()
    raise ContractError(path, f"{_name(element)} has no {name}")


def _number(path: Path, element: ElementTree.Element, name: str) -> int | None:
    text = next((one.text or "" for one in _below(element, name)), None)
    if text is None:
        return None
    if not (text.strip().isascii() and text.strip().isdigit()):
        raise ContractError(path, f"{name} {text!r} is not a number")
    return int(text)


def _identifier(text: str) -> str:
    return text.lower().removeprefix("urn:uuid:")
