"""What is submitted: only what is missing, never twice, in arrays that the site takes, in the right order."""

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
from slurm.queue import SlurmError
from slurm.records import RunFolder, Submission
from slurm.site import STAGES
from slurm.stages import Order
from tests.slurm_fakes import MOVIE, MockSlurm, make_film, make_order, use_fake_stages


class Site:
    """A films' folder, a mocked SLURM, and what the launcher said."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.mock = MockSlurm(folder / "mock", monkeypatch)
        self.said: list[str] = []
        self.run = RunFolder(folder / "out", MOVIE)
        use_fake_stages(monkeypatch)

    def launch(self, *stages: str, order: Order | None = None, **fields: object) -> list[Submission]:
        self.said.clear()
        order = order or make_order(self.folder, **{"shards": 8, **fields})
        return launch(order, MOVIE, stages or ("extract",), self.said.append)

    def run_all(self, one: Submission) -> list[bool]:
        """Run all tasks of a submission, as their nodes would."""
        folder = self.run.path / one.stage
        return [self.mock.run(one.task_id(index), folder) for index in range(len(one.packs))]

    def finish(self, one: Submission) -> None:
        """The same end sooner: all of an extraction in one process that is no task's."""
        folder = self.run.path / one.stage
        argv = DelayedSubmission.load(folder / f"{one.task_id(0)}_submitted.pkl").args[-1]
        subprocess.run([*argv, "--shard", ",".join(one.packs)], check=True, stdout=subprocess.DEVNULL)
        for index in range(len(one.packs)):
            self.mock.set(one.task_id(index), "COMPLETED")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch)


def packs(submissions: list[Submission]) -> list[str]:
    return [pack for one in submissions for pack in one.packs]


def test_the_first_time_all_shards_and_the_second_time_none(site: Site) -> None:
    make_film(site.folder / "films")
    (one,) = site.launch(shards=4)
    assert packs([one]) == ["0", "1", "2", "3"]
    assert site.said[0].endswith(": 4 of 4 shards to do")
    assert site.launch(shards=4) == [] and site.said[0].endswith("0 of 4 shards to do (4 queued or running)")
    assert all(site.run_all(one))
    assert site.launch(shards=4) == [] and site.said[0].endswith("0 of 4 shards to do (4 done)")


def test_only_what_is_missing_and_the_troubled_alone(site: Site) -> None:
    make_film(site.folder / "films", shards={"5": "refuse"})
    order = make_order(site.folder, "tasks=2", shards=8)
    (one,) = site.launch(order=order)
    assert packs([one]) == ["0-3", "4-7"]
    assert site.run_all(one) == [True, False]
    site.run.movie_folder.shard(0, 20).marker.unlink()
    site.run.movie_folder.shard(20, 40).marker.unlink()
    (again,) = site.launch(order=order)
    assert packs([again]) == ["0", "1", "5"] and site.said[0].endswith("3 of 8 shards to do (5 done)")
    site.mock.set(again.task_id(0), "RUNNING")
    site.mock.drop(again.task_id(1))  # cancelled
    (third,) = site.launch(order=order)
    assert packs([third]) == ["1"] and site.said[0].endswith(
        "1 of 8 shards to do (5 done, 2 queued or running)"
    )


def test_a_shard_whose_file_was_altered_is_missing_even_at_the_same_size(site: Site) -> None:
    make_film(site.folder / "films")
    (one,) = site.launch()
    site.finish(one)
    path = site.run.movie_folder.shard(40, 60).features
    path.write_bytes(bytes(len(path.read_bytes())))
    (again,) = site.launch()
    assert packs([again]) == ["2"]
    assert site.run_all(again) == [True] and site.launch() == []


def test_arrays_above_the_limit_are_cut_and_share_the_parallelism(site: Site) -> None:
    make_film(site.folder / "films", frames=600)
    (site.mock.folder / "max").write_text("101")
    ones = site.launch(order=make_order(site.folder, "extract.parallelism=2", shards=300))
    assert [len(one.packs) for one in ones] == [101, 101, 98]
    scripts = [site.mock.script(str(one.job)) for one in ones]
    assert [re.findall(r"--array=(\S+)", text) for text in scripts] == [["0-100%1"], ["0-100%1"], ["0-97%1"]]
    assert f"--dependency=afterany:{ones[0].job}" in scripts[2] and "--dependency" not in scripts[1]
    assert packs(ones) == [str(shard) for shard in range(300)]
    site.mock.run(f"{ones[2].job}_97", site.run.path / "extract")
    assert site.run.shard_log(299).readlink().name == f"{ones[2].job}_97_0_log.out"


def test_the_batch_script_asks_for_what_the_profile_says(site: Site) -> None:
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
    (one,) = site.launch(order=make_order(site.folder, *settings, *more, shards=2))
    text = site.mock.script(str(one.job))
    for line in (
        "--partition=gpu", "--account=me", "--qos=q", "--gpus-per-node=1", "--cpus-per-task=4", "--time=90",
        "--mem=1500M", "--signal=USR2@120", "--nice=7", "--exclude='n[3-4]'", "--requeue",
        f"--job-name={MOVIE}-extract", "--array=0-1%2",
    ):  # fmt: skip
        assert f"#SBATCH {line}\n" in text, line
    assert "\nmodule load cuda/12\nmodule load 'a b'\nexport X=1\n" in text


def test_gres_replaces_the_gpu_option_where_a_site_wants_it(site: Site) -> None:
    make_film(site.folder / "films")
    (one,) = site.launch(order=make_order(site.folder, "extract.gpus=1", "extract.gres=gpu:a100:1", shards=1))
    text = site.mock.script(str(one.job))
    assert "#SBATCH --gres=gpu:a100:1\n" in text and "--gpus-per-node" not in text and "--array" not in text


def test_the_film_s_name_reaches_no_shell_and_no_code_is_captured(site: Site) -> None:
    film = make_film(site.folder / "films")
    (one,) = site.launch("extract")
    assert film.name not in site.mock.script(str(one.job))
    pickled = (site.run.path / "extract" / f"{one.task_id(0)}_submitted.pkl").read_bytes()
    assert b"run_shards" in pickled and b"slurm.tasks" in pickled and len(pickled) < 2000
    delayed = pickle.loads(pickled)
    assert delayed.args[-1][-1] == str(film) and all(isinstance(word, str) for word in delayed.args[-1])


def test_the_chain_waits_for_success_and_is_cancelled_otherwise(site: Site) -> None:
    make_film(site.folder / "films")
    ones = site.launch(*STAGES, order=make_order(site.folder, "tasks=2", shards=8))
    assert [one.stage for one in ones] == list(STAGES)
    for parent, child in pairwise(ones):
        text = site.mock.script(str(child.job))
        assert (
            f"#SBATCH --dependency=afterok:{parent.job}\n" in text
            and "#SBATCH --kill-on-invalid-dep=yes\n" in text
        )
        assert child.parents == [parent.key]
    assert [all(site.run_all(one)) for one in ones] == [True] * 4
    assert site.run.movie_folder.predictions.exists()


def test_a_second_chain_waits_for_what_is_on_its_way_and_submits_nothing_twice(site: Site) -> None:
    make_film(site.folder / "films")
    first = site.launch(*STAGES)
    assert site.launch(*STAGES) == []
    assert [line.split(": ")[1] for line in site.said[1:]] == [
        f"{one.stage} is queued already, as job {one.job}" for one in first[1:]
    ]


def test_new_shards_replace_the_queued_stages_that_would_not_wait_for_them(site: Site) -> None:
    make_film(site.folder / "films")
    first = site.launch(*STAGES)
    site.mock.drop(first[0].task_id(3))  # one was cancelled
    site.mock.set(first[0].task_id(4), "FAILED")
    second = site.launch(*STAGES)
    assert packs(second[:1]) == ["3", "4"]
    assert site.mock.log.read_text().splitlines() == [f"scancel {one.job}" for one in first[1:]]
    # the old array has lost tasks and would never be "ok" again; the merge itself proves coverage
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
        )
    )
    monkeypatch.setattr(launcher, "PIPELINE", graph)
    make_film(site.folder / "films")
    extract, merge, cluster, classify = site.launch(*STAGES)
    for one in (merge, cluster):
        assert f"--dependency=afterok:{extract.job}\n" in site.mock.script(str(one.job))
    assert f"--dependency=afterok:{merge.job}:{cluster.job}\n" in site.mock.script(str(classify.job))
    assert classify.parents == [merge.key, cluster.key]


def test_a_stage_that_runs_already_is_waited_for(site: Site) -> None:
    make_film(site.folder / "films")
    first = site.launch("extract", "merge")
    for index in range(8):
        site.mock.set(first[0].task_id(index), "FAILED")
    site.mock.set(str(first[1].job), "RUNNING")
    second = site.launch("extract", "merge")
    assert f"afterok:{second[0].job},afterany:{first[1].job}\n" in site.mock.script(str(second[1].job))


def test_a_stage_alone_waits_for_the_array_that_is_on_its_way(site: Site) -> None:
    make_film(site.folder / "films")
    (one,) = site.launch()
    (merge,) = site.launch("merge", shards=None)
    assert f"--dependency=afterok:{one.job}\n" in site.mock.script(str(merge.job)) and merge.n == 8


def test_another_number_of_shards_is_refused_before_and_after_the_first_is_done(site: Site) -> None:
    make_film(site.folder / "films")
    (one,) = site.launch()
    with pytest.raises(PlanError, match="was begun with SHARDS=8: go on with that, or drop it with FRESH=1"):
        site.launch(shards=9)
    site.finish(one)
    with pytest.raises(PlanError, match="was begun with SHARDS=8"):
        site.launch(shards=9)


def test_other_options_than_what_is_done_was_made_with_are_refused_at_once(site: Site) -> None:
    make_film(site.folder / "films")
    (one,) = site.launch()
    site.finish(one)
    with pytest.raises(FacerecError, match=r"77-data holds the shards of another run$"):
        site.launch(detector="other")


@pytest.mark.parametrize("options", [{"shards": 9}, {"detector": "other"}, {}])
def test_fresh_drops_what_is_done_and_only_when_nothing_is_on_its_way(
    site: Site, options: dict[str, object]
) -> None:
    make_film(site.folder / "films")
    (one,) = site.launch()
    with pytest.raises(PlanError, match="cancel them before FRESH=1"):
        site.launch(fresh=True, **options)
    site.finish(one)
    marker = site.run.movie_folder.shard(0, 20).marker
    assert marker.exists()
    (fresh,) = site.launch(fresh=True, **options)
    assert not marker.exists() and len(fresh.packs) == options.get("shards", 8)
    site.finish(fresh)
    assert site.launch(**{"shards": None, **options}) == []


def test_a_damaged_plan_does_not_keep_from_beginning_afresh(site: Site) -> None:
    make_film(site.folder / "films")
    (one,) = site.launch()
    site.finish(one)
    site.run.movie_folder.plan.write_text("{")
    (fresh,) = site.launch(fresh=True)
    assert len(fresh.packs) == 8 and not site.run.movie_folder.plan.exists()


def test_no_shards_given_means_as_begun_or_256(site: Site) -> None:
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


def test_a_launcher_that_died_while_submitting_loses_nothing(site: Site) -> None:
    make_film(site.folder / "films")
    (one,) = site.launch()
    one.job, one.array = None, False  # it was killed before sbatch's answer was written down
    site.run.save(one)
    assert site.launch() == [] and "8 queued or running" in site.said[0]
    never = Submission(site.run.new_key("extract"), "extract", ["0"], 8)  # and before sbatch was called
    site.run.save(never)
    assert site.launch() == []


def test_markers_that_show_late_are_waited_for(site: Site) -> None:
    make_film(site.folder / "films")
    order = make_order(site.folder, "settle=10", "tasks=1", shards=8)
    (one,) = site.launch(order=order)
    site.run_all(one)
    marker = site.run.movie_folder.shard(0, 20).marker
    hidden = marker.rename(site.folder / "hidden")
    threading.Timer(0.6, hidden.rename, [marker]).start()
    assert site.launch(order=order) == [] and site.said[0].endswith("(8 done)")


def test_a_missing_film_is_said_before_anything_is_submitted(site: Site) -> None:
    (site.folder / "films").mkdir()
    with pytest.raises(InputError, match="no film of movie 77"):
        site.launch()
    with pytest.raises(InputError, match="nothing was extracted yet; first: make extract MOVIE=77"):
        site.launch("merge")
    assert site.mock.states() == {} and not (site.folder / "out").exists()


def test_the_stages_command_lines_carry_the_options(tmp_path: Path) -> None:
    order = make_order(
        tmp_path, "extract.gpus=1", detector="yunet:/a b/w.onnx", embedder="dlib", overwrite=True,
        args={"extract": ("--min-face-size", "9"), "merge": ("--allow-missing",)},
    )  # fmt: skip
    argv = order.extract_argv(Path("/f/1-x.mp4"), 4)
    assert argv[0] == sys.executable and Path(argv[2]).name == "extract.py" and argv[-1] == "/f/1-x.mp4"
    assert argv[-9:-1] == [
        "--detector",
        "yunet:/a b/w.onnx",
        "--embedder",
        "dlib",
        "--device",
        "cuda",
        "--min-face-size",
        "9",
    ]
    merge, classify = order.stage_argv("merge", tmp_path), order.stage_argv("classify", tmp_path)
    assert merge[-2:] == ["--overwrite", "--allow-missing"] and "--actor-db" not in merge
    assert classify[classify.index("--actor-db") + 1] == str(tmp_path / "actor_db")
    assert argv[argv.index("--out") + 1] == str(tmp_path / "out")
