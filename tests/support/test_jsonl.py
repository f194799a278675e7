"""Untrusted JSON files: read in bounded memory, errors by line, never a traceback."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from facerec.errors import ContractError
from facerec.support.jsonl import MAX_FILE, RuleViolation, read_json, read_lines, require_keys, scan_lines
from tests.strategies import ANY_JSON


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json") / "file"


def anything(value: object) -> object:
    return value


@given(st.lists(ANY_JSON.filter(lambda v: v is not None), max_size=5))
def test_written_lines_are_read_back(file: Path, values: list[object]) -> None:
    file.write_bytes(b"".join(orjson.dumps(value) + b"\n" for value in values))
    assert list(read_lines(file, anything)) == list(enumerate(values, 1))


@given(st.binary(max_size=60))
@example(b"\xff\xfe")
@example(b"[" * 3000)  # nested deeper than any stack
@example(b'"\\ud800"')  # half a surrogate pair
@example(b"NaN")
@example(b"1e999")
@example(b"\xef\xbb\xbf{}")  # a byte order mark
def test_any_bytes_give_values_or_errors_that_name_the_line(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    numbers = []
    for number, record in scan_lines(file, anything):
        numbers.append(number)
        assert not isinstance(record, ContractError) or (record.path, record.line) == (file, number)
    lines = data.split(b"\n")
    assert numbers == list(range(1, len(lines) + (lines[-1] != b"")))


def test_scan_lines_continues_after_an_error_and_read_lines_stops(file: Path) -> None:
    file.write_bytes(b'1\n\n{"a"\n4\n')
    kinds = [type(record) for _, record in scan_lines(file, anything)]
    assert kinds == [int, ContractError, ContractError, int]
    reading = read_lines(file, anything)
    assert next(reading) == (1, 1)
    with pytest.raises(ContractError, match=r"file:2: blank lines are not allowed"):
        next(reading)


def test_a_last_line_without_newline_is_read(file: Path) -> None:
    file.write_bytes(b"1\n2")
    assert [record for _, record in read_lines(file, anything)] == [1, 2]


def test_the_line_limit_is_inclusive(file: Path) -> None:
    file.write_bytes(b'"1234"\n"12345"\n')
    first, second = scan_lines(file, anything, max_line=7)
    assert first == (1, "1234")
    assert isinstance(second[1], ContractError) and second[1].rule == "the line is longer than 7 bytes"


def test_a_huge_line_is_skipped_in_bounded_memory(file: Path) -> None:
    with file.open("wb") as to:
        to.truncate(64 << 20)  # sparse: a line of zeros
        to.seek(0, os.SEEK_END)
        to.write(b"\n7\n")
    tracemalloc.start()
    try:
        records = list(scan_lines(file, anything, max_line=1 << 20))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        file.unlink()
    assert isinstance(records[0][1], ContractError) and records[1] == (2, 7)
    assert peak < 8 << 20


def test_a_huge_document_is_refused(file: Path) -> None:
    with file.open("wb") as to:
        to.truncate(MAX_FILE + 1)
    with pytest.raises(ContractError, match="larger than"):
        read_json(file, anything)
    file.unlink()


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: None], ids=["folder", "pipe", "nothing"]
)
def test_missing_files_pipes_and_folders_are_refused_without_waiting(make: object, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    make(path)  # type: ignore[operator]
    with pytest.raises(ContractError, match="this file must exist"):
        read_json(path, anything)
    with pytest.raises(ContractError, match="this file must exist"):
        list(read_lines(path, anything))


def test_long_messages_are_shortened(file: Path) -> None:
    file.write_bytes(orjson.dumps({"x" * 10**6: 1}))
    with pytest.raises(ContractError) as caught:
        read_json(file, lambda value: require_keys(value, set()))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"a": 1}, "missing key b"),
        ({"a": 1, "b": 2, "c": 3, "d": 4}, "unknown key c, d"),
        ([], "object"),
        (None, "object"),
    ],
)
def test_require_keys_demands_exactly_these_keys(value: object, rule: str) -> None:
    with pytest.raises(RuleViolation, match=rule):
        require_keys(value, {"a", "b"})
