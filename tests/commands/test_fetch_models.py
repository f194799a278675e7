"""The command downloads weights and prints one line, also where there is no network."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facerec.fetch_models import main
from facerec.models import download, weights
from facerec.support.cli import run_main


@pytest.mark.parametrize("source", ["http://127.0.0.1:9/net.dat", "http://name.invalid/net.dat"])
def test_missing_network_is_a_one_line_error(source, tmp_path, monkeypatch, capsys):
    entry = replace(weights.CATALOGUE["dlib"], source=source, package="")
    monkeypatch.setattr(download, "CATALOGUE", {"dlib": entry})
    assert run_main(main, ["dlib", "--path", str(tmp_path)]) == 1
    error = capsys.readouterr().err.strip()
    assert "cannot be downloaded" in error and "\n" not in error and source in error
    assert list(tmp_path.iterdir()) == []


def test_command_prints_what_was_done_for_each_model(tmp_path, capsys):
    assert run_main(main, ["mtcnn", "dlib", "--path", str(tmp_path / "new")]) == 0
    printed = capsys.readouterr().out
    assert "mtcnn comes with the package" in printed and "dlib comes with the package" in printed
    assert printed.count("\n") == 1


def test_weights_of_a_feature_must_load_as_its_network(tmp_path, monkeypatch, capsys):
    """A page that says that the server is busy must not be kept as weights."""
    (tmp_path / "busy.html").write_text("<html>come back later</html>")
    entry = replace(weights.CATALOGUE["place"], source=(tmp_path / "busy.html").as_uri())
    monkeypatch.setattr(weights, "CATALOGUE", {"place": entry})
    monkeypatch.setattr(download, "CATALOGUE", weights.CATALOGUE)
    assert run_main(main, ["place", "--path", str(tmp_path / "weights")]) == 1
    assert "not a PyTorch weights file" in capsys.readouterr().err
    assert [*(tmp_path / "weights").iterdir()] == []
