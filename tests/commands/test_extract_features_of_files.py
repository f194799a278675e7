"""extract_features.py on lists and tar shards: names, summaries, options and exit status."""

from __future__ import annotations

import json
import pickle
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest

from facerec import extract_features
from facerec.support.cli import run_main
from tests.films import make_film

SECOND = 16000


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TQDM_DISABLE", "1")


def _tone(path: str, samples: int = SECOND) -> bytes:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(samples) / 5) * 9000).astype("<i2").tobytes())
    return Path(path).read_bytes()


def _run(*arguments: str) -> int:
    return run_main(extract_features.main, ["--features", "audio_stft", *arguments])


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    _tone("a.wav")
    Path("videos.csv").write_text("video_path,feature_path\na.wav,sub/a.npy\nnone.wav,b.npy\n")
    assert _run("--out", "out", "videos.csv") == 1
    output = capsys.readouterr()
    assert output.out == ("videos.csv: audio_stft: 1 items finished, 1 failed (reasons in out/index.jsonl)\n")
    assert "ERROR none.wav: no such file or folder (no audio_stft)" in output.err
    assert np.load("out/sub/a.npy").shape == (257, 126)
    _tone("none.wav", 2 * SECOND)
    assert _run("--out", "out", "videos.csv") == 0
    assert np.load("out/b.npy").shape == (257, 251)


def test_a_list_of_paths_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    _tone("films/x/a.wav")
    Path("list.txt").write_text("x/a\n")
    assert _run("list.txt", "--root", "films", "--video-suffix", ".wav", "--float16") == 0
    assert np.load("features/x/a.npy").dtype == np.float16
    assert capsys.readouterr().out == "list.txt: audio_stft: 1 items finished\n"
    assert _run("list.txt", "--root", "films", "--video-suffix", ".wav") == 1
    assert "has features that were made with other options or inputs" in capsys.readouterr().err
    assert _run("list.txt", "--root", "films", "--video-suffix", ".wav", "--fresh") == 0
    assert np.load("features/x/a.npy").dtype == np.float32


def test_a_file_is_an_item_itself() -> None:
    _tone("a.wav")
    assert _run("a.wav") == 0
    assert Path("features/a.npy").is_file()


def test_a_feature_that_joins_another_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    _tone("a.wav")
    Path("list.txt").write_text("a.wav\n")
    Path("features/provenance").mkdir(parents=True)
    Path("features/provenance/place.json").write_text("{}")
    assert _run("list.txt") == 0
    assert Path("features/audio_stft/a.npy").is_file()


@pytest.mark.parametrize("format", ["npz", "pkl"])
def test_tar_shards(format: str, capsys: pytest.CaptureFixture[str]) -> None:
    film = make_film(Path("silent.mp4"), 5)
    _tone("a.wav")
    Path("clips").mkdir()
    for k in (0, 2):
        with tarfile.open(f"clips/shard-00000{k}.tar", "w") as archive:
            archive.add("a.wav", "id_7.wav")
            archive.add(film, "id_8.mp4")
        rows = [{"filename": name, "id": "id", "segment": [7, 8]} for name in ("id_7.wav", "id_8.mp4")]
        Path(f"clips/shard-00000{k}.json").write_text(json.dumps(rows))
    assert _run("clips/shard-{000000..000002}.tar", "--format", format) == 0
    (log,) = (json.loads(path.read_text()) for path in Path("features").glob("log_*.json"))
    assert log["shards"] == ["shard-000000", "shard-000002"]
    output = capsys.readouterr()
    assert output.out == "clips/shard-{000000..000002}.tar: audio_stft: 4 clips finished\n"
    assert "clips/shard-000001.tar: no such file; skipped" in output.err
    if format == "npz":
        with np.load("features/shard-000002.npz") as arrays:
            assert arrays["id_7.wav/audio_stft/features"].shape == (257, 126)
    else:
        first, second = pickle.loads(Path("features/shard-000002.pkl").read_bytes())
        assert first["audio_features"][0]["feat_array"]["layer_0"].shape == (257, 126)
        assert first["visual_features"] == []
        assert (second["filename"], second["audio_features"]) == ("id_8.mp4", [])
    assert _run("clips/shard-000000.tar", "clips/shard-000002.tar", "--format", format) == 0
    assert "shard-000000: finished before; skipped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv"], "none.csv: no such file or folder"),
        ([], "give a film, a list or tar files, or a movie folder with --path"),
        (["a.csv", "b.csv"], "a.csv b.csv: give one film, one list, or tar files only"),
        (["none-{1..3}.tar"], "none-{1..3}.tar: none of the 3 tar files is there"),
        (["a.wav", "--frame-rate", "0"], "--frame-rate 0.0: must be between 0.001 and 1000"),
        (["a.wav", "--frame-rate", "inf"], "--frame-rate inf: must be between 0.001 and 1000"),
        (["a.wav", "--frame-rate", "1e-300"], "--frame-rate 1e-300: must be between 0.001 and 1000"),
        (["a.wav", "--frame-rate", "nan"], "--frame-rate nan: must be between 0.001 and 1000"),
        (["a.wav", "--format", "pkl"], "--format pkl: is for tar shards only"),
        (["a.tar", "--root", "."], "--root: is for lists only"),
        (["a.tar", "--video-suffix", ".mp4"], "--video-suffix: is for lists only"),
        (["a.wav", "--video-suffix", "mp4"], "--video-suffix mp4: must begin with a dot"),
        (["shard-0.tar.gz"], "shard-0.tar.gz: is a compressed file; unpack it"),
        (["7-a.mp4"], "7-a.mp4: no such film"),
        (["a.wav", "--out", "a.wav"], "a.wav: this must be a folder; move the file away"),
        (["a.wav", "--shard", "2", "--n", "2"], "--shard 2: with --n 2 the shards are 0 to 1"),
    ],
)
def test_bad_arguments_give_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _tone("a.wav")
    assert _run(*arguments) == 1
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert {path.name for path in Path().iterdir()} == {"a.wav"}
