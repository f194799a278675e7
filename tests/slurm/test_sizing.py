"""Recommendations of `make plan`: sufficient, not excessive, and accepted by the launcher."""

from __future__ import annotations

import math
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.errors import InputError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import Plan, write_plan
from slurm import sizing
from slurm.options import ROOT, RunOptions
from slurm.packing import pack
from slurm.site import parse_minutes, parse_size
from slurm.site_file import load_site
from slurm.sizing import MEMORY_FACTOR, SHARD_S, Measurement, measure, plan_movie, recommend, resident_bytes
from tests.films import make_film
from tests.slurm_fakes import MockSlurm


def run_options(films: Path) -> RunOptions:
    return RunOptions(
        films=films,
        out=films / "data",
        actor_db=films / "actor_db",
        site=load_site(ROOT / "slurm" / "cluster.toml"),
        detector="mtcnn",
        embedder="dlib",
        args={"extract": ("--min-face-size", "60")},
    )


def test_a_feature_film_on_a_slow_node() -> None:
    advice = recommend(Measurement(172_800, 8.0, 10.0, 1_600 << 20, 2), parallelism=64)
    assert " ".join(advice.make_variables()) == "SHARDS=180 TASKS=12 CPUS=2 WALLTIME=1:10:00 MEMORY=3G"


def test_the_memory_of_child_processes_counts() -> None:
    hold = "x = bytearray(100 << 20); print('held', flush=True); input()"
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdin and process.stdout.readline() == "held\n"
        assert 100 << 20 < resident_bytes(process.pid) < 200 << 20
        process.stdin.write("\n")
    assert resident_bytes(process.pid) == 0


def test_a_clip_is_one_task() -> None:
    advice = recommend(Measurement(100, 10.0, 5.0, 1 << 29, 2), parallelism=64)
    assert (advice.shards, advice.tasks, advice.minutes, advice.gib) == (1, 1, 10, 1)


@given(
    st.integers(1, 10**6),
    st.floats(0.01, 5000),
    st.floats(0, 600),
    st.integers(1 << 20, 1 << 36),
    st.integers(1, 500),
)
def test_time_and_memory_suffice_for_the_largest_task(frames, rate, startup, peak, parallelism) -> None:
    advice = recommend(Measurement(frames, rate, startup, peak, 2), parallelism)
    assert 1 <= advice.tasks <= advice.shards <= frames
    largest = max(len(task) for task in pack(range(advice.shards), advice.tasks))
    needed = largest * math.ceil(frames / advice.shards) / rate + startup
    assert advice.minutes * 60 >= needed or frames / advice.shards < 50  # rounding of short shards
    assert advice.gib << 30 >= MEMORY_FACTOR * peak
    assert advice.tasks <= parallelism or advice.tasks % parallelism == 0 or advice.tasks == frames
    assert frames / rate / advice.shards <= 2 * SHARD_S or advice.shards == frames


def test_the_launcher_accepts_the_recommendation() -> None:
    words = dict(
        word.split("=")
        for word in recommend(Measurement(172_800, 3.0, 10.0, 1 << 30, 2), 16).make_variables()
    )
    assert (
        parse_minutes(words["WALLTIME"]) > 0 and parse_size(words["MEMORY"]) > 0 and int(words["SHARDS"]) > 0
    )


def test_measuring_a_film_leaves_no_files(tmp_path: Path) -> None:
    make_film(tmp_path / "7-Film.mp4", 40)
    before = sorted(tmp_path.rglob("*"))
    measured = measure(run_options(tmp_path), tmp_path / "7-Film.mp4")
    assert measured.frames == 40 and measured.frames_per_s > 0 and measured.peak_bytes > 50 << 20
    assert sorted(tmp_path.rglob("*")) == before


def test_the_recommended_command_repeats_the_given_variables(tmp_path: Path, monkeypatch) -> None:
    """Without FILMS or EMBEDDER it would use other films or models than were measured."""
    make_film(tmp_path / "7-Film.mp4", 40)
    monkeypatch.setattr(sizing, "measure", lambda *_: Measurement(40, 10.0, 1.0, 1 << 29, 2))
    options = run_options(tmp_path)
    *_, command = plan_movie(options, 7, [f"FILMS={tmp_path}/my films", "EMBEDDER=dlib"])
    assert shlex.split(command)[:4] == ["make", "extract", "MOVIE=7", "SHARDS=1"]
    assert shlex.split(command)[-2:] == [f"FILMS={tmp_path}/my films", "EMBEDDER=dlib"]
    folder = MovieFolder.of_film(options.out, tmp_path / "7-Film.mp4")
    folder.create()
    write_plan(folder, Plan(7, {}, {}, 40, 3, {}, {}, ()), tmp_path / "7-Film.mp4", [])
    assert "SHARDS=3 " in plan_movie(options, 7)[-1], "a movie started with three shards keeps them"


def test_a_missing_film_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no film of movie 8"):
        plan_movie(run_options(tmp_path), 8)


@pytest.mark.parametrize(
    ("frames", "settings", "shards"),
    [
        (241, [], 1),
        (172_800, [], 173),
        (10**7, [], 256),
        (None, [], 256),
        (172_800, ["extract.gpus=1"], 9),
        (172_800, ["extract.gres=gpu:1"], 9),
        (172_800, ["extract.gpus=1", "extract.tasks=32"], 32),
        (20, ["extract.tasks=32"], 20),
        (0, [], 1),
    ],
)
def test_the_default_number_of_shards_follows_from_film_and_device(
    frames: int | None, settings: list[str], shards: int, tmp_path: Path
) -> None:
    site = load_site(ROOT / "slurm" / "cluster.toml", settings)
    options = RunOptions(tmp_path, tmp_path, tmp_path, site)
    assert options.default_shards(frames) == shards
    if "extract.gpus=1" in settings and "extract.tasks=32" not in settings:
        assert replace(options, device="cpu").default_shards(172_800) == 173


def test_without_a_gpu_the_plan_says_what_it_can_measure(tmp_path: Path) -> None:
    make_film(tmp_path / "7-Film.mp4", 40)
    lines = sizing.plan_without_gpu(run_options(tmp_path), 7, "make plan MOVIE=7 ON_NODE=1")
    assert re.match(r"movie 7: 40 frames; this machine decodes \d+ frames/s and has no GPU", lines[0])
    assert re.search(r"CPUS=\d+ for 200, CPUS=\d+ for 500, CPUS=\d+ for 1000 frames/s of its GPU", lines[1])
    assert lines[2].endswith("make plan MOVIE=7 ON_NODE=1")


def test_a_task_with_a_gpu_gets_the_cores_that_feed_it() -> None:
    measured = Measurement(172_800, 90.0, 10.0, 3 << 30, 2, 700.0, 0.007, 3 * 1920 * 1080)
    advice = recommend(measured, parallelism=64)
    assert (advice.cores, advice.gib) == (6, 5)  # 4.9 cores decode 700 frames a second
    assert recommend(replace(measured, decoding_cpu_s=0.1), 64).cores == sizing.MAX_CORES
    assert recommend(replace(measured, detector_frames_per_s=0.0), 64).cores == 2


def report(frames: int, seconds: float, detecting: float) -> dict[str, object]:
    return {"frames": frames, "seconds": seconds, "stage_seconds": {"detect": detecting}}


def test_the_first_sample_on_a_gpu_does_not_count_since_its_libraries_start_in_it() -> None:
    samples = [report(1000, 5.0, 4.5), report(1000, 1.0, 0.8), report(600, 0.6, 0.48)]
    assert sizing.gpu_rates(samples) == pytest.approx((1000, 1250))
    assert sizing.gpu_rates(samples[:1]) == pytest.approx((200, 1000 / 4.5))


def test_a_gpu_that_waits_for_its_cpus_is_not_taken_for_a_fast_one(tmp_path: Path, monkeypatch) -> None:
    """The host then waits for next to nothing, and 32 CPUs would be asked for a GPU that can use 8."""
    rate, detector_rate = sizing.gpu_rates([report(1000, 5.0, 4.5), report(1000, 2.0, 0.1)])
    assert (rate, detector_rate) == (500, 0)
    make_film(tmp_path / "7-Film.mp4", 4)
    for cores, said in ((4, "its GPU waited for its CPUs: measure again with CPUS=8"), (32, "for its CPUs")):
        measured = Measurement(172_800, rate, 10.0, 3 << 30, cores, detector_rate, 0.007, 3 * 1920 * 1080)
        monkeypatch.setattr(sizing, "measure", lambda *_, measured=measured: measured)
        lines = plan_movie(run_options(tmp_path), 7)
        assert lines[0].endswith(said) and f"CPUS={cores} " in lines[1]


def test_frames_that_are_decoded_only_to_reach_a_sample_do_not_count(tmp_path: Path, monkeypatch) -> None:
    """With a key frame every ten seconds they are more than those of the sample."""
    spent = [0.0]
    monkeypatch.setattr(sizing.time, "process_time", lambda: spent[0])

    def reading(film: object, beg: int, end: int) -> Iterator[int]:
        spent[0] += 250  # the frames since the key frame
        for number in range(beg, end):
            spent[0] += 1
            yield number

    make_film(tmp_path / "7-Film.mp4", 40)
    monkeypatch.setattr("facerec.video.film.read_frames", reading)
    assert sizing.measure_decoding(tmp_path / "7-Film.mp4")[2] == 1


@pytest.mark.slow
def test_a_film_is_measured_for_a_gpu_by_its_detector_and_its_decoding(tmp_path: Path, monkeypatch) -> None:
    make_film(tmp_path / "7-Film.mp4", 40)
    options = run_options(tmp_path)
    site = load_site(ROOT / "slurm" / "cluster.toml", ["extract.gpus=1"])
    monkeypatch.setattr(RunOptions, "extract_command", _on_cpu(RunOptions.extract_command))
    monkeypatch.setattr(sizing, "BUSY", 0)  # on these small frames the detector has less work than dlib
    measured = measure(replace(options, site=site), tmp_path / "7-Film.mp4")
    assert measured.detector_frames_per_s > measured.frames_per_s > 0 and measured.decoding_cpu_s > 0
    monkeypatch.setattr(sizing, "measure", lambda *_: measured)
    lines = plan_movie(replace(options, site=site), 7)
    assert "its GPU detects faces in" in lines[0] and "GPUS=1" in lines[1]


def _on_cpu(extract_command):
    """Make the command of a task with a GPU that runs without one."""
    return lambda *args: [word for word in extract_command(*args) if word not in ("--device", "cuda")]


def test_a_measurement_on_a_node_gets_the_resources_of_a_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mock = MockSlurm(tmp_path / "mock", monkeypatch)
    mock.install_script("srun", f'printf "%s\\n" "$@" >{tmp_path}/words; env >{tmp_path}/env; exit 3')
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "300")
    task = ["extract.gpus=1", "partition=gpu", "extract.memory=4G"]
    shell = ["modules=['cuda/12']", "setup=export X=1"]
    resources = load_site(ROOT / "slurm" / "cluster.toml", [*task, *shell]).stages["extract"]
    assert sizing.run_on_node(resources, ["python", "-m", "slurm", "plan", "--films", "a b"]) == 3
    words = (tmp_path / "words").read_text()
    for word in ("--partition=gpu", "--gpus-per-node=1", "--mem=4096M", "--cpus-per-task=8", "--time=15"):
        assert f"{word}\n" in words
    assert words.endswith("-c\nmodule load cuda/12\nexport X=1\nexec python -m slurm plan --films 'a b'\n")
    assert "SLURM_MEM_PER_CPU" not in (tmp_path / "env").read_text()
