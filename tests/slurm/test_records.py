"""The run's folder: what a launcher or task wrote is read back, and only one launcher writes."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from facerec.errors import ContractError, FacerecError
from slurm.records import Failure, RunFolder, Submission, TaskState


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path, 5)
    made.create()
    return made


def test_submissions_come_back_whole_and_oldest_first(run: RunFolder) -> None:
    late = Submission(run.new_key("merge"), "merge", [""], 4, submitted=20.0, last={"0": "COMPLETED"})
    early = Submission(
        run.new_key("extract"), "extract", ["0-1", "2,3"], 4, job="7", array=True, submitted=10.0
    )
    for one in (late, early):
        run.save(one)
    assert run.submissions() == [early, late]
    assert run.submissions("merge") == [late]
    run.forget(late)
    assert run.submissions() == [early]


def test_a_task_s_account_comes_back_whole(run: RunFolder) -> None:
    assert run.task("k", 0) is None
    state = TaskState(
        failed={"3": Failure(2, "n1", "killed", ["last", "words"])}, trying="3-5", files={"a": [1, 2]}
    )
    run.save_task("k", 0, state)
    assert run.task("k", 0) == state


def test_a_broken_record_is_named_and_not_guessed_at(run: RunFolder) -> None:
    path = run.task_path("k", 0)
    run.save_task("k", 0, TaskState())
    path.write_text(path.read_text().replace('"failed": {}', '"failed": {"3": {"times": 1}}'))
    with pytest.raises(ContractError, match=rf"{path}: failed must tell"):
        run.task("k", 0)
    path.write_text("{}")
    with pytest.raises(ContractError, match="missing key"):
        run.task("k", 0)


def test_a_second_launcher_is_refused_while_the_first_submits(run: RunFolder) -> None:
    with run.lock(), pytest.raises(FacerecError, match="another launcher"), run.lock():
        pass
    with run.lock():
        pass


def test_a_file_system_without_locks_stops_no_launcher(run: RunFolder, monkeypatch) -> None:
    """Lustre is often mounted without; the stages run there."""

    def none(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "fcntl", none)
    with run.lock():
        assert run.submissions() == []


def test_a_pool_is_alive_as_long_as_it_holds_its_lock(run: RunFolder) -> None:
    one = Submission("k", "extract", ["0"], 1, local=True)
    assert not run.alive(one)
    with run.living(one):
        assert run.alive(one)
    assert not run.alive(one)
    (run.submissions_dir / ".k.alive").touch()  # what a killed pool leaves
    assert not run.alive(one)


def test_a_shard_s_log_is_found_from_its_number(run: RunFolder) -> None:
    for job in ("4", "5"):
        one = Submission("k", "extract", ["0-1"], 2, job=job, array=True)
        log = run.log(one, 0)
        log.parent.mkdir(exist_ok=True)
        log.write_text(job)
        run.link_log([0, 1], log)
    assert run.shard_log(1).read_text() == "5"
    assert [path.name for path in sorted(run.shards_dir.iterdir())] == ["00000.log", "00001.log"]


def test_a_folder_that_slurm_would_misread_is_refused(tmp_path: Path) -> None:
    for name in ("100%j", "a\nb", "a\\b"):
        with pytest.raises(FacerecError, match="SLURM misreads"):
            RunFolder(tmp_path / name, 5).stage_dir("extract")
