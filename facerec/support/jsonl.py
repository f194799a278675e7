"""Untrusted JSON files, read in bounded memory and checked; errors name file, line and rule."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import orjson

from facerec.errors import ContractError

MAX_LINE = 1 << 26  # bytes; twice the size of a trajectory as long as a feature film
MAX_FILE = 1 << 27  # bytes of a file with one JSON value; far above any real one
_ENDS = 150  # characters kept at both ends of a long message

Record = TypeVar("Record")


class RuleViolation(Exception):
    """A value breaks a rule; the readers below turn it into a ContractError with file and line."""


def require(condition: bool, rule: str) -> None:
    """Raise `RuleViolation` with the text `rule` if `condition` is false."""
    if not condition:
        raise RuleViolation(rule)


def is_int(value: object) -> bool:
    """Whether a JSON value is an integer; booleans are not."""
    return type(value) is int


def is_float(value: object) -> bool:
    """Whether a JSON value is written as a float; orjson parses only finite ones."""
    return type(value) is float


def require_keys(value: object, names: Set[str]) -> dict[str, Any]:
    """Return `value` if it is a JSON object with exactly the keys `names`; raise RuleViolation if not."""
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
    """Parse all lines of a JSON-lines file; continue after an error.

    Memory is bounded by `max_line` bytes; the rest of a longer line is skipped.

    Yields:
        (1-based line number, the record or the error of that line).

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
                yield number, _parse(path, number, line, parse)
            except ContractError as error:
                yield number, error


def read_lines(
    path: Path, parse: Callable[[object], Record], max_line: int = MAX_LINE
) -> Iterator[tuple[int, Record]]:
    """Parse the lines of a JSON-lines file in bounded memory; stop at the first error.

    Yields:
        (1-based line number, record).

    Raises:
        ContractError: a line is blank, not JSON, too long or breaks a rule, or there is no such file.
    """
    return raise_errors(scan_lines(path, parse, max_line))


def raise_errors(lines: Iterator[tuple[int, Record | ContractError]]) -> Iterator[tuple[int, Record]]:
    """Pass on the records of `scan_lines`; raise the first error."""
    for number, record in lines:
        if isinstance(record, ContractError):
            raise record
        yield number, record


def read_json(path: Path, parse: Callable[[object], Record]) -> Record:
    """Parse a file that holds one JSON value.

    Raises:
        ContractError: the file is missing, too large, not JSON or breaks a rule.
    """
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size  # not a buffer for the largest file
        data = file.read(min(size, MAX_FILE) + 1)
    if len(data) > MAX_FILE:
        raise ContractError(path, f"the file is larger than {MAX_FILE} bytes")
    return _parse(path, None, data, parse)


def _open(path: Path) -> BinaryIO:
    if not path.is_file():  # also refuses pipes, which may never end
        raise ContractError(path, "this file must exist")
    return path.open("rb")


def _parse(path: Path, number: int | None, data: bytes, parse: Callable[[object], Record]) -> Record:
    if not data.strip():
        raise ContractError(path, "blank lines are not allowed" if number else "the file is empty", number)
    try:
        return parse(orjson.loads(data))
    except orjson.JSONDecodeError as error:
        raise ContractError(path, f"not valid JSON: {error}", number) from None
    except RuleViolation as error:
        raise ContractError(path, _shorten(str(error)), number) from None


def _shorten(rule: str) -> str:
    """Cut the middle out of a long message, which may quote a long value."""
    return rule if len(rule) <= 2 * _ENDS else f"{rule[:_ENDS]} … {rule[-_ENDS:]}"
