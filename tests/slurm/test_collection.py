"""Commands for many movies: finished ones cost nothing, failed ones stop no other, limits are kept."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from bench.collection import make_finished_movie
from facerec.folder.manifest import outputs_of
from facerec.stages import PIPELINE
from slurm import cli, collection
from slurm.records import RunFolder
from tests.slurm.test_overview import fail
from tests.slurm_fakes import MockSlurm, make_film, use_fake_stages


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MockSlurm:
    """A mocked SLURM, and a folder of films given in the environment."""
    use_fake_stages(monkeypatch)
    for name in os.environ:
        if name.startswith("FACEREC_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(cli, "movies_that_can_run", lambda options, todo: list(todo))
    monkeypatch.setenv("FACEREC_FILMS", str(tmp_path / "films"))
    monkeypatch.setenv("FACEREC_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("FACEREC_SHARDS", "4")
    return MockSlurm(tmp_path / "mock", monkeypatch)


def give_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in PIPELINE.short_names:
        monkeypatch.setenv(f"FACEREC_{stage.upper()}_ARGS", f"--stage {stage}")


def asked(slurm: MockSlurm) -> list[str]:
    return [line.split()[0] for line in slurm.asked.read_text().splitlines()]


def test_finished_movies_start_no_process(
    slurm: MockSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for movie in (1, 2, 3):
        make_finished_movie(tmp_path / "films", tmp_path / "out", movie, 4)

    def refused(*_: object) -> list[int]:
        raise AssertionError("a process would be started")

    monkeypatch.setattr(cli, "movies_that_can_run", refused)
    for local in ([], ["--local"]):
        slurm.asked.write_text("")
        assert cli.main(["movie", "--movies", "all", *local]) == 0
        assert "3 of 3 movies finished already: nothing to do" in capsys.readouterr().out
        assert asked(slurm).count("squeue") == 1 and asked(slurm).count("scontrol") <= 1
    for changed in (["--detector", "mtcnn"], ["--cluster-args=--k 5"], ["--overwrite"], ["--fresh"]):
        with pytest.raises(AssertionError, match="a process would be started"):
            cli.main(["movie", "--movies", "all", *changed])
    (tmp_path / "films" / "2-Film.mp4").write_bytes(b"another")
    with pytest.raises(AssertionError, match="a process would be started"):
        cli.main(["movie", "--movies", "1 2"])
    assert slurm.states() == {}


def test_a_finished_movie_without_its_report_names_the_command(
    slurm: MockSlurm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for movie in (1, 2):
        folder = make_finished_movie(tmp_path / "films", tmp_path / "out", movie, 4)
    assert cli.main(["status", "--movies", "all"]) == 0
    assert "make report" not in capsys.readouterr().out
    folder.report.unlink()
    assert cli.main(["status", "--movies", "all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (noted,) = (line for line in lines if "report missing or out of date: make report MOVIE=2" in line)
    assert noted.split()[:2] == ["2", "finished"]


def test_each_file_of_a_finished_movie_is_looked_at_once(
    slurm: MockSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_finished_movie(tmp_path / "films", tmp_path / "out", 1, 4)
    make_finished_movie(tmp_path / "films", tmp_path / "out", 2, 4)
    stages = [stage.name for stage in PIPELINE if not stage.sharded]
    results = [path.name for stage in stages for path in outputs_of(folder, stage)]
    stat, looked_at = Path.stat, Counter[str]()

    def counted(path: Path, **options: bool) -> os.stat_result:
        looked_at[path.name if path.parent == folder.path else ""] += 1
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", counted)
    for command in ("status", "movie"):
        looked_at.clear()
        assert cli.main([command, "--movies", "all"]) == 0
        assert {name: looked_at[name] for name in results} == dict.fromkeys(results, 1)


def test_only_stages_that_are_not_finished_are_submitted(
    slurm: MockSlurm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_finished_movie(tmp_path / "films", tmp_path / "out", 1, 4)
    folder.clusters.unlink()
    assert cli.main(["movie", "--movie", "1"]) == 0
    assert "movie 1: extract, merge: done already" in capsys.readouterr().out
    names = [line.split("|")[4] for line in slurm.queue.read_text().splitlines()]
    assert names == ["1-cluster", "1-classify", "1-report"]
    assert cli.main(["movie", "--movie", "1"]) == 0
    assert "cluster is queued already" in capsys.readouterr().out and len(slurm.states()) == 3


def test_a_collection_is_submitted_film_after_film_within_the_limit(
    slurm: MockSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give_stages(monkeypatch)
    for movie in range(1, 11):
        make_film(tmp_path / "films", movie=movie)
    (slurm.folder / "limit_of_tasks").write_text("20")
    slurm.asked.write_text("")
    assert cli.main(["movie", "--movies", "all"]) == 0
    names = [line.split("|")[4] for line in slurm.queue.read_text().splitlines()]
    assert len(names) == 20 and {name.partition("-")[0] for name in names} == {"1", "2", "3"}
    assert (
        "20 tasks submitted; SLURM takes no more now, and 7 of 10 movies wait: run the same"
        in capsys.readouterr().out
    )
    assert asked(slurm).count("squeue") == 1


def test_a_movie_that_fails_three_times_is_set_aside_until_it_is_taken_back(
    slurm: MockSlurm,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    give_stages(monkeypatch)
    out = tmp_path / "out"
    for movie in (1, 2):
        make_film(tmp_path / "films", movie=movie)
    for attempt in range(3):
        fail(out, 1, str(50 + attempt), times=1.0 + attempt)
    assert cli.main(["extract", "--movies", "all"]) == 0
    warning = capsys.readouterr().err
    assert "movie 1: set aside after 3 failures (shard 2: exit status 1)" in warning
    assert "make retry MOVIE=1" in warning
    assert {line.split("|")[4] for line in slurm.queue.read_text().splitlines()} == {"2-extract"}
    assert cli.main(["status", "--movies", "all", "--failed", "--json"]) == 0
    (row,) = map(json.loads, capsys.readouterr().out.splitlines()[-1:])
    assert (row["movie_id"], row["condition"], row["failures"]) == (1, "set aside", 3)
    assert cli.main(["retry", "--movies", "all"]) == 0
    names = [line.split("|")[4] for line in slurm.queue.read_text().splitlines()]
    assert names.count("1-extract") == 4 and names.count("2-extract") == 4 and "2-merge" not in names
    assert RunFolder(out, 1).taken_back.exists()
    for task in slurm.states():
        slurm.drop(task)
    status = collection.read_status(RunFolder(out, 1), {})
    assert collection.row_of(status, 3).condition != "set aside"


def test_retry_leaves_alone_what_has_not_failed(
    slurm: MockSlurm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_finished_movie(tmp_path / "films", tmp_path / "out", 1, 4)
    make_film(tmp_path / "films", movie=2)
    assert cli.main(["retry", "--movies", "all"]) == 0
    assert "no movie has failed of 2" in capsys.readouterr().out and slurm.states() == {}
