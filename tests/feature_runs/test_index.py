"""The index: entries of several workers, torn lines, and bytes that do not depend on who did what."""

from __future__ import annotations

import logging
import multiprocessing
from itertools import permutations
from pathlib import Path

import pytest

from facerec.feature_runs.index import Index

_SPAWN = multiprocessing.get_context("spawn")


def _entry(item: str, feature: str = "place", reason: str | None = None) -> dict[str, object]:
    return {"item": item, "feature": feature, "output": f"{item}.npy", "reason": reason}


def _open(folder: Path) -> Index:
    return Index(folder / "index.jsonl", folder / ".lock")


def test_workers_see_each_other_s_entries_after_refresh(tmp_path: Path) -> None:
    one, two = _open(tmp_path), _open(tmp_path)
    one.add([_entry("a")])
    assert two.get("a", "place") is None
    two.refresh()
    assert two.get("a", "place") == _entry("a")
    assert two.get("a", "clip") is None
    two.add([_entry("b"), _entry("a", reason="broken")])
    one.refresh()
    assert (len(one), one.get("a", "place")) == (2, _entry("a", reason="broken"))


@pytest.mark.parametrize("order", [*permutations("abc")])
def test_the_finished_index_does_not_depend_on_the_order_of_work(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    index = _open(tmp_path)
    keys = [("b", "place"), ("a", "place"), ("c", "place")]
    for item in order:
        assert not index.finish(keys)
        index.add([_entry(item)])
    index.add([_entry("old2"), _entry("old1")])
    assert index.finish(keys)
    lines = index.path.read_text().splitlines()
    assert [line.split('"')[3] for line in lines] == ["b", "a", "c", "old1", "old2"]


def test_another_worker_follows_a_rewritten_index(tmp_path: Path) -> None:
    one, two = _open(tmp_path), _open(tmp_path)
    for item in "abc":
        one.add([_entry(item)])
    two.refresh()
    for _ in range(3):  # new files, perhaps with the old ones' inode numbers
        one.remove([("a", "place")])
        one.add([_entry("a", reason="again")])
        assert one.finish([("a", "place")])
    two.refresh()
    assert two.get("a", "place") == _entry("a", reason="again")
    one.path.unlink()
    two.refresh()
    assert len(two) == 0


def test_a_torn_line_is_no_entry_and_spoils_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    index = _open(tmp_path)
    index.add([_entry("a")])
    with index.path.open("ab") as file:
        file.write(b'{"item":"b","fea')  # killed while it wrote
    later = _open(tmp_path)
    assert len(later) == 1
    with caplog.at_level(logging.WARNING):
        later.add([_entry("c")])
    assert later.get("c", "place") and len(later) == 2
    assert "unreadable line" in caplog.text
    assert later.finish([("a", "place"), ("c", "place")])
    assert len(later.path.read_bytes().splitlines()) == 2, "the finished index keeps no torn line"


@pytest.mark.parametrize(
    "line", ["[]", "{}", '{"item":[],"feature":"a"}', '{"item":"a","feature":1}', "\x00", "7"]
)
def test_lines_that_are_no_entries_are_ignored(tmp_path: Path, line: str) -> None:
    (tmp_path / "index.jsonl").write_text(line + "\n\n")
    assert len(_open(tmp_path)) == 0


def _add_many(folder: Path, worker: int) -> None:
    index = _open(folder)
    for k in range(40):
        index.add([_entry(f"{worker}_{k}", reason="x" * 3000)])


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    workers = [_SPAWN.Process(target=_add_many, args=(tmp_path, n)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    index = _open(tmp_path)
    assert len(index) == 120
    assert len(index.path.read_bytes().splitlines()) == 120
