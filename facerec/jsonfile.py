"""JSON from files that are not trusted: bounded, checked, and refused by file, line and rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import orjson

from facerec.errors import ContractError

MAX_LINE = 1 << 26  # bytes; a trajectory of a whole film's length has half as many
MAX_FILE = 1 << 30  # bytes of a file that is one JSON value

Record = TypeVar("Record")


class Broken(Exception):
    """A rule that does not hold; the readers below add file and line."""


def require(holds: bool, rule: str) -> None:
    """Raise `Broken` with the `rule` that does not hold."""
    if not holds:
        raise Broken(rule)


def is_int(value: object) -> bool:
    """Whether a JSON value is an integer; a boolean is none."""
    return type(value) is int


def keys(value: object, names: set[str]) -> dict[str, Any]:
    """`value` as an object with exactly the keys `names`."""
    if not isinstance(value, dict):
        raise Broken("a JSON object is expected")
    missing, unknown = sorted(names - value.keys()), sorted(value.keys() - names)
    require(not missing, f"missing key {', '.join(missing)}")
    require(not unknown, f"unknown key {', '.join(map(str, unknown))}")
    return value


def read_lines(
    path: Path, parse: Callable[[object], Record], max_line: int = MAX_LINE
) -> Iterator[tuple[int, Record]]:
    """The records of a JSON-lines file with their 1-based line numbers, in bounded memory.

    Raises:
        ContractError: at the first line that is blank, no JSON, too long or against the rules.
    """
    with _open(path) as file:
        number = 0
        while line := file.readline(max_line):
            number += 1
            if len(line) == max_line and not line.endswith(b"\n"):
                raise ContractError(path, f"the line is longer than {max_line} bytes", number)
            yield number, _parsed(path, number, line, parse)


def read_json(path: Path, parse: Callable[[object], Record]) -> Record:
    """The one JSON value of a file.

    Raises:
        ContractError: the file is missing, too large, no JSON or against the rules.
    """
    with _open(path) as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise ContractError(path, f"the file is larger than {MAX_FILE} bytes")
    return _parsed(path, None, data, parse)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise ContractError(path, "this file must exist") from None


def _parsed(path: Path, number: int | None, data: bytes, parse: Callable[[object], Record]) -> Record:
    if not data.strip():
        raise ContractError(path, "blank lines are not allowed" if number else "the file is empty", number)
    try:
        return parse(orjson.loads(data))
    except orjson.JSONDecodeError as error:
        raise ContractError(path, f"no valid JSON: {error}", number) from None
    except Broken as error:
        raise ContractError(path, str(error), number) from None
