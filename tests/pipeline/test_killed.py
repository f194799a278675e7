"""A stage that is killed at any moment leaves nothing that a later run takes for a result."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest

from facerec import extract, merge_shards
from facerec.folder.layout import MovieFolder
from facerec.support.cli import run_main
from tests import kills
from tests.toy import (
    MOVIE,
    TOY_MODELS,
    Story,
    contents,
    make_cast,
    results,
    run_extract,
    run_merge,
    toy_models,
)


class Scene:
    """A film, the commands that make its folder, and what the undisturbed folder holds."""

    def __init__(self, root: Path) -> None:
        self.film = Story(14, cuts=(7,)).make(root / f"{MOVIE}-film.mp4")
        self.log = root / "log"
        self.out = root / "out"
        self.folder = MovieFolder.of_film(self.out, self.film)
        self.extract = [
            "--shard",
            "0-1",
            "--n",
            "2",
            "--out",
            str(self.out),
            "--save-every",
            "4",
            *TOY_MODELS,
        ]
        self.extract.append(str(self.film))
        self.merge = ["--path", str(self.folder.path)]
        naming = [*self.merge, "--actor-db", str(make_cast(root / "actor_db"))]
        self.commands = [
            ("extract", self.extract),
            ("merge_shards", self.merge),
            ("cluster", [*self.merge, "--min-quality", "0"]),  # these few small faces are to be named
            ("classify_knn", naming),
        ]
        steps_file = root / "steps"
        assert kills.run(self.commands, self.log, steps_file=steps_file) == 0, self.log.read_text()
        self.steps = int(steps_file.read_text())
        self.undisturbed = contents(self.folder)
        assert b"actor0" in self.undisturbed["predictions.json"]

    def begin(self) -> None:
        shutil.rmtree(self.out)

    def kill_at(self, step: int) -> None:
        """Kill at `step`, run again, compare."""
        self.begin()
        assert kills.run(self.commands, self.log, kill_at=step) == -9, f"step {step}: {self.log.read_text()}"
        self.rerun(f"killed at step {step} of {self.steps}")

    def kill_after(self, seconds: float) -> None:
        self.begin()
        child = kills.start(self.commands, self.log)
        time.sleep(seconds)
        child.kill()
        child.join()
        self.rerun(f"killed after {seconds:.3f} s")

    def rerun(self, what: str) -> None:
        self.log.unlink()
        checked = [*self.commands, ("check", [str(self.folder.path)])]
        assert kills.run(checked, self.log) == 0, f"{what}: {self.log.read_text()}"
        after = contents(self.folder)
        assert after.keys() == self.undisturbed.keys(), what
        assert after == self.undisturbed, what


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("killed"))


def test_killed_at_every_ninth_step(scene: Scene) -> None:
    assert scene.steps > 150
    for step in range(3, scene.steps + 1, 9):
        scene.kill_at(step)


def test_killed_at_random_moments(scene: Scene) -> None:
    begun = time.monotonic()
    scene.begin()
    assert kills.run(scene.commands, scene.log) == 0
    whole = time.monotonic() - begun
    for moment in random.Random(0).sample(range(1000), 15):
        scene.kill_after(moment / 1000 * whole)


@pytest.mark.slow
def test_killed_at_every_step(scene: Scene) -> None:
    for step in range(1, scene.steps + 1):
        scene.kill_at(step)


@pytest.mark.slow
def test_killed_at_a_hundred_random_moments(scene: Scene) -> None:
    chance = random.Random(1)
    for _ in range(100):
        scene.kill_after(chance.random() * 0.6)


def test_killed_twice_in_a_row(scene: Scene) -> None:
    chance = random.Random(2)
    scene.begin()
    for _ in range(4):
        kills.run(scene.commands, scene.log, kill_at=chance.randrange(1, scene.steps))
    scene.rerun("killed four times")


def test_killed_while_replacing_the_plan(scene: Scene) -> None:
    """With another number of shards, the old ones are dropped, and never taken for the new ones."""
    scene.begin()
    assert kills.run(scene.commands, scene.log) == 0
    words = [*scene.extract, "--fresh", "--shard", "0-2", "--n", "3"]
    fresh = [("extract", words), ("merge_shards", scene.merge)]
    steps_file = scene.log.with_name("fresh-steps")
    before = scene.log.with_name("before")
    shutil.copytree(scene.out, before)
    assert kills.run(fresh, scene.log, steps_file=steps_file) == 0
    wanted = contents(scene.folder)
    for step in range(2, int(steps_file.read_text()), 15):
        scene.begin()
        shutil.copytree(before, scene.out)
        assert kills.run(fresh, scene.log, kill_at=step) == -9
        assert kills.run(fresh, scene.log) == 0, scene.log.read_text()
        assert contents(scene.folder) == wanted, f"killed at step {step}"


# --- power failures: files that are there and empty, cut short, or of zeros


@pytest.fixture
def done(tmp_path: Path) -> tuple[MovieFolder, Path]:
    film = Story(14, cuts=(7,)).make(tmp_path / f"{MOVIE}-film.mp4")
    return run_merge(run_extract(film, tmp_path / "out", 2)), film


def _damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.write_bytes({"empty": b"", "cut short": data[: len(data) // 2], "zeros": bytes(len(data))}[how])


@pytest.mark.parametrize("how", ["empty", "cut short", "zeros"])
def test_a_power_failure_in_any_shard_file_is_repaired_by_the_rerun(
    done: tuple[MovieFolder, Path], how: str
) -> None:
    folder, film = done
    whole = contents(folder)
    shard_files = [path for directory in folder.shard_dirs for path in directory.iterdir()]
    assert len(shard_files) == 14
    for path in shard_files:
        if path.stat().st_size == 0:
            continue
        _damage(path, how)
        assert run_main(merge_shards.main, ["--path", str(folder.path)]) == 1, path
        run_extract(film, folder.path.parent, 2)
        assert contents(run_merge(folder)) == whole, path


@pytest.mark.parametrize("how", ["empty", "cut short", "zeros"])
def test_a_power_failure_in_a_merged_file_is_repaired_by_the_rerun(
    done: tuple[MovieFolder, Path], how: str
) -> None:
    folder, _ = done
    whole = contents(folder)
    pictures = sorted(folder.images.iterdir())
    assert len(pictures) > 2
    for path in (folder.trajectories, folder.features, folder.quality, folder.scene_changes, *pictures):
        _damage(path, how)
        assert contents(run_merge(folder)) == whole, path


@pytest.mark.parametrize("how", ["empty", "cut short", "zeros"])
def test_a_power_failure_in_the_plan_is_reported_with_the_remedy(
    done: tuple[MovieFolder, Path], how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, film = done
    whole = contents(folder)
    _damage(folder.plan, how)
    words = ["--shard", "0-1", "--n", "2", "--out", str(folder.path.parent), *TOY_MODELS, str(film)]
    for main, arguments in ((extract.main, words), (merge_shards.main, ["--path", str(folder.path)])):
        capsys.readouterr()
        with toy_models():
            assert run_main(main, arguments) == 1
        lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
        assert len(lines) == 1 and "plan.json" in lines[0] and "--fresh" in lines[0]
    assert contents(run_merge(run_extract(film, folder.path.parent, 2, "--fresh"))) == whole


@pytest.mark.parametrize("how", ["empty", "cut short", "zeros"])
def test_a_power_failure_in_the_manifest_is_reported_with_the_remedy(
    done: tuple[MovieFolder, Path], how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = done
    whole, before = contents(folder), results(folder)
    _damage(folder.manifest, how)
    assert run_main(merge_shards.main, ["--path", str(folder.path)]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(lines) == 1 and "manifest.json" in lines[0] and "move it away" in lines[0]
    assert results(folder) == before
    folder.manifest.unlink()
    assert contents(run_merge(folder)) == whole
