"""Features by the launcher: lists, tar shards and movies, on mocked SLURM and in local processes."""

from __future__ import annotations

import json
import os
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest

from facerec.errors import FacerecError, InputError, PlanError
from facerec.folder.documents import scene_changes_bytes
from slurm import cli, queue
from slurm.feature_run import FeatureRun, FeatureWork, feature_runs
from slurm.records import RunFolder
from slurm.submission import Submission
from tests.feature_runs.test_list_source import files
from tests.films import make_film
from tests.slurm_fakes import MOVIE, MockSlurm

ITEMS = 8


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a list of sounds of which one is missing at first."""
    for name in os.environ:
        if name.startswith("FACEREC_"):
            monkeypatch.delenv(name)
    queue.show_config.cache_clear()  # of another test's SLURM
    monkeypatch.setenv("FACEREC_SET", "settle=1")
    monkeypatch.chdir(tmp_path)
    names = [f"sounds/{k}.wav" for k in range(ITEMS)]
    Path("sounds").mkdir()
    for k, name in enumerate(names):
        if k != 5:
            write_tone(Path(name), 600 + 100 * k)
    Path("sounds.csv").write_text("\n".join(names) + "\n")
    return tmp_path


@pytest.fixture
def slurm(place: Path, monkeypatch: pytest.MonkeyPatch) -> MockSlurm:
    return MockSlurm(place / "mock", monkeypatch)


def write_tone(path: Path, samples: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(samples) / 5) * 9000).astype("<i2").tobytes())


def make(*words: str, status: int = 0) -> None:
    assert cli.main(["features", *words]) == status


LIST = ("--list", "sounds.csv", "--features", "audio_stft")


def the_run(out: str = "features") -> FeatureRun:
    (path,) = Path(out, "logs").glob("*/work.json")
    (run,) = feature_runs(Path(out), path.parent.name.rpartition("-")[0])
    return run


def run_tasks(slurm: MockSlurm, run: FeatureRun, number: int = -1) -> list[bool]:
    submission = run.submissions()[number]
    indices = range(len(submission.packs))
    return [slurm.run(submission.task_id(index), run.path / "features") for index in indices]


def status(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert cli.main(["status", *words]) == 0
    return capsys.readouterr().out


def test_a_list_runs_as_an_array_and_only_what_failed_is_submitted_again(
    place: Path, slurm: MockSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    make(*LIST, "--shards", "4", "--memory", "3G", "--gpus", "0", "--set", "settle=1 features.time=20")
    output = capsys.readouterr().out
    assert "sounds.csv, audio_stft: 4 of 4 shards to do" in output
    assert "shards 0-3 in 4 tasks" in output and "make status LIST=" in output
    script = slurm.script("100")
    assert "--mem=3072M\n" in script and "--time=20\n" in script and "--array=0-3%" in script
    assert "audio_stft-features" in script
    run = the_run()
    assert "queued         4  0-3" in status(capsys, "--list", "sounds.csv")
    assert run_tasks(slurm, run) == [True, True, False, True]
    shown = status(capsys, "--list", "sounds.csv")
    assert "done           3  0-1,3" in shown and "failed         1  2" in shown
    assert "shard 2 failed on" in shown and "sounds/5.wav: no audio_stft: " in shown
    assert "to continue: run the same make features again (LIST=" in shown
    write_tone(Path("sounds/5.wav"), 900)
    make(*LIST)  # with as many shards as before
    assert "1 of 4 shards to do (3 done)" in capsys.readouterr().out
    assert run.submissions()[-1].packs == ["2"] and run_tasks(slurm, run) == [True]
    assert "done           4  0-3" in status(capsys, "--list", "sounds.csv")
    make(*LIST)
    assert "0 of 4 shards to do (4 done)" in capsys.readouterr().out


def test_a_failed_item_is_tried_again_as_often_as_retry_says(place: Path, slurm: MockSlurm) -> None:
    make(*LIST, "--shards", "2", "--tasks", "1", "--retry", "1")
    run = the_run()
    (submission,) = run.submissions()
    assert not slurm.run(submission.task_id(0), run.path / "features")
    assert slurm.requeued() == [submission.task_id(0)]
    assert not slurm.run(submission.task_id(0), run.path / "features") and len(slurm.requeued()) == 1
    record = run.task(submission.key, 0)
    assert record is not None and [*record.failed] == ["1"] and record.failed["1"].times == 2


def test_local_workers_share_a_list_and_equal_one_process(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tone(Path("sounds/5.wav"), 900)
    make(*LIST, "--shards", "3", "--local", "--workers", "2", "--out", "two")
    assert "2 workers here" in capsys.readouterr().out
    make(*LIST, "--shards", "1", "--local", "--out", "one")
    assert outputs(Path("two")) == outputs(Path("one")) and len(outputs(Path("one"))) == ITEMS + 2
    shown = json.loads(status(capsys, "--list", "sounds.csv", "--out", "two", "--json"))
    assert shown["counts"]["done"] == 3 and shown["features"] == ["audio_stft"]


def outputs(folder: Path) -> dict[str, bytes]:
    """Return the results, without the launcher's logs."""
    return {name: data for name, data in files(folder).items() if not name.startswith("logs/")}


def test_a_local_run_reports_the_item_that_failed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(*LIST, "--shards", "4", "--local", "--workers", "1", "--tasks", "1", status=1)
    output = capsys.readouterr().out
    assert "shard 2 failed on" in output and "sounds/5.wav" in output
    (log,) = (the_run().path / "features").glob("*.log")
    assert log.read_text().count("ERROR sounds/5.wav") == 1, "tried once"
    Path("features/sounds/3.npy").unlink()
    make(*LIST, "--local", status=1)
    assert "2 of 4 shards to do (2 done)" in capsys.readouterr().out, "an output is missing"
    assert Path("features/sounds/3.npy").exists()


def test_other_options_are_refused_and_fresh_starts_again(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tone(Path("sounds/5.wav"), 900)
    make(*LIST, "--shards", "1", "--local")
    with pytest.raises(FacerecError, match=r"started with other options \(audio_stft\).*FRESH=1"):
        make(*LIST, "--local", "--features-args=--reduce")
    make(*LIST, "--local", "--features-args=--batch-size 3")  # decides nothing
    capsys.readouterr()
    make(*LIST, "--local", "--features-args=--reduce", "--fresh")
    assert "1 of 1 shard to do" in capsys.readouterr().out
    assert np.load("features/sounds/0.npy").shape == (257, 90)


def test_tar_shards_are_shared_out(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k in range(2):
        with tarfile.open(f"clips-{k}.tar", "w") as archive:
            archive.add(f"sounds/{k}.wav", f"{k}.wav")
        Path(f"clips-{k}.json").write_text(
            json.dumps([{"filename": f"{k}.wav", "id": "a", "segment": [0, 1]}])
        )
    words = ("--tars", "clips-{0..1}.tar", "--features", "audio_stft", "--shards", "2")
    make(*words, "--local", "--workers", "1")
    assert Path("features/clips-0.npz").exists() and Path("features/clips-1.npz").exists()
    assert "done           2  0-1" in status(capsys, "--tars", "clips-{0..1}.tar")
    Path("features/clips-1.npz").unlink()
    make(*words, "--local")
    assert "1 of 2 shards to do (1 done)" in capsys.readouterr().out


def test_a_movie_has_its_features_beside_its_faces(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("films").mkdir()
    make_film(Path(f"films/{MOVIE}-Film.mp4"), 30, audio=True)
    words = ("--movie", str(MOVIE), "--features", "audio_stft", "--local")
    with pytest.raises(InputError, match=r"scene_changes.json: this file must exist.*merge_shards"):
        make(*words)
    assert not Path("data/logs").exists()
    folder = Path(f"data/{MOVIE}-data")
    folder.mkdir(parents=True)
    (folder / "scene_changes.json").write_bytes(scene_changes_bytes(MOVIE, [10]))
    make(*words, "--shards", "16")
    assert "1 of 16 shards to do (15 done)" in capsys.readouterr().out, "the others have no work"
    assert (folder / "shot_features" / "audio_stft" / "film.npy").exists()
    shown = status(capsys, "--movie", str(MOVIE))
    assert f"movie {MOVIE}, audio_stft: 16 shards" in shown and "done          16  0-15" in shown
    make("--movie", str(MOVIE), "--features", "audio_stft", "--local")
    assert "0 of 16 shards to do" in capsys.readouterr().out


def test_features_of_a_movie_wait_for_its_merge(place: Path, slurm: MockSlurm) -> None:
    Path("films").mkdir()
    make_film(Path(f"films/{MOVIE}-Film.mp4"), 30, audio=True)
    folder = Path(f"data/{MOVIE}-data")
    folder.mkdir(parents=True)
    (folder / "scene_changes.json").write_bytes(scene_changes_bytes(MOVIE, [10]))
    words = ("--movie", str(MOVIE), "--features", "audio_stft")
    run = RunFolder(Path("data"), MOVIE)
    merge = Submission(run.new_key("merge"), "merge", [""], 1, job="55")
    (run.path / "submissions").mkdir(parents=True)
    run.save(merge)
    slurm.queue.write_text(f"55|PENDING||None|{MOVIE}-merge|{os.getuid()}|{merge.key}\n")
    message = rf"movie {MOVIE}: its merge \(job 55\), which decides the shots, is queued; run make features"
    for how in ([], ["--local"]):
        with pytest.raises(PlanError, match=message):
            make(*words, *how)
    assert not [*Path("data/logs").glob(f"{MOVIE}-*")]
    slurm.set("55", "COMPLETED")
    make(*words)
    assert len(the_run("data").submissions()) == 1


def test_an_error_of_all_shards_is_recorded_once(place: Path, slurm: MockSlurm) -> None:
    make("--list", "sounds.csv", "--features", "vggish:none.pth", "--shards", "4", "--tasks", "1")
    run = the_run()
    assert run_tasks(slurm, run) == [False]
    record = run.task(run.submissions()[0].key, 0)
    assert record is not None and len(record.failed) == 4
    assert all("none.pth" in failure.tail[-1] for failure in record.failed.values())


def test_another_number_of_shards_waits_for_the_queued_ones(place: Path, slurm: MockSlurm) -> None:
    make(*LIST, "--shards", "4")
    with pytest.raises(PlanError, match="SHARDS=4 are queued or running"):
        make(*LIST, "--shards", "2")
    with pytest.raises(PlanError, match="cancel them before using FRESH=1"):
        make(*LIST, "--fresh")
    run_tasks(slurm, the_run())
    make(*LIST, "--shards", "2")
    assert the_run().submissions()[-1].packs == ["1"]


def test_what_other_processes_have_claimed_is_left_to_them(place: Path, slurm: MockSlurm) -> None:
    from facerec.feature_runs.claims import Claims, claim_name

    write_tone(Path("sounds/5.wav"), 900)
    make(*LIST, "--shards", "2", "--tasks", "1")
    run = the_run()
    with Claims(Path("features/.work/claims")) as other, other.hold(claim_name("sounds/7.wav.audio_stft")):
        assert run_tasks(slurm, run) == [True]
    assert run.shards_to_do(2, range(2)) == [1]


def test_a_shard_does_not_fail_because_an_item_of_another_one_failed(place: Path, slurm: MockSlurm) -> None:
    from facerec.feature_runs.claims import Claims, claim_name

    make(*LIST, "--shards", "2", "--tasks", "2")
    run = the_run()
    with Claims(Path("features/.work/claims")) as other, other.hold(claim_name("sounds/1.wav.audio_stft")):
        assert run_tasks(slurm, run) == [True, False]  # the first one meets sounds/5.wav of the second, too
    (submission,) = run.submissions()
    records = [run.task(submission.key, index) for index in range(2)]
    assert [record and [*record.failed] for record in records] == [[], ["1"]]
    assert run.shards_to_do(2, range(2)) == [0, 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--list", "sounds.csv"], "which features"),
        (["--features", "place"], "which movie"),
        (["--list", "a", "--tars", "b", "--features", "place"], "only one of MOVIE, MOVIES, LIST and TARS"),
        (["--list", "none.csv", "--features", "place"], "none.csv: no such file or folder"),
        (["--tars", "none.tar", "--features", "place"], "none of the 1 tar files is there"),
        ([*LIST, "--features-args=--out x"], "FEATURES_ARGS: --out is set by the launcher"),
        ([*LIST, "--features-args=--root"], "FEATURES_ARGS: argument --root: expected one argument"),
        (["--list", "sounds.csv", "--features", "faces"], "unknown feature 'faces'"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_written(
    place: Path, words: list[str], message: str
) -> None:
    with pytest.raises(FacerecError) as caught:
        make(*words, "--local")
    assert message in str(caught.value) and not Path("features").exists()


def test_names_of_run_folders_are_plain_and_distinct() -> None:
    def source(*inputs: str) -> str:
        return FeatureWork(None, [*inputs], False, ["place"], []).source

    assert source("a b/vidéos $(x).csv").startswith("vid_os_x-")
    assert source("clips/shard-{000000..000004}.tar").startswith("shard-")
    assert len({source("a/x.csv"), source("b/x.csv"), source("b/x.csv", "c.csv")}) == 3
    assert FeatureWork(7, [], False, ["place:FILE"], []).source == "7"
