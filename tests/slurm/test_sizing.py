"""What `make plan` advises must be enough, not too much, and what the launcher takes."""

from __future__ import annotations

import math
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.errors import InputError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import Plan, write_plan
from slurm import sizing
from slurm.packing import pack
from slurm.site import load, minutes, size_bytes
from slurm.sizing import MEMORY_SLACK, SHARD_S, Measured, advise, measure, plan_movie, resident
from slurm.stages import ROOT, Order
from tests.films import make_film


def order(films: Path) -> Order:
    return Order(
        films=films,
        out=films / "data",
        actor_db=films / "actor_db",
        site=load(ROOT / "slurm" / "cluster.toml"),
        detector="mtcnn",
        embedder="dlib",
        args={"extract": ("--min-face-size", "60")},
    )


def test_a_feature_film_on_a_slow_node() -> None:
    advice = advise(Measured(172_800, 8.0, 10.0, 1_600 << 20, 2), parallelism=64)
    assert advice.words() == "SHARDS=180 TASKS=12 CPUS=2 WALLTIME=1:10:00 MEMORY=3G"


def test_the_memory_of_a_models_own_processes_counts() -> None:
    hold = "x = bytearray(100 << 20); print('held', flush=True); input()"
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdin and process.stdout.readline() == "held\n"
        assert 100 << 20 < resident(process.pid) < 200 << 20
        process.stdin.write("\n")
    assert resident(process.pid) == 0


def test_a_clip_is_one_task() -> None:
    advice = advise(Measured(100, 10.0, 5.0, 1 << 29, 2), parallelism=64)
    assert (advice.shards, advice.tasks, advice.minutes, advice.gib) == (1, 1, 10, 1)


@given(
    st.integers(1, 10**6),
    st.floats(0.01, 5000),
    st.floats(0, 600),
    st.integers(1 << 20, 1 << 36),
    st.integers(1, 500),
)
def test_time_and_memory_suffice_for_the_fullest_task(frames, rate, startup, peak, parallelism) -> None:
    advice = advise(Measured(frames, rate, startup, peak, 2), parallelism)
    assert 1 <= advice.tasks <= advice.shards <= frames
    fullest = max(len(one) for one in pack(range(advice.shards), advice.tasks))
    needed = fullest * math.ceil(frames / advice.shards) / rate + startup
    assert advice.minutes * 60 >= needed or frames / advice.shards < 50  # of few frames one more is much
    assert advice.gib << 30 >= MEMORY_SLACK * peak
    assert advice.tasks <= parallelism or advice.tasks % parallelism == 0 or advice.tasks == frames
    assert frames / rate / advice.shards <= 2 * SHARD_S or advice.shards == frames


def test_the_launcher_takes_what_is_advised() -> None:
    words = dict(
        word.split("=") for word in advise(Measured(172_800, 3.0, 10.0, 1 << 30, 2), 16).words().split()
    )
    assert minutes(words["WALLTIME"]) > 0 and size_bytes(words["MEMORY"]) > 0 and int(words["SHARDS"]) > 0


def test_a_film_is_measured_and_nothing_stays_behind(tmp_path: Path) -> None:
    make_film(tmp_path / "7-Film.mp4", 40)
    before = sorted(tmp_path.rglob("*"))
    seen = measure(order(tmp_path), tmp_path / "7-Film.mp4")
    assert seen.frames == 40 and seen.frames_per_s > 0 and seen.peak_bytes > 50 << 20
    assert sorted(tmp_path.rglob("*")) == before


def test_the_command_that_is_advised_says_all_that_was_asked_for(tmp_path: Path, monkeypatch) -> None:
    """Pasted without FILMS or EMBEDDER it would take other films, or other models than were measured."""
    make_film(tmp_path / "7-Film.mp4", 40)
    monkeypatch.setattr(sizing, "measure", lambda *_: Measured(40, 10.0, 1.0, 1 << 29, 2))
    asked = order(tmp_path)
    *_, command = plan_movie(asked, 7, [f"FILMS={tmp_path}/my films", "EMBEDDER=dlib"])
    assert shlex.split(command)[:4] == ["make", "extract", "MOVIE=7", "SHARDS=1"]
    assert shlex.split(command)[-2:] == [f"FILMS={tmp_path}/my films", "EMBEDDER=dlib"]
    folder = MovieFolder.of_film(asked.out, tmp_path / "7-Film.mp4")
    folder.create()
    write_plan(folder, Plan(7, {}, {}, 40, 3, {}, {}, ()), tmp_path / "7-Film.mp4", [])
    assert "SHARDS=3 " in plan_movie(asked, 7)[-1], "begun with three, it goes on with three"


def test_a_film_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no film of movie 8"):
        plan_movie(order(tmp_path), 8)
