"""The benchmark of the two pictures compares what annotators see with what they saw."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest

from bench.shown import before_and_after, main
from tests.folders import make_folder


def test_it_tells_the_first_and_last_saved_faces_from_the_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(tmp_path)
    pairs = list(before_and_after(folder))
    assert [one.frames.tolist() for one, _ in pairs] == [[0, 15], [5, 15], [20, 35]]
    assert all(before.tags == after.tags for before, after in pairs), "all faces are alike here"
    folder.thumbnail(pairs[0][0].tags[1]).rename(folder.thumbnail("7:10:23_30_73_90"))
    assert next(after.frames.tolist() for _, after in before_and_after(folder)) == [0, 10]
    assert main([str(folder.path), "--sheet", str(tmp_path / "sheet.png")]) == 0
    *_, before, after = capsys.readouterr().out.splitlines()
    assert before.startswith("| 7 | first and last | 3 |") and before.endswith(" 0 | 13.3 |")
    assert after.startswith("| 7 | best two | 3 |") and after.endswith(" 0 | 11.7 |")
    with PIL.Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height == 3 * 128
