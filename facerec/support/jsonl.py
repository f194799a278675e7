"""JSON from files that are not trusted: bounded, checked, and refused by file, line and rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import orjson

from facerec.errors import ContractError

MAX_LINE = 1 << 26  # bytes; a trajectory of a whole film's length has half as many
MAX_FILE = 1 << 27  # bytes of a file that is one JSON value; no film's comes near it
_ENDS = 150  # characters that are left of both ends of a long message

Record = TypeVar("Record")


class RuleViolation(Exception):
    """A rule that does not hold; the readers below add file and line."""


def require(holds: bool, rule: str) -> None:
    """Raise `RuleViolation` with the `rule` that does not hold."""
    if not holds:
        raise RuleViolation(rule)


def is_int(value: object) -> bool:
    """Whether a JSON value is an integer; a boolean is none."""
    return type(value) is int


def is_float(value: object) -> bool:
    """Whether a JSON value is a number with a point or an exponent; orjson knows only finite ones."""
    return type(value) is float


def require_keys(value: object, names: set[str]) -> dict[str, Any]:
    """`value` as an object with exactly the keys `names`."""
    if not isinstance(value, dict):
        raise RuleViolation("a JSON object is expected")
    if value.keys() == names:
        return value
    missing, unknown = sorted(names - value.keys()), sorted(value.keys() - names)
    require(not missing, f"missing key {', '.join(missing)}")
    require(not unknown, f"unknown key {', '.join(unknown)}")
    return value


def scan_lines(
    path: Path, parse: Callable[[object], Record], max_line: int = MAX_LINE
) -> Iterator[tuple[int, Record | ContractError]]:
    """Every line of a JSON-lines file by its 1-based number: its record, or what is wrong with it.

    Memory is bounded by `max_line` bytes; of a longer line the rest is passed over.

    Raises:
        ContractError: the file does not exist.
    """
    with _open(path) as file:
        number = 0
        while line := file.readline(max_line + 1):
            number += 1
            if len(line) > max_line:
                yield number, ContractError(path, f"the line is longer than {max_line} bytes", number)
                while line and not line.endswith(b"\n"):
                    line = file.readline(max_line)
                continue
            try:
                yield number, _parsed(path, number, line, parse)
            except ContractError as error:
                yield number, error


def read_lines(
    path: Path, parse: Callable[[object], Record], max_line: int = MAX_LINE
) -> Iterator[tuple[int, Record]]:
    """The records of a JSON-lines file with their 1-based line numbers, in bounded memory.

    Raises:
        ContractError: at the first line that is blank, no JSON, too long or against the rules.
    """
    return raise_errors(scan_lines(path, parse, max_line))


def raise_errors(scanned: Iterator[tuple[int, Record | ContractError]]) -> Iterator[tuple[int, Record]]:
    """What was scanned, up to the first error, which is raised."""
    for number, record in scanned:
        if isinstance(record, ContractError):
            raise record
        yield number, record


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
    if not path.is_file():  # nor a pipe, which may never end
        raise ContractError(path, "this file must exist")
    return path.open("rb")


def _parsed(path: Path, number: int | None, data: bytes, parse: Callable[[object], Record]) -> Record:
    if not data.strip():
        raise ContractError(path, "blank lines are not allowed" if number else "the file is empty", number)
    try:
        return parse(orjson.loads(data))
    except orjson.JSONDecodeError as error:
        raise ContractError(path, f"no valid JSON: {error}", number) from None
    except RuleViolation as error:
        raise ContractError(path, _shortened(str(error)), number) from None


def _shortened(rule: str) -> str:
    """A rule that may quote what is wrong, without the middle of a long quotation."""
    return rule if len(rule) <= 2 * _ENDS else f"{rule[:_ENDS]} … {rule[-_ENDS:]}"
