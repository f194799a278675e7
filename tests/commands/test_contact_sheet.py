"""The contact sheet command writes a picture, or one line that says why not."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest

from facerec.contact_sheet import main
from facerec.support.cli import run_main
from tests.finished_folder import finished_folder


def test_unfinished_folder_is_a_one_line_error_without_a_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished_folder(tmp_path, [(0, 9)], [0], {0: {}})
    folder.predictions.unlink()
    assert run_main(main, ["--path", str(folder.path)]) == 1
    said = capsys.readouterr().err.strip()
    assert "predictions.json" in said and "\n" not in said
    assert not folder.contact_sheet.exists()


def test_command_writes_a_png_and_prints_its_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished_folder(tmp_path, [(0, 9)], [0], {0: {"ada": 0.9}})
    assert run_main(main, ["--path", str(folder.path), "--actor-db", str(tmp_path)]) == 0
    assert str(folder.contact_sheet) in capsys.readouterr().out
    with PIL.Image.open(folder.contact_sheet) as sheet:
        assert sheet.format == "PNG" and sheet.width > 1000


def test_number_of_clusters_must_be_positive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished_folder(tmp_path, [(0, 9)], [0], {0: {}})
    assert run_main(main, ["--path", str(folder.path), "--clusters", "0"]) == 1
    assert "--clusters 0: must be at least 1" in capsys.readouterr().err
