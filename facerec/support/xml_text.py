"""XML files: text that may contain anything is written, and untrusted files are read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from facerec.errors import ContractError, InputError

# what XML 1.0 has no way to write
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def element_text(text: str) -> str:
    """Return the text of an element, escaped; characters that XML forbids are left out."""
    return escape(_FORBIDDEN.sub("", text))


def attribute(text: str) -> str:
    """Return an attribute's value with its quotes, escaped; characters that XML forbids are left out."""
    return quoteattr(_FORBIDDEN.sub("", text))


def iterate_xml(path: Path, root: str) -> Iterator[tuple[str, ElementTree.Element]]:
    """Yield "start" and "end" of every element of a file; the caller may clear elements that have ended.

    Args:
        root: name of the outermost element.

    Raises:
        InputError: there is no such file.
        ContractError: the file is not XML, or of another kind.
    """
    if not path.is_file():  # also refuses pipes, which may never end
        raise InputError(f"{path}: {'is not a file' if path.exists() else 'no such file'}")
    with path.open("rb") as file:
        events = ElementTree.iterparse(file, events=("start", "end"))
        first = True
        while True:
            try:
                event, element = next(events)
            except StopIteration:
                return
            except ElementTree.ParseError as error:
                raise ContractError(path, f"is not XML ({error.msg})", error.position[0]) from None
            if first and element.tag != root:
                raise ContractError(path, f"the outermost element is {element.tag!r}, not {root!r}")
            first = False
            yield event, element


def required(path: Path, element: ElementTree.Element, name: str) -> str:
    """Return an attribute that an element must have.

    Raises:
        ContractError: it is missing.
    """
    value = element.get(name)
    if value is None:
        raise ContractError(path, f"an element {element.tag!r} has no attribute {name!r}")
    return value
