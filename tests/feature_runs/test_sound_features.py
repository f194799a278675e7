"""Features of sound of real files: as long as the frames, and what the index says of the sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from facerec import extract_features
from facerec.errors import FacerecError
from facerec.feature_runs.engine import FeatureEngine
from facerec.feature_runs.media import open_footage
from facerec.feature_runs.rows import Rows
from facerec.feature_runs.sources import ClipRequest, NoSoundError
from facerec.features import load_extractor
from facerec.folder.documents import scene_changes_bytes
from facerec.video.film import open_film
from facerec.video.sound import SoundReading, open_sound
from tests.feature_runs.movies import contents
from tests.films import make_film
from tests.sounds import noise, write_sound

Found = dict[str, tuple[np.ndarray[Any, Any], bool, dict[str, Any]]]
FILM = ClipRequest("film", 0, 100)


def stft_of(path: Path, *clips: ClipRequest, folder: Path | None = None) -> Found:
    """Return array, padded and facts of `audio_stft` by clip."""
    found: Found = {}

    def finished(clip: ClipRequest, feature: str, rows: Rows | FacerecError) -> None:
        if isinstance(rows, FacerecError):
            raise rows
        found[clip.name] = rows.array(), rows.padded, rows.facts

    engine = FeatureEngine({"audio_stft": load_extractor("audio_stft")}, folder=folder)
    engine.compute(open_footage(path, 25.0), clips, ["audio_stft"], finished, lambda _: None)
    engine.flush()
    return found


def test_the_sound_of_a_film_and_its_shots_is_as_long_as_their_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    sound = noise(5, 16000)
    write_sound(path, sound, 16000, codec="flac", seconds_of_film=4)  # 100 frames; the sound is longer
    found = stft_of(path, ClipRequest("a", 0, 30), ClipRequest("b", 30, 31), ClipRequest("c", 31, 100), FILM)
    assert [found[name][0].shape[1] for name in "abc"] == [1 + n // 128 for n in (19200, 640, 44160)]
    assert found["film"][0].shape == (257, 1 + 64000 // 128)
    stored = (sound[0] * 32768).round() / 32768  # the codec has 16 bits
    expected = load_extractor("audio_stft").extract(stored[19200:19840].astype(np.float32))
    assert np.abs(found["b"][0] - expected).max() < 1e-3
    assert not any(padded for _, padded, _ in found.values())
    assert found["film"][2] == {"silent_seconds": 0.0, "damaged_packets": 0}


def test_missing_sound_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_sound(path, noise(2, 16000), 16000, codec="flac", seconds_of_film=4, sound_begins=0.5)
    found = stft_of(path, ClipRequest("a", 0, 25), ClipRequest("b", 25, 50), ClipRequest("c", 90, 100), FILM)
    assert [found[name][2]["silent_seconds"] for name in ("a", "b", "c", "film")] == [0.5, 0, 0.4, 2]
    assert (found["c"][0] == -100).all()


def test_a_clip_shorter_than_a_window_is_marked(tmp_path: Path) -> None:
    path = write_sound(
        tmp_path / "a.mkv", noise(1, 16000), 16000, codec="flac", seconds_of_film=1, film_rate=50
    )
    found = stft_of(path, ClipRequest("a", 3, 4), ClipRequest("b", 3, 6))
    assert [found[name][:2][1] for name in "ab"] == [True, False]
    assert found["a"][0].shape == (257, 1 + 320 // 128)


def test_a_sound_file_is_used_to_its_end(tmp_path: Path) -> None:
    samples = noise(1.7, 16000)[0]
    soundfile.write(tmp_path / "a.wav", samples, 16000, "FLOAT")
    found = stft_of(tmp_path / "a.wav", ClipRequest("a", 0, 0))
    assert np.array_equal(found["a"][0], load_extractor("audio_stft").extract(samples))


def test_a_film_without_sound_has_no_features_of_sound(tmp_path: Path) -> None:
    with pytest.raises(NoSoundError, match="has no sound"):
        stft_of(make_film(tmp_path / "1-a.mp4", 5), ClipRequest("film", 0, 5))


def test_temporary_files_are_made_in_the_folder_of_the_engine(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mkv", noise(60, 16000), 16000, codec="flac", seconds_of_film=60)
    with pytest.raises(FileNotFoundError, match="missing"):
        stft_of(path, ClipRequest("film", 0, 1500), folder=tmp_path / "missing")


def test_the_features_of_sound_of_a_movie_do_not_depend_on_the_number_of_shards(tmp_path: Path) -> None:
    film = write_sound(
        tmp_path / "7-Film.mp4", noise(6, 48000, 2), 48000, codec="aac", seconds_of_film=6, film_begins=0.2
    )
    results = []
    for number, commands in enumerate([["0 --n 1"], ["2 --n 3", "0 --n 3", "1 --n 3"]]):
        folder = tmp_path / f"{number}" / "7-data"
        folder.mkdir(parents=True)
        (folder / "scene_changes.json").write_bytes(scene_changes_bytes(7, (40, 41, 100)))
        for shard in commands:
            options = ["--features", "audio_stft", "--out", str(folder.parent), "--shard", *shard.split()]
            assert extract_features.main([*options, str(film)]) == 0
        results.append(contents(folder))
    assert results[0] == results[1]
    [index] = [text for name, text in results[0].items() if name.endswith("index.jsonl")]
    assert len(index.splitlines()) == 5
    sound = open_sound(film, open_film(film))
    assert sound is not None
    samples = np.concatenate(list(SoundReading(sound, 0, 6 * 16000).blocks()))
    stft = load_extractor("audio_stft")
    made = tmp_path / "0" / "7-data" / "shot_features" / "audio_stft"
    shots = [(0, 25600), (25600, 26240), (26240, 64000), (64000, 96000)]
    for name, (beg, end) in {
        "film": (0, 96000),
        **{f"shot_{k:05d}": one for k, one in enumerate(shots)},
    }.items():
        assert np.array_equal(np.load(made / f"{name}.npy"), stft.extract(samples[beg:end]))
