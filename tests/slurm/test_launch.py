"""Submissions: only missing shards, never twice, within the array limit, in the right order."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from submitit.core.utils import DelayedSubmission

from facerec.errors import FacerecError, InputError, PlanError
from facerec.stages import PIPELINE, StageGraph
from slurm import launch as launcher
from slurm.launch import launch
from slurm.options import RunOptions
from slurm.queue import SlurmError
from slurm.records import RunFolder
from slurm.submission import Submission
from tests.slurm_fakes import MOVIE, STAGES, MockSlurm, make_film, make_options, use_fake_stages


class Site:
    """A folder of films, a mocked SLURM, and the lines that the launcher printed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.mock = MockSlurm(folder / "mock", monkeypatch)
        self.lines: list[str] = []
        self.run = RunFolder(folder / "out", MOVIE)
        use_fake_stages(monkeypatch)

    def launch(self, *stages: str, options: RunOptions | None = None, **fields: object) -> list[Submission]:
        self.lines.clear()
        options = options or make_options(self.folder, **{"shards": 8, **fields})
        return launch(options, MOVIE, stages or ("extract",), self.lines.append)

    def run_all(self, submission: Submission) -> list[bool]:
        """Run all tasks of a submission, one after the other; return which succeeded."""
        folder = self.run.path / submission.stage
        return [self.mock.run(submission.task_id(index), folder) for index in range(len(submission.packs))]

    def run_quickly(self, submission: Submission) -> None:
        """Extract all shards of a submission in one process, and mark its tasks completed."""
        folder = self.run.path / submission.stage
        command = DelayedSubmission.load(folder / f"{submission.task_id(0)}_submitted.pkl").args[-1]
        subprocess.run(
            [*command, "--shard", ",".join(submission.packs)], check=True, stdout=subprocess.DEVNULL
        )
        for index in range(len(submission.packs)):
            self.mock.set(submission.task_id(index), "COMPLETED")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch)


def packs(submissions: list[Submission]) -> list[str]:
    return [pack for submission in submissions for pack in submission.packs]


def test_all_shards_are_submitted_once(site: Site) -> None:
    make_film(site.folder / "films")
    (submission,) = site.launch(shards=4)
    assert packs([submission]) == ["0", "1", "2", "3"]
    assert site.lines[0].endswith(": 4 of 4 shards to do")
    assert site.launch(shards=4) == [] and site.lines[0].endswith("0 of 4 shards to do (4 queued or running)")
    assert all(site.run_all(submission))
    assert site.launch(shards=4) == [] and site.lines[0].endswith("0 of 4 shards to do (4 done)")


def test_only_missing_shards_are_submitted_and_failed_ones_alone(site: Site) -> None:
    make_film(site.folder / "films", shards={"5": "refuse"})
    options = make_options(site.folder, "tasks=2", shards=8)
    (submission,) = site.launch(options=options)
    assert packs([submission]) == ["0-3", "4-7"]
    assert site.run_all(submission) == [True, False]
    site.run.movie_folder.shard(0, 20).marker.unlink()
    site.run.movie_folder.shard(20, 40).marker.unlink()
    (again,) = site.launch(options=options)
    assert packs([again]) == ["0", "1", "5"] and site.lines[0].endswith("3 of 8 shards to do (5 done)")
    site.mock.set(again.task_id(0), "RUNNING")
    site.mock.drop(again.task_id(1))  # cancelled
    (third,) = site.launch(options=options)
    assert packs([third]) == ["1"] and site.lines[0].endswith(
        "1 of 8 shards to do (5 done, 2 queued or running)"
    )


def test_a_shard_with_an_altered_file_of_the_same_size_is_missing(site: Site) -> None:
    make_film(site.folder / "films")
    (submission,) = site.launch()
    site.run_quickly(submission)
    path = site.run.movie_folder.shard(40, 60).features
    path.write_bytes(bytes(len(path.read_bytes())))
    (again,) = site.launch()
    assert packs([again]) == ["2"]
    assert site.run_all(again) == [True] and site.launch() == []


def test_arrays_above_the_limit_are_split_and_share_the_parallelism(site: Site) -> None:
    make_film(site.folder / "films", frames=600)
    (site.mock.folder / "max").write_text("101")
    submissions = site.launch(options=make_options(site.folder, "extract.parallelism=2", shards=300))
    assert [len(submission.packs) for submission in submissions] == [101, 101, 98]
    scripts = [site.mock.script(str(submission.job)) for submission in submissions]
    assert [re.findall(r"--array=(\S+)", text) for text in scripts] == [["0-100%1"], ["0-100%1"], ["0-97%1"]]
    assert f"--dependency=afterany:{submissions[0].job}" in scripts[2] and "--dependency" not in scripts[1]
    assert packs(submissions) == [str(shard) for shard in range(300)]
    site.mock.run(f"{submissions[2].job}_97", site.run.path / "extract")
    assert site.run.shard_log(299).readlink().name == f"{submissions[2].job}_97_0_log.out"


def test_the_batch_script_requests_the_resources_of_the_profile(site: Site) -> None:
    make_film(site.folder / "films")
    settings = [
        "partition=gpu",
        "account=me",
        "qos=q",
        "extract.gpus=1",
        "cpus=4",
        "extract.time=90",
        "extract.memory=1500M",
    ]
    more = [
        "modules=['cuda/12', 'a b']",
        "setup=export X=1",
        "sbatch={nice=7}",
        "warn=120",
        "exclude='n[3-4]'",
    ]
    (submission,) = site.launch(options=make_options(site.folder, *settings, *more, shards=2))
    text = site.mock.script(str(submission.job))
    for line in (
        "--partition=gpu", "--account=me", "--qos=q", "--gpus-per-node=1", "--cpus-per-task=4", "--time=90",
        "--mem=1500M", "--signal=USR2@120", "--nice=7", "--exclude='n[3-4]'", "--requeue",
        f"--job-name={MOVIE}-extract", "--array=0-1%2",
    ):  # fmt: skip
        assert f"#SBATCH {line}\n" in text, line
    assert "\nmodule load cuda/12\nmodule load 'a b'\nexport X=1\n" in text


def test_gres_replaces_the_gpu_option(site: Site) -> None:
    make_film(site.folder / "films")
    (submission,) = site.launch(
        options=make_options(site.folder, "extract.gpus=1", "extract.gres=gpu:a100:1", shards=1)
    )
    text = site.mock.script(str(submission.job))
    assert "#SBATCH --gres=gpu:a100:1\n" in text and "--gpus-per-node" not in text and "--array" not in text


def test_no_shell_reads_the_name_of_the_film_and_no_code_is_pickled(site: Site) -> None:
    film = make_film(site.folder / "films")
    (submission,) = site.launch("extract")
    assert film.name not in site.mock.script(str(submission.job))
    pickled = (site.run.path / "extract" / f"{submission.task_id(0)}_submitted.pkl").read_bytes()
    assert b"run_shards" in pickled and b"slurm.tasks" in pickled and len(pickled) < 2000
    delayed = pickle.loads(pickled)
    assert delayed.args[-1][-1] == str(film) and all(isinstance(word, str) for word in delayed.args[-1])


def test_each_stage_depends_on_the_success_of_the_one_before(site: Site) -> None:
    make_film(site.folder / "films")
    submissions = site.launch(*STAGES, options=make_options(site.folder, "tasks=2", shards=8))
    assert [submission.stage for submission in submissions] == list(STAGES)
    for parent, child in pairwise(submissions):
        text = site.mock.script(str(child.job))
        assert (
            f"#SBATCH --dependency=afterok:{parent.job}\n" in text
            and "#SBATCH --kill-on-invalid-dep=yes\n" in text
        )
        assert child.parents == [parent.key]
    assert [all(site.run_all(submission)) for submission in submissions] == [True] * len(STAGES)
    assert site.run.movie_folder.predictions.exists() and site.run.movie_folder.report.exists()


def test_a_second_chain_submits_nothing_twice(site: Site) -> None:
    make_film(site.folder / "films")
    first = site.launch(*STAGES)
    assert site.launch(*STAGES) == []
    assert [line.split(": ")[1] for line in site.lines[1:]] == [
        f"{submission.stage} is queued already, as job {submission.job}" for submission in first[1:]
    ]


def test_queued_stages_are_replaced_when_new_shards_are_submitted(site: Site) -> None:
    make_film(site.folder / "films")
    first = site.launch(*STAGES)
    site.mock.drop(first[0].task_id(3))  # cancelled
    site.mock.set(first[0].task_id(4), "FAILED")
    second = site.launch(*STAGES)
    assert packs(second[:1]) == ["3", "4"]
    assert site.mock.log.read_text().splitlines() == [f"scancel {submission.job}" for submission in first[1:]]
    # the old array has lost tasks, so afterok would never hold; the merge verifies coverage itself
    wanted = f"--dependency=afterok:{second[0].job},afterany:{first[0].job}"
    assert wanted in site.mock.script(str(second[1].job))
    assert f"--dependency=afterok:{second[1].job}\n" in site.mock.script(str(second[2].job))


def test_a_stage_with_several_predecessors_waits_for_each(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = StageGraph(
        (
            PIPELINE["extract"],
            PIPELINE["merge"],
            replace(PIPELINE["cluster"], inputs=("extract",)),
            PIPELINE["classify"],
            PIPELINE["report"],
        )
    )
    monkeypatch.setattr(launcher, "PIPELINE", graph)
    make_film(site.folder / "films")
    extract, merge, cluster, classify, _ = site.launch(*STAGES)
    for submission in (merge, cluster):
        assert f"--dependency=afterok:{extract.job}\n" in site.mock.script(str(submission.job))
    assert f"--dependency=afterok:{merge.job}:{cluster.job}\n" in site.mock.script(str(classify.job))
    assert classify.parents == [merge.key, cluster.key]


def test_a_new_job_waits_for_the_running_job_of_its_stage(site: Site) -> None:
    make_film(site.folder / "films")
    first = site.launch("extract", "merge")
    for index in range(8):
        site.mock.set(first[0].task_id(index), "FAILED")
    site.mock.set(str(first[1].job), "RUNNING")
    second = site.launch("extract", "merge")
    assert f"afterok:{second[0].job},afterany:{first[1].job}\n" in site.mock.script(str(second[1].job))


def test_a_stage_waits_for_the_active_array_of_an_earlier_launch(site: Site) -> None:
    make_film(site.folder / "films")
    (submission,) = site.launch()
    (merge,) = site.launch("merge", shards=None)
    assert f"--dependency=afterok:{submission.job}\n" in site.mock.script(str(merge.job)) and merge.n == 8


def test_another_number_of_shards_is_refused(site: Site) -> None:
    make_film(site.folder / "films")
    (submission,) = site.launch()
    with pytest.raises(
        PlanError, match="was started with SHARDS=8: give SHARDS=8, or start again with FRESH=1"
    ):
        site.launch(shards=9)
    site.run_quickly(submission)
    with pytest.raises(PlanError, match="was started with SHARDS=8"):
        site.launch(shards=9)


def test_options_that_differ_from_those_of_done_shards_are_refused(site: Site) -> None:
    make_film(site.folder / "films")
    (submission,) = site.launch()
    site.run_quickly(submission)
    with pytest.raises(FacerecError, match=r"77-data contains shards of another run$"):
        site.launch(detector="other")


@pytest.mark.parametrize("options", [{"shards": 9}, {"detector": "other"}, {}])
def test_fresh_deletes_shards_unless_tasks_are_active(site: Site, options: dict[str, object]) -> None:
    make_film(site.folder / "films")
    (submission,) = site.launch()
    with pytest.raises(PlanError, match="cancel them before using FRESH=1"):
        site.launch(fresh=True, **options)
    site.run_quickly(submission)
    marker = site.run.movie_folder.shard(0, 20).marker
    assert marker.exists()
    (fresh,) = site.launch(fresh=True, **options)
    assert not marker.exists() and len(fresh.packs) == options.get("shards", 8)
    site.run_quickly(fresh)
    assert site.launch(**{"shards": None, **options}) == []


def test_fresh_works_with_a_damaged_plan(site: Site) -> None:
    make_film(site.folder / "films")
    (submission,) = site.launch()
    site.run_quickly(submission)
    site.run.movie_folder.plan.write_text("{")
    (fresh,) = site.launch(fresh=True)
    assert len(fresh.packs) == 8 and not site.run.movie_folder.plan.exists()


def test_the_default_is_256_shards(site: Site) -> None:
    make_film(site.folder / "films", frames=600)
    assert len(packs(site.launch(shards=None))) == 256


def test_a_refused_submission_leaves_no_record(site: Site) -> None:
    make_film(site.folder / "films")
    (site.mock.folder / "refuse").write_text(
        "sbatch: error: invalid partition specified: x\nsbatch: error: Batch job submission failed\n"
    )
    with pytest.raises(
        SlurmError, match=r"^sbatch: invalid partition specified: x Batch job submission failed$"
    ):
        site.launch()
    assert site.run.submissions() == []


def test_a_launcher_killed_while_submitting_loses_nothing(site: Site) -> None:
    make_film(site.folder / "films")
    (submission,) = site.launch()
    submission.job, submission.array = None, False  # killed before sbatch's answer was recorded
    site.run.save(submission)
    assert site.launch() == [] and "8 queued or running" in site.lines[0]
    never = Submission(site.run.new_key("extract"), "extract", ["0"], 8)  # killed before sbatch was called
    site.run.save(never)
    assert site.launch() == []


def test_the_launcher_waits_for_late_markers(site: Site) -> None:
    make_film(site.folder / "films")
    options = make_options(site.folder, "settle=10", "tasks=1", shards=8)
    (submission,) = site.launch(options=options)
    site.run_all(submission)
    marker = site.run.movie_folder.shard(0, 20).marker
    hidden = marker.rename(site.folder / "hidden")
    threading.Timer(0.6, hidden.rename, [marker]).start()
    assert site.launch(options=options) == [] and site.lines[0].endswith("(8 done)")


def test_missing_inputs_are_reported_before_anything_is_submitted(site: Site) -> None:
    (site.folder / "films").mkdir()
    with pytest.raises(InputError, match="no film of movie 77"):
        site.launch()
    with pytest.raises(InputError, match="nothing was extracted yet; first run: make extract MOVIE=77"):
        site.launch("merge")
    with pytest.raises(InputError, match="which needs the film: no film of movie 77: no file matches"):
        site.launch("report")
    assert site.mock.states() == {} and not (site.folder / "out").exists()


def test_the_commands_of_the_stages_contain_the_options(tmp_path: Path) -> None:
    options = make_options(
        tmp_path, "extract.gpus=1", detector="yunet:/a b/w.onnx", embedder="dlib", overwrite=True,
        args={"extract": ("--min-face-size", "9"), "merge": ("--allow-missing",)},
    )  # fmt: skip
    command = options.extract_command(Path("/f/1-x.mp4"), 4)
    assert (
        command[0] == sys.executable and Path(command[2]).name == "extract.py" and command[-1] == "/f/1-x.mp4"
    )
    assert command[-9:-1] == [
        "--detector",
        "yunet:/a b/w.onnx",
        "--embedder",
        "dlib",
        "--device",
        "cuda",
        "--min-face-size",
        "9",
    ]
    merge, classify = options.stage_command("merge", tmp_path), options.stage_command("classify", tmp_path)
    assert merge[-2:] == ["--overwrite", "--allow-missing"] and "--actor-db" not in merge
    assert classify[classify.index("--actor-db") + 1] == str(tmp_path / "actor_db")
    assert command[command.index("--out") + 1] == str(tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "lines", "absent"),
    [
        (["extract.sbatch={exclusive = true, nice = false}"], ["--exclusive"], ["--nice"]),
        (["extract.memory=", "extract.sbatch={mem-per-cpu = '1G'}"], ["--mem-per-cpu=1G"], ["--mem="]),
        (["extract.sbatch={mem_per_gpu = '1G'}"], ["--mem-per-gpu=1G"], ["--mem="]),
        (["extract.memory=0", "extract.cpus=0", "extract.time="], [], ["--mem", "--cpus-per-task", "--time"]),
        (["extract.parallelism=0"], ["--array=0-3%4"], []),
        (["all.nice=50", "all.priority=7"], ["--nice=50", "--priority=7"], []),
        ([], ["--cpus-per-task=2"], ["--wckey"]),
    ],
)
def test_the_profile_keeps_its_promises(
    site: Site, settings: list[str], lines: list[str], absent: list[str]
) -> None:
    make_film(site.folder / "films")
    (submission,) = site.launch(options=make_options(site.folder, *settings, shards=4))
    text = site.mock.script(str(submission.job))
    assert not [option for option in absent if f"#SBATCH {option}" in text]
    assert not [line for line in lines if f"#SBATCH {line}\n" not in text]


def test_a_site_that_takes_not_even_one_task_is_an_error(site: Site) -> None:
    make_film(site.folder / "films")
    (site.mock.folder / "limit_of_tasks").write_text("0")
    with pytest.raises(SlurmError, match=r"QOSMaxSubmitJobPerUserLimit .*not even one task is taken"):
        site.launch()
    assert site.run.submissions() == []


def test_other_limits_of_a_site_are_not_taken_for_one_on_the_number_of_tasks(site: Site) -> None:
    make_film(site.folder / "films")
    (site.mock.folder / "refuse").write_text(
        "sbatch: error: QOSMaxWallDurationPerJobLimit\nsbatch: error: Job violates accounting/QOS policy\n"
    )
    with pytest.raises(
        SlurmError, match=r"QOSMaxWallDurationPerJobLimit Job violates accounting/QOS policy$"
    ):
        site.launch()


def test_as_many_tasks_as_the_site_takes_are_submitted_and_the_rest_by_the_same_command(site: Site) -> None:
    make_film(site.folder / "films")
    (site.mock.folder / "limit_of_tasks").write_text("5")
    first = site.launch("extract", "merge")
    assert packs(first) == ["0", "1", "2", "3", "4"]  # after 8, 4, 4, 2, 1 tasks were asked for
    assert site.lines[-1] == (
        "movie 77: not all tasks were submitted: run the same command again when some have ended (sbatch: "
        "QOSMaxSubmitJobPerUserLimit Batch job submission failed: Job violates accounting/QOS policy)"
    )
    assert site.launch("extract", "merge") == []  # the queue is full
    for submission in first:
        assert all(site.run_all(submission))
    second = site.launch("extract", "merge")
    assert packs(second[:1]) == ["5", "6", "7"] and [one.stage for one in second] == ["extract", "merge"]


def test_limits_that_are_known_are_kept_without_a_refusal(site: Site) -> None:
    make_film(site.folder / "films")
    options = make_options(site.folder, "max_submit=6", shards=8)
    assert packs(site.launch("extract", "merge", options=options)) == ["0", "1", "2", "3", "4", "5"]
    assert "max_submit = 6 in the site profile" in site.lines[-1]
    site.mock.install_script("scontrol", "echo 'MaxArraySize = 1001'; echo 'MaxJobCount = 8'")
    assert packs(site.launch("extract", options=make_options(site.folder, shards=8))) == ["6"]
    assert "MaxJobCount of SLURM" in site.lines[-1]
    every_place = make_options(site.folder, "max_submit=12", shards=8)
    site.mock.install_script("scontrol", "echo 'MaxArraySize = 1001'; echo 'MaxJobCount = 100'")
    assert [one.stage for one in site.launch("extract", "merge", options=every_place)] == ["extract", "merge"]
    assert "not all" not in site.lines[-1]


def test_the_environment_of_the_shell_does_not_reach_sbatch(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_film(site.folder / "films")
    sbatch = (site.mock.folder / "bin" / "sbatch").read_text().removeprefix("#!/bin/bash\n")
    site.mock.install_script("sbatch", f"env >{site.folder}/seen\n{sbatch}")
    monkeypatch.setenv("SBATCH_JOB_NAME", "mine")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "300")
    site.launch()
    seen = (site.folder / "seen").read_text()
    assert "SBATCH_JOB_NAME" not in seen and "SLURM_MEM_PER_CPU" not in seen and "\nPATH=" in seen
