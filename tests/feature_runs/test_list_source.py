"""A list from its lines to outputs and index: names, hostile items, runs that go on, and several workers."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import signal
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures

from facerec.errors import InputError
from facerec.feature_runs.claims import Claims
from facerec.feature_runs.engine import FeatureEngine
from facerec.feature_runs.feature_folder import FeatureFolder
from facerec.feature_runs.list_source import ListSource, OutputName
from facerec.feature_runs.listing import Places, read_items
from facerec.feature_runs.media import open_footage
from facerec.feature_runs.run_log import RunLog
from facerec.feature_runs.worker import Worker
from facerec.features import EXTRACTORS
from tests.feature_runs.toys import ENTRIES, Loudness, Numbers, Stateful
from tests.films import make_film, make_sound, picture
from tests.processes import wait_until

_SPAWN = multiprocessing.get_context("spawn")
NAMES = {
    "numbers": OutputName(window=1),
    "stateful": OutputName(arrays=Stateful.arrays, window=3),
    "loudness": OutputName(),
}


class Loudness16(Loudness):
    sample_rate = 16000


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("films") / "film.mp4", 7)


def run(
    list_path: str = "videos.csv",
    *features: str,
    fresh: bool = False,
    opened: Callable[[Path], None] = lambda _: None,
    suffix: str = "",
) -> dict[str, Any]:
    """Extract features of a list as the command does; return the summary."""
    EXTRACTORS.update(ENTRIES)  # type: ignore[call-overload]
    extractors = {"numbers": Numbers(), "stateful": Stateful(), "loudness": Loudness16()}
    wanted = features or ("numbers",)

    def open_item(path: Path) -> Any:
        opened(path)
        return open_footage(path, 25.0, 1)

    try:
        folder = FeatureFolder(Path("out"), fresh)
        entries = read_items(Path(list_path), Places(folder.path, suffix=suffix))
        names = {name: NAMES[name] for name in wanted}
        source = ListSource(entries, names, folder, open_item, nested=len(names) > 1)
        log = RunLog(folder.path)
        with Claims(folder.claims, source.retry) as claims:
            Worker(FeatureEngine(extractors), claims, folder.index, log).run(source.units())
        log.close()
        return source.finish()
    finally:
        for name in ENTRIES:
            EXTRACTORS.pop(name, None)  # type: ignore[attr-defined]


def index() -> dict[tuple[str, str], dict[str, Any]]:
    lines = Path("out/index.jsonl").read_text().splitlines()
    return {(entry["item"], entry["feature"]): entry for entry in map(json.loads, lines)}


def reasons() -> dict[str, str]:
    return {item: entry["reason"] for (item, _), entry in index().items() if entry["reason"]}


def files(folder: Path = Path("out")) -> dict[str, bytes]:
    """Return the outputs and the index."""
    found = [path for path in folder.rglob("*") if path.is_file() and ".work" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.name[:4] != "log_"}


def test_a_table_gives_exactly_the_files_it_names(film: Path, tmp_path: Path) -> None:
    absolute = tmp_path / "elsewhere" / "b.features"
    Path("videos.csv").write_text(f"video_path,feature_path\n{film},sub/a.npy\n{film},{absolute}\n")
    assert run() == {"finished": 2, "failed": 0, "unfinished": 0}
    for output in (Path("out/sub/a.npy"), absolute):
        assert np.load(output)[:, 0].tolist() == [0, 2, 4, 6]
    entry = index()["sub/a.npy", "numbers"]
    assert entry["bytes"] == Path("out/sub/a.npy").stat().st_size
    del entry["bytes"]
    assert entry == {
        "item": "sub/a.npy", "feature": "numbers", "output": "sub/a.npy", "source": str(film),
        "arrays": {"features": {"shape": [4, 1], "dtype": "float32"}}, "padded": False, "reason": None,
        "duration": 0.28, "frames": 7, "width": 160, "height": 120, "source_bytes": film.stat().st_size,
    }  # fmt: skip
    assert index()[str(absolute), "numbers"]["output"] == str(absolute)
    assert sorted(path.name for path in Path("out").iterdir() if path.name[:4] != "log_") == [
        ".work", "index.jsonl", "sub",
    ]  # fmt: skip


def test_outputs_of_a_list_of_paths_are_named_after_the_items(film: Path) -> None:
    Path("films/sub").mkdir(parents=True)
    shutil.copy(film, "films/sub/a.mp4")
    for n in (1, 2, 10):
        Path("films/frames").mkdir(exist_ok=True)
        Pictures.fromarray(picture(n)).save(f"films/frames/img_{n}.jpg", quality=95)
    Pictures.fromarray(picture(5)).save("films/still.png")
    Path("videos.txt").write_text("films/sub/a.mp4\nfilms/frames\nfilms/still.png\n")
    run("videos.txt")
    assert np.load("out/films/sub/a_1.npy")[:, 0].tolist() == [0, 2, 4, 6]
    assert np.load("out/films/frames_1.npy")[:, 0].tolist() == [1, 10], "natural order: 1, 2, 10"
    assert np.load("out/films/still.npy").tolist() == [[5]]
    shutil.rmtree("out")
    run("videos.txt", "numbers", "stateful")
    assert np.load("out/numbers/films/sub/a_1.npy")[:, 0].tolist() == [0, 2, 4, 6]
    assert np.load("out/stateful/films/sub/a_3.npz")["number"].tolist() == [0, 3, 6]
    assert np.load("out/stateful/films/still.npz")["number"].tolist() == [5]


def test_lists_of_names_without_a_suffix(film: Path) -> None:
    Path("d").mkdir()
    shutil.copy(film, "d/video_1.MP4")
    Path("vid_list.csv").write_text("d/video_1\n")
    run("vid_list.csv", suffix=".MP4")
    assert Path("out/d/video_1_1.npy").is_file()


def test_sound_files_have_features_of_sound(film: Path) -> None:
    with wave.open("tone.wav", "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(24000) / 5) * 9000).astype("<i2").tobytes())
    Path("sounds.txt").write_text(f"tone.wav\n{film}\n")
    summary = run("sounds.txt", "loudness")
    assert summary == {"finished": 2, "failed": 0, "unfinished": 0}
    assert np.load("out/tone.npy").shape == (1, 241)
    assert index()["tone.wav", "loudness"]["duration"] == 1.5
    silent = index()[str(film)[1:], "loudness"]
    assert (silent["output"], silent["reason"]) == (None, None) and "has no sound" in silent["note"]
    assert not list(Path("out").rglob("film*.npy"))


def test_a_video_without_sound_keeps_its_other_features(film: Path) -> None:
    Path("videos.txt").write_text(f"{film}\n")
    assert run("videos.txt", "loudness", "numbers")["failed"] == 0
    assert [path.name for path in Path("out").rglob("*.npy")] == ["film_1.npy"]


def test_hostile_items_fail_alone_with_their_reasons(film: Path, caplog: pytest.LogCaptureFixture) -> None:
    Path("empty.mp4").touch()
    Path("text.mp4").write_text("no film\n" * 100)
    make_sound(Path("sound.mp4"))
    make_film(Path("headless.mp4"), 30)
    data = Path("headless.mp4").read_bytes()
    Path("headless.mp4").write_bytes(data[: data.rindex(b"moov")])
    Path("no_frames").mkdir()
    Path("bad_frames").mkdir()
    Path("bad_frames/img_1.jpg").write_bytes(b"no picture")
    Path("bad.png").write_bytes(b"no picture")
    os.mkfifo("pipe.mp4")
    bad = ["none.mp4", "empty.mp4", "text.mp4", "sound.mp4", "headless.mp4", "no_frames", "bad_frames"]
    bad += ["bad.png", "pipe.mp4", "../up.mp4", "x" * 300 + ".mp4"]
    good = f"{film}"
    Path("videos.txt").write_text("\n".join([*bad[:5], good, *bad[5:], good]) + "\n")
    summary = run("videos.txt")
    assert summary == {"finished": 1, "failed": len(bad), "unfinished": 0}
    found = reasons()
    for item, reason in {
        "none.mp4": "none.mp4: no such file or folder",
        "empty.mp4": "is empty (0 bytes)",
        "text.mp4": "not a readable film",
        "sound.mp4": "has no video stream",
        "headless.mp4": "moov",
        "no_frames": "has no frames",
        "bad_frames": "not a picture",
        "bad.png": "not a picture",
        "pipe.mp4": "is not a file",
        "videos.txt:11": "leads out of its folder",
        "x" * 300 + ".mp4": "File name too long",
    }.items():
        assert reason in found[item], item
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == len(bad) and all("\n" not in error for error in errors)
    assert "repeats line 6; skipped" in caplog.text


def test_the_next_run_retries_what_failed_and_skips_what_is_finished(
    film: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Path("videos.csv").write_text(f"video_path,feature_path\n{film},a.npy\nlate.mp4,late.npy\n")
    opened: list[str] = []
    assert run(opened=lambda path: opened.append(path.name))["failed"] == 1
    shutil.copy(film, "late.mp4")
    with caplog.at_level(logging.INFO):
        assert run(opened=lambda path: opened.append(path.name)) == {
            "finished": 2,
            "failed": 0,
            "unfinished": 0,
        }
    assert opened == ["film.mp4", "late.mp4", "late.mp4"]
    assert f"{film}: finished before; skipped" in caplog.text
    assert reasons() == {}


def test_failures_stay_recorded_until_they_are_tried_again(film: Path) -> None:
    Path("a.csv").write_text("video_path,feature_path\nnone.mp4,none.npy\n")
    Path("b.csv").write_text(f"video_path,feature_path\n{film},b.npy\n")
    run("a.csv")
    failed = index()["none.npy", "numbers"]
    run("b.csv", "numbers")
    run("b.csv", "stateful")
    assert index()["none.npy", "numbers"] == failed

    def opened(path: Path) -> None:
        assert index()["none.npy", "numbers"] == {**failed, "retry": True}

    assert run("a.csv", opened=opened)["failed"] == 1
    assert index()["none.npy", "numbers"] == failed


def test_a_lost_or_cut_output_is_made_again(film: Path) -> None:
    Path("videos.csv").write_text(f"video_path,feature_path\n{film},a.npy\n{film},b.npy\n")
    run()
    whole = files()
    Path("out/a.npy").unlink()
    Path("out/b.npy").write_bytes(whole["b.npy"][:-1])
    run()
    assert files() == whole


def test_a_video_that_was_replaced_is_done_again(film: Path) -> None:
    shutil.copy(film, "a.mp4")
    Path("videos.txt").write_text("a.mp4\n")
    run("videos.txt")
    make_film(Path("a.mp4"), 3)
    run("videos.txt")
    assert np.load("out/a_1.npy")[:, 0].tolist() == [0, 2]
    Path("a.mp4").unlink()
    assert run("videos.txt") == {"finished": 1, "failed": 0, "unfinished": 0}


def test_features_of_a_video_that_was_replaced_by_a_bad_one_are_removed_until_it_is_good_again(
    film: Path,
) -> None:
    Path("videos.txt").write_text("a.mp4\n")
    for source, there in ((film.read_bytes(), True), (b"no video", False), (film.read_bytes(), True)):
        Path("a.mp4").write_bytes(source)
        assert run("videos.txt")["finished"] == there
        assert Path("out/a_1.npy").exists() == there


def test_sound_of_a_video_that_was_replaced_by_a_silent_one_is_removed(film: Path) -> None:
    Path("videos.txt").write_text("a.mp4\n")
    for frames, has_sound in ((25, True), (20, False), (25, True)):
        make_film(Path("a.mp4"), frames, audio=has_sound)
        assert run("videos.txt", "loudness")["finished"] == 1
        assert bool(list(Path("out").glob("a*.npy"))) == has_sound


def test_files_of_others_are_not_overwritten(film: Path, tmp_path: Path) -> None:
    shutil.copy(film, "precious.mp4")
    np.save("old.npy", np.zeros(3))
    Path("out/dir.npy").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    Path("out/link").symlink_to(tmp_path / "outside")
    Path("out/file").touch()
    rows = f"{film},{tmp_path}/precious.mp4\n{film},{tmp_path}/old.npy\n{film},dir.npy\n{film},link/a.npy\n"
    rows += f"{film},file/a.npy\n{film},fine.npy\n{film},wrong.npz\n"
    Path("videos.csv").write_text(f"video_path,feature_path\n{rows}")
    assert run()["failed"] == 6
    found = reasons()
    assert "is there already, but by the index it is not numbers" in found[f"{tmp_path}/precious.mp4"]
    assert "--fresh" in found[f"{tmp_path}/old.npy"]
    assert "is a folder" in found["dir.npy"]
    assert "a link leads out of out" in found["link/a.npy"]
    assert "is a file, but" in found["file/a.npy"]
    assert "must end in .npy: numbers has one array" in found["wrong.npz"]
    assert run(fresh=True)["failed"] == 5, "--fresh replaces features, and nothing else"
    assert np.load("old.npy").shape == (4, 1)
    assert Path("precious.mp4").read_bytes() == film.read_bytes()
    assert not list((tmp_path / "outside").iterdir())


@pytest.mark.parametrize(
    "name", ["index.jsonl", "provenance/numbers.json", ".work/index.lock", "log_a_1_2.json", "link/a.json"]
)
def test_files_of_the_folder_itself_are_not_overwritten(film: Path, name: str) -> None:
    Path("out/.work").mkdir(parents=True)
    Path("out/link").symlink_to(".work")
    Path("videos.csv").write_text(f"video_path,feature_path\n{film},{name}\n{film},a.npy\n")
    assert run() == {"finished": 1, "failed": 1, "unfinished": 0}
    assert "is a file of out itself" in reasons()[name]
    assert index()["a.npy", "numbers"]["output"] == "a.npy"


def test_items_of_a_list_do_not_share_an_output(film: Path) -> None:
    shutil.copy(film, "a.mp4")
    Pictures.fromarray(picture(3)).save("a_1.png")
    Path("videos.txt").write_text("a.mp4\na_1.png\n")
    assert run("videos.txt")["failed"] == 1
    assert reasons()["a_1.png"] == "a.mp4 has the same output out/a_1.npy; rename one of them"
    assert np.load("out/a_1.npy").shape == (4, 1)


def test_each_row_of_a_table_needs_a_place_for_each_feature(film: Path) -> None:
    rows = f"{film},{{feature}}/a.npy\n{film},b.npy\n{film},numbers/a.npy\n"
    Path("videos.csv").write_text(f"video_path,feature_path\n{rows}")
    assert run("videos.csv", "numbers", "loudness")["failed"] == 2
    assert "is one file for several features; write {feature} in it" in reasons()["b.npy"]
    assert "has the same output out/numbers/a.npy" in reasons()["numbers/a.npy"]
    assert not Path("out/b.npy").exists()


def test_a_name_with_control_characters_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    Path("videos.txt").write_text("a\x1b[2J\x0b.mp4\n" + "b" * 5000 + "\n")
    run("videos.txt")
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    assert "no such file" in lines[0]


def test_a_table_for_several_features_needs_a_place_for_each(film: Path) -> None:
    Path("videos.csv").write_text(f"video_path,feature_path\n{film},a.npy\n")
    with pytest.raises(InputError, match=r"2 features are asked for; write \{feature\} in it"):
        run("videos.csv", "numbers", "loudness")
    Path("videos.csv").write_text(f"video_path,feature_path\n{film},{{feature}}/a.npy\n")
    run("videos.csv", "numbers", "loudness")
    assert Path("out/numbers/a.npy").is_file()
    Path("videos.csv").write_text(f"video_path,feature_path\n{film},tracks.npy\n")
    assert run("videos.csv", "stateful")["failed"] == 1
    assert "must end in .npz: stateful has several arrays (frames, tracks, count, number)" in str(reasons())


def _slow_worker(
    folder: Path, log: Path, seconds: float, together: int = 1, stop_at: int | None = None
) -> None:
    """Work on the list, beginning when `together` workers do; wait in the item `stop_at` for a file `go`."""
    os.chdir(folder)
    log.with_name(f"ready_{os.getpid()}").touch()
    wait_until(lambda: len([*log.parent.glob("ready_*")]) >= together, seconds=100)
    begun = 0

    def opened(path: Path) -> None:
        nonlocal begun
        with log.open("a") as file:
            file.write(f"{path.name} {os.getpid()}\n")
        begun += 1
        if begun == stop_at:
            wait_until(log.with_name("go").exists, seconds=100)
        time.sleep(seconds)

    run(opened=opened)


def _start(count: int, folder: Path, log: Path, seconds: float, stop_at: int | None = None) -> list[Any]:
    arguments = folder, log, seconds, count, stop_at
    workers = [_SPAWN.Process(target=_slow_worker, args=arguments) for _ in range(count)]
    for worker in workers:
        worker.start()
    return workers


def _begun(log: Path) -> list[tuple[str, int]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [(name, int(pid)) for name, pid in map(str.split, lines)]


def test_four_workers_two_of_them_killed(film: Path, tmp_path: Path) -> None:
    def prepare(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        rows = [f"{k}.mp4,{k}.npy\n" for k in range(40)]
        for k in range(40):
            if k != 7:
                (folder / f"{k}.mp4").hardlink_to(reference)
        (folder / "videos.csv").write_text("video_path,feature_path\n" + "".join(rows))
        return folder

    reference = tmp_path / "one.mp4"
    shutil.copy(film, reference)
    alone, shared, log = prepare("alone"), prepare("shared"), tmp_path / "log"
    os.chdir(alone)
    run()
    workers = _start(4, shared, log, 0.01, stop_at=4)
    pids = [worker.pid for worker in workers]
    wait_until(lambda: all([pid for _, pid in _begun(log)].count(pid) == 4 for pid in pids), seconds=100)
    dead = {*pids[1:3]}
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    log.with_name("go").touch()
    for worker in workers:
        worker.join()
    assert sorted(worker.exitcode for worker in workers) == [-9, -9, 0, 0]
    before = _begun(log)
    _slow_worker(shared, log, 0)
    assert files(shared / "out") == files(alone / "out")
    names = [name for name, _ in _begun(log)]
    twice = {name for name in names if names.count(name) > 1}
    in_hand = {[name for name, pid in before if pid == one][-1] for one in dead}
    assert twice <= in_hand | {"7.mp4"}, "done twice, though no worker died over it"
    assert [name for name in names if name not in in_hand].count("7.mp4") <= 2, "once a run"
    assert not list((shared / "out" / ".work" / "claims").glob("*.claim"))
    logs = [json.loads(path.read_text()) for path in (shared / "out").glob("log_*.json")]
    assert len(logs) == 5 and len({entry["pid"] for entry in logs}) == 5


def test_an_item_that_failed_is_not_tried_by_the_other_workers_of_the_run(tmp_path: Path) -> None:
    Path("videos.csv").write_text(
        "video_path,feature_path\n" + "".join(f"{k}.mp4,{k}.npy\n" for k in range(6))
    )
    log = tmp_path / "log"
    for worker in _start(3, tmp_path, log, 0.2):
        worker.join()
    names = [name for name, _ in _begun(log)]
    assert len(names) >= 6
    assert len(names) == len(set(names)), names
