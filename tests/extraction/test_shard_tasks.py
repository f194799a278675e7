"""Shard tasks that run at the same time, one after the other, or with other options than the plan."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import facerec.extraction.film_notes
import facerec.extraction.planning
import facerec.extraction.shard
import facerec.folder.plan
import facerec.merging.merge
import facerec.video.identity
from facerec import __version__, extract, merge_shards
from facerec.errors import PlanError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import read_plan
from facerec.folder.shards import done_markers
from facerec.merging.merge import merge
from facerec.settings import RESULTS_VERSION, KeepSettings, TrackSettings
from facerec.support.atomic import sha256_of
from facerec.support.cli import run_main
from facerec.support.locks import locked
from facerec.video.identity import HashedFile
from tests import kills
from tests.processes import wait_until
from tests.toy import (
    MOVIE,
    TOY_MODELS,
    Story,
    ToyDetector,
    ToyEmbedder,
    contents,
    run_extract,
    run_merge,
    toy_models,
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Story(14, cuts=(7,)).make(tmp_path_factory.mktemp("film") / f"{MOVIE}-film.mp4")


@pytest.fixture(scope="module")
def undisturbed(film: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return contents(run_merge(run_extract(film, tmp_path_factory.mktemp("undisturbed"), 2)))


def _words(film: Path, out: Path, shard: str, n: int = 2, *more: str) -> list[str]:
    return ["--shard", shard, "--n", str(n), "--out", str(out), *TOY_MODELS, *more, str(film)]


def _litter(folder: MovieFolder) -> list[str]:
    return [path.name for path in folder.path.rglob("*.part")]


def _refusal(
    words: list[str], capsys: pytest.CaptureFixture[str], status: int = 1, *, models: bool = False
) -> str:
    """The one line that `extract.py` refuses with, without loading a model unless `models`."""
    capsys.readouterr()
    with toy_models(loaded=lambda: models or pytest.fail("a model was loaded")):
        assert run_main(extract.main, words) == status
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(lines) == 1
    return lines[0]


# --- at the same time


def test_two_processes_on_the_same_shards_at_once(
    film: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    children = [
        kills.start([("extract", _words(film, tmp_path, "0-1"))], tmp_path / f"log{i}") for i in range(3)
    ]
    for i, child in enumerate(children):
        child.join(120)
        assert child.exitcode == 0, (tmp_path / f"log{i}").read_text()
    folder = MovieFolder.of_film(tmp_path, film)
    assert not _litter(folder)
    assert contents(run_merge(folder)) == undisturbed


def test_a_process_that_commits_second_leaves_the_first_ones_shard(
    film: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    commit, folder = facerec.extraction.shard.commit_shard, MovieFolder.of_film(tmp_path, film)
    seen: list[int] = []

    def second(*args: Any) -> None:
        if not seen:
            assert kills.run([("extract", _words(film, tmp_path, "0"))], tmp_path / "log") == 0
            seen.append(folder.shard(0, 7).marker.stat().st_mtime_ns)
        commit(*args)

    with mock.patch.object(facerec.extraction.shard, "commit_shard", second):
        run_extract(film, tmp_path, 2)
    assert folder.shard(0, 7).marker.stat().st_mtime_ns == seen[0]
    assert contents(run_merge(folder)) == undisturbed


def test_a_task_waits_for_the_plan_that_another_one_makes(
    film: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    make, children = facerec.extraction.planning.build_plan, []

    def late(*args: Any) -> Any:
        children.append(kills.start([("extract", _words(film, tmp_path, "1"))], tmp_path / "log"))
        log = tmp_path / "log"
        wait_until(lambda: log.exists() and "waiting for another task" in log.read_text())
        return make(*args)

    with mock.patch.object(facerec.extraction.planning, "build_plan", late):
        folder = run_extract(film, tmp_path, 2, shards="0")
    children[0].join(120)
    assert children[0].exitcode == 0 and (tmp_path / "log").read_text().count("frames, shown at") == 0
    assert not folder.planning_lock.exists()
    assert contents(run_merge(folder)) == undisturbed


def test_a_task_does_not_wait_for_ever_for_a_plan(
    film: Path, undisturbed: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = MovieFolder.of_film(tmp_path, film)
    folder.path.mkdir()
    with locked(folder.planning_lock), mock.patch.object(facerec.extraction.planning, "PLANNING_S", 0.2):
        run_extract(film, tmp_path, 2)
    assert "making it here" in capsys.readouterr().err
    assert contents(run_merge(folder)) == undisturbed


def test_the_film_is_read_once_for_index_and_hash(film: Path, tmp_path: Path) -> None:
    read: list[tuple[int, int]] = []

    class Counted(HashedFile):
        def read(self, size: int = -1) -> bytes:
            begin = self.tell()
            data = super().read(size)
            read.append((begin, begin + len(data)))
            return data

    with (
        mock.patch.object(facerec.extraction.planning, "HashedFile", Counted),
        mock.patch("facerec.folder.film_hash.sha256_of", side_effect=AssertionError),
    ):
        folder = run_extract(film, tmp_path, 2)
    plan = read_plan(folder)
    assert plan is not None and plan.film["sha256"] == sha256_of(film)
    assert read and sum(end - begin for begin, end in read) < 1.5 * film.stat().st_size


def test_several_tasks_with_fresh_at_once(film: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    run_extract(film, tmp_path, 3, "--save-every", "2")
    commands = [_words(film, tmp_path, str(shard), 2, "--fresh") for shard in (0, 1, 0, 1)]
    children = [kills.start([("extract", words)], tmp_path / f"log{i}") for i, words in enumerate(commands)]
    for i, child in enumerate(children):
        child.join(120)
        assert child.exitcode == 0, (tmp_path / f"log{i}").read_text()
    assert contents(run_merge(MovieFolder.of_film(tmp_path, film))) == undisturbed


def test_a_task_of_a_replaced_run_cannot_commit(
    film: Path, undisturbed: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = facerec.extraction.shard.commit_shard

    def late(*args: Any) -> None:
        fresh = _words(film, tmp_path, "0-1", 2, "--fresh")
        assert kills.run([("extract", fresh)], tmp_path / "log") == 0
        commit(*args)

    with mock.patch.object(facerec.extraction.shard, "commit_shard", late), toy_models():
        assert run_main(extract.main, _words(film, tmp_path, "0", 2, "--save-every", "2")) == 1
    assert "another run replaced the plan" in capsys.readouterr().err
    assert contents(run_merge(MovieFolder.of_film(tmp_path, film))) == undisturbed


# --- one after the other


def test_a_done_shard_is_not_done_again_and_loads_no_model(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_extract(film, tmp_path, 2)
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")}
    capsys.readouterr()
    with toy_models(loaded=lambda: pytest.fail("a model was loaded")):
        assert extract.main(_words(film, tmp_path, "0-1")) == 0
    assert "shards 0-1 of 2 are done already" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")} == before


def test_a_precision_without_effect_is_reported_and_not_in_the_plan(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_extract(film, tmp_path / "out", 2, "--precision", "bfloat16")
    expected = "--precision bfloat16 has no effect: toy and toy always compute in float32"
    assert capsys.readouterr().err.count(expected) == 1
    plan = read_plan(folder)
    assert plan is not None and plan.settings["precision"] == "float32"


def test_only_missing_shards_of_a_list_are_extracted(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_extract(film, tmp_path, 4, shards="1-2")
    capsys.readouterr()
    folder = run_extract(film, tmp_path, 4, shards="0,1-3")
    out = capsys.readouterr().out
    assert "shards 1-2 of 4 are done already" in out and "shard 0 of 4" in out and "shard 3 of 4" in out
    plan = read_plan(folder)
    assert plan is not None and done_markers(folder, plan).keys() == {0, 1, 2, 3}


def test_several_shards_load_the_models_once(film: Path, tmp_path: Path) -> None:
    loads: list[int] = []
    with toy_models(loaded=lambda: loads.append(1)):
        assert extract.main(_words(film, tmp_path, "0-3", 4)) == 0
    assert len(loads) == 1


def test_more_shards_than_frames_leave_valid_empty_shards(tmp_path: Path) -> None:
    film = Story(3).make(tmp_path / f"{MOVIE}-three.mp4")
    few = run_merge(run_extract(film, tmp_path / "many", 256), "--min-trajectory", "1")
    whole = run_merge(run_extract(film, tmp_path / "one", 1), "--min-trajectory", "1")
    assert few.trajectories.read_bytes() == whole.trajectories.read_bytes() != b""
    assert few.features.read_bytes() == whole.features.read_bytes() != b""


# --- with other options or another film

OTHERS = {
    "n is 2 in the plan, but 3 was requested": ["--n", "3"],
    "settings save_every is 5 in the plan, but 2 was requested": ["--save-every", "2"],
    "settings face_threshold is 0.1 in the plan, but 0.5 was requested": ["--face-threshold", "0.5"],
    "settings min_face_size is 20 in the plan, but 25 was requested": ["--min-face-size", "25"],
    "settings images is True in the plan, but False was requested": ["--no-images"],
}


@pytest.mark.parametrize("difference", OTHERS)
def test_other_settings_are_refused_by_name(
    difference: str, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_extract(film, tmp_path, 2, shards="0")
    before = contents(folder)
    line = _refusal([*_words(film, tmp_path, "0"), *OTHERS[difference]], capsys)
    assert difference in line and "--fresh" in line
    assert contents(folder) == before


def test_a_folder_of_an_earlier_release_is_refused_without_advice_to_use_the_same_options(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No option gives the setting that the plan lacks."""
    requested_run = facerec.extraction.planning._requested_run

    def earlier_run(*args: Any) -> dict[str, Any]:
        run = requested_run(*args)
        del run["settings"]["min_box_size"]
        return run

    with mock.patch.object(facerec.extraction.planning, "_requested_run", earlier_run):
        folder = run_extract(film, tmp_path, 2, shards="0")
    before = contents(folder)
    line = _refusal(_words(film, tmp_path, "1"), capsys)
    assert "settings min_box_size is None in the plan" in line
    assert "earlier release" in line and "--fresh" in line and "same options" not in line
    assert contents(folder) == before


def test_another_release_with_the_same_results_completes_a_film(
    film: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    folder = run_extract(film, tmp_path, 2, shards="0")
    text = folder.plan.read_text()
    folder.plan.write_text(text.replace(f"facerec {__version__}", "facerec 0.0.1"))
    assert folder.plan.read_text() != text
    found = contents(run_merge(run_extract(film, tmp_path, 2, shards="1")))
    assert {name for name in undisturbed if found[name] != undisturbed[name]} <= {
        "plan.json",
        "manifest.json",
    }


def test_a_release_with_other_results_is_refused(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_extract(film, tmp_path, 2, shards="0")
    with mock.patch.object(facerec.folder.plan, "RESULTS_VERSION", RESULTS_VERSION + 1):
        line = _refusal(_words(film, tmp_path, "1"), capsys)
    assert "computes other results" in line and "--fresh" in line and "earlier release" in line
    run_extract(film, tmp_path, 2, shards="1")
    with (
        mock.patch.object(facerec.folder.plan, "RESULTS_VERSION", RESULTS_VERSION + 1),
        pytest.raises(PlanError, match=r"computes other results than facerec .*--fresh"),
    ):
        merge(folder, TrackSettings(), KeepSettings(), allow_missing=False, overwrite=False)
    assert not folder.scene_changes.exists()
    run_merge(folder)


def test_the_same_weights_under_another_name_complete_a_film(film: Path, tmp_path: Path) -> None:
    run_extract(film, tmp_path, 2, shards="0")
    for model in (ToyDetector, ToyEmbedder):
        renamed = replace(model.card, weights="copy.none", licence="as of today")
        with mock.patch.object(model, "card", renamed):
            run_extract(film, tmp_path, 2, shards="1")


def test_another_model_is_refused_by_name(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_extract(film, tmp_path, 2, shards="0")
    other = mock.Mock(kind="toy", weights="other.onnx", sha256="f" * 64, licence="none")
    card = facerec.models.base.ModelCard(other.kind, other.weights, other.sha256, other.licence)
    for role, model in (("detector", ToyDetector), ("embedder", ToyEmbedder)):
        with mock.patch.object(model, "card", card):
            line = _refusal(_words(film, tmp_path, "1"), capsys)
        assert f"models {role} sha256 is " in line and "--fresh" in line


def test_another_film_of_the_same_name_is_refused(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_extract(film, tmp_path, 2, shards="0")
    (tmp_path / "other").mkdir()
    other = Story(20).make(tmp_path / "other" / film.name)
    assert "film bytes is" in _refusal(_words(other, tmp_path, "0"), capsys)
    renamed = tmp_path / f"{MOVIE}-renamed.mp4"
    renamed.write_bytes(film.read_bytes())
    line = _refusal(_words(renamed, tmp_path, "0"), capsys)
    assert f"film name is {film.name} in the plan, but {renamed.name} was requested" in line


def _with_other_middle(film: Path, to: Path) -> Path:
    """A copy of the film's size, head and tail, of which a bit between them is another.

    It is in the encoder's comment: what is decoded of damaged pictures depends on the decoder's threads.
    """
    data = bytearray(film.read_bytes())
    position = data.index(b"ip_ratio=")
    assert 512 < position < len(data) - 512
    data[position] ^= 1
    to.write_bytes(data)
    return to


def test_a_film_edited_in_the_middle_is_refused(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / film.name
    shutil.copyfile(film, mine)
    with mock.patch.object(facerec.video.identity, "_PROBE", 512):
        folder = run_extract(mine, tmp_path, 2, shards="0")
        before = contents(folder)
        _with_other_middle(film, mine)
        line = _refusal(_words(mine, tmp_path, "1"), capsys)
        assert "film sha256 is " in line and "--fresh" in line and "film bytes" not in line
        assert contents(folder) == before
        undisturbed = contents(run_extract(mine, tmp_path / "alone", 2))
        again = run_extract(mine, tmp_path, 2, "--fresh")
    assert contents(again) == undisturbed


def test_a_copy_of_the_film_is_accepted_and_hashed_once_for_all_tasks(film: Path, tmp_path: Path) -> None:
    folder = run_extract(film, tmp_path, 4, shards="0")
    (tmp_path / "scratch").mkdir()
    copy = Path(shutil.copyfile(film, tmp_path / "scratch" / film.name))
    assert copy.stat().st_mtime_ns != film.stat().st_mtime_ns
    with mock.patch("facerec.folder.film_hash.sha256_of", wraps=sha256_of) as whole:
        run_extract(film, tmp_path, 4, shards="1")
        assert whole.call_count == 0, "the film of the plan itself need not be read twice"
        run_extract(copy, tmp_path, 4, shards="2")
        run_extract(copy, tmp_path, 4, shards="3")
        assert whole.call_count == 1
        os.utime(copy)
        run_extract(copy, tmp_path, 4, shards="0")
        assert whole.call_count == 2
    elsewhere = run_extract(copy, tmp_path / "elsewhere", 4)
    plans = [read_plan(one) for one in (folder, elsewhere)]
    assert plans[0] and plans[1] and plans[0].fingerprint == plans[1].fingerprint
    assert run_merge(folder).trajectories.read_bytes() == run_merge(elsewhere).trajectories.read_bytes()


def test_a_film_that_changes_during_extraction_gives_no_shard(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / film.name
    shutil.copyfile(film, mine)
    folder = run_extract(mine, tmp_path, 2, shards="0")
    detect = ToyDetector.detect

    def changed(self: ToyDetector, frames: Any) -> Any:
        _with_other_middle(film, mine)
        return detect(self, frames)

    with mock.patch.object(ToyDetector, "detect", changed), toy_models():
        assert run_main(extract.main, _words(mine, tmp_path, "1")) == 1
    assert "was changed while it was read" in capsys.readouterr().err.splitlines()[-1]
    assert not folder.shard(7, 14).marker.exists() and not _litter(folder)


def test_a_film_that_is_still_being_copied_gives_no_plan(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / film.name
    shutil.copyfile(film, mine)
    seek = facerec.extraction.film_notes.opencv_seek_mismatches

    def growing(*args: Any) -> Any:
        with mine.open("ab") as file:
            file.write(bytes(100))
        return seek(*args)

    with mock.patch.object(facerec.extraction.film_notes, "opencv_seek_mismatches", growing):
        line = _refusal(_words(mine, tmp_path / "out", "0"), capsys, models=True)
    assert "was written to while it was read" in line
    assert not (tmp_path / "out").exists()


def test_fresh_leaves_nothing_of_the_previous_run(
    film: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    run_extract(film, tmp_path, 5, "--save-every", "2")
    assert contents(run_merge(run_extract(film, tmp_path, 2, "--fresh"))) == undisturbed


def test_fresh_discards_nothing_if_the_models_cannot_be_loaded(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_extract(film, tmp_path, 2)
    before = contents(folder)

    def broken() -> None:
        raise facerec.errors.ModelError("weights are something else")

    with toy_models(loaded=broken):
        assert run_main(extract.main, [*_words(film, tmp_path, "0"), "--n", "3", "--fresh"]) == 1
    assert contents(folder) == before


def test_models_that_cannot_be_loaded_leave_no_folder(film: Path, tmp_path: Path) -> None:
    def broken() -> None:
        raise facerec.errors.ModelError("weights are something else")

    with toy_models(loaded=broken):
        assert run_main(extract.main, _words(film, tmp_path / "out", "0")) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--shard", "9", "--n", "4"], "with --n 4 the shards are 0 to 3"),
        (["--shard", "3-1", "--n", "4"], "in 3-1 the first number must not be above the second"),
        (["--shard", "", "--n", "4"], "give shard numbers such as"),
        (["--shard", "1,,2", "--n", "4"], "give shard numbers such as"),
        (["--shard", "-1", "--n", "4"], "give shard numbers such as"),
        (["--n", "0"], "--n 0: must be at least 1"),
        (["--n", "-3"], "--n -3: must be at least 1"),
        (["--n", "99999999999"], "at most 1000000 shards"),
        (["--save-every", "0"], "--save-every 0: must be at least 1"),
        (["--batch-size", "0"], "--batch-size 0: must be at least 1"),
    ],
)
def test_invalid_arguments_are_reported_in_one_line(
    words: list[str], expected: str, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = _refusal([*_words(film, tmp_path / "out", "0"), *[f"{a}={b}" for a, b in _pairs(words)]], capsys)
    assert expected in line
    assert not (tmp_path / "out").exists()


def test_ratio_in_place_of_the_display_size_is_used_and_answered_with_the_row_to_paste(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "actor_db"
    database.mkdir()
    table = database / "aspect_ratios.csv"
    table.write_text(f"filename,display_width,display_height\n{film.name},2,1\n")
    words = _words(film, tmp_path, "0-1", 2, "--actor-db", str(database))
    with toy_models():
        assert run_main(extract.main, words) == 0
        plan = read_plan(MovieFolder.of_film(tmp_path, film))
        assert plan is not None and plan.display_size is not None
        width, height = plan.display_size
        assert width == 2 * height
        row = f"{film.name},{width},{height}"
        assert f"aspect_ratios.csv:2: {film.name!r} is 2 x 1 here" in (said := capsys.readouterr().err)
        assert f"replace the row by: {row}" in said
        table.write_text(f"filename,display_width,display_height\n{row.replace('film', 'Film')}\n")
        assert run_main(extract.main, words) == 0
        assert f"another name for the labeling backend; replace it by: {row}" in capsys.readouterr().err
        table.write_text("filename,display_width,display_height\n8-other.mp4,16,9\n")
        assert run_main(extract.main, words) == 0
        assert f"no row for the film {film.name!r}; add: {row}" in capsys.readouterr().err
        table.write_text(f"filename,display_width,display_height\n{row}\n")
        assert run_main(extract.main, words) == 0
        assert "aspect_ratios" not in capsys.readouterr().err


def test_a_film_and_a_row_in_another_unicode_form_are_the_same(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    composed, decomposed = f"{MOVIE}-Am\u00e9lie.mp4", f"{MOVIE}-Ame\u0301lie.mp4"
    shutil.copyfile(film, tmp_path / decomposed)
    (tmp_path / "actor_db").mkdir()
    table = tmp_path / "actor_db" / "aspect_ratios.csv"
    table.write_text(f"filename,display_width,display_height\n{composed},2,1\n")
    words = ["--actor-db", str(table.parent)]
    with toy_models():
        assert run_main(extract.main, _words(tmp_path / decomposed, tmp_path, "0", 2, *words)) == 0
        plan = read_plan(MovieFolder.of_film(tmp_path, tmp_path / decomposed))
        assert plan is not None and plan.film["name"] == decomposed
        assert plan.display_size is not None and plan.display_size[0] == 2 * plan.display_size[1]
        assert run_main(extract.main, _words(tmp_path / composed, tmp_path, "1", 2, *words)) == 0
        (tmp_path / decomposed).rename(tmp_path / composed)
        assert run_main(extract.main, _words(tmp_path / composed, tmp_path, "0", 2, *words)) == 0
    assert "shards 0 of 2 are done" in capsys.readouterr().out


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    return zip(words[::2], words[1::2], strict=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", ".: is a folder, not a film; make one film of its frames or parts with"),
        ("77-nothing.mp4", "no such film"),
        ("film.mp4", "must begin with its movie id"),
        ("-77.mp4", "must begin with its movie id"),
        ("2147483648-film.mp4", "above 2147483647"),
        (os.fsdecode(b"77-\xff.mp4"), "not valid UTF-8"),
    ],
)
def test_an_invalid_film_name_is_reported_in_one_line(
    name: str, expected: str, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name if name else Path()
    if name and "nothing" not in name:
        path.write_bytes(film.read_bytes())
    words = ["--out", str(tmp_path / "out"), *TOY_MODELS, "--", str(path) if name else ""]
    assert expected in _refusal(words, capsys)
    assert not (tmp_path / "out").exists()


# --- signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_a_signal_stops_between_batches_and_asks_for_a_rerun(
    number: signal.Signals,
    film: Path,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    detect, calls = ToyDetector.detect, []

    def interrupted(self: ToyDetector, frames: Any) -> Any:
        calls.append(len(frames))
        if len(calls) == 3:  # in the second shard
            os.kill(os.getpid(), number)
        return detect(self, frames)

    before = signal.getsignal(number)
    with mock.patch.object(ToyDetector, "detect", interrupted), toy_models():
        assert run_main(extract.main, _words(film, tmp_path, "0-1")) == 75
    assert signal.getsignal(number) is before
    assert f"stopped by {number.name}; run the same command again" in capsys.readouterr().err
    folder = MovieFolder.of_film(tmp_path, film)
    assert folder.shard(0, 7).marker.exists() and not folder.shard(7, 14).marker.exists()
    assert not _litter(folder)
    assert contents(run_merge(run_extract(film, tmp_path, 2))) == undisturbed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_a_signal_while_the_plan_is_made_leaves_nothing(
    number: signal.Signals, film: Path, tmp_path: Path
) -> None:
    make = facerec.extraction.planning.build_plan

    def interrupted(*args: Any) -> Any:
        os.kill(os.getpid(), number)
        return make(*args)

    with mock.patch.object(facerec.extraction.planning, "build_plan", interrupted), toy_models():
        assert run_main(extract.main, _words(film, tmp_path / "out", "0")) == 75
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_a_signal_while_shards_are_merged_leaves_nothing(
    number: signal.Signals, film: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    folder = run_extract(film, tmp_path, 2)
    before, find = contents(folder), facerec.merging.merge.write_saved_faces

    def interrupted(*args: Any) -> Any:
        os.kill(os.getpid(), number)
        return find(*args)

    with mock.patch.object(facerec.merging.merge, "write_saved_faces", interrupted):
        assert run_main(merge_shards.main, ["--path", str(folder.path), str(folder.path)]) == 75
    assert contents(folder) == before
    assert contents(run_merge(folder)) == undisturbed
