"""The run folder: records are read back as written, and only one launcher works at a time."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from facerec.errors import ContractError, FacerecError
from slurm.records import RunFolder
from slurm.submission import Failure, Submission, TaskRecord


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path, 5)
    made.create()
    return made


def test_submissions_are_read_back_oldest_first(run: RunFolder) -> None:
    late = Submission(run.new_key("merge"), "merge", [""], 4, submitted=20.0, last={"0": "COMPLETED"})
    early = Submission(
        run.new_key("extract"), "extract", ["0-1", "2,3"], 4, job="7", array=True, submitted=10.0
    )
    for submission in (late, early):
        run.save(submission)
    assert run.submissions() == [early, late]
    assert run.submissions("merge") == [late]
    run.delete(late)
    assert run.submissions() == [early]


def test_a_task_record_is_read_back(run: RunFolder) -> None:
    assert run.task("k", 0) is None
    state = TaskRecord(
        failed={"3": Failure(2, "n1", "killed", ["last", "words"])}, trying="3-5", files={"a": [1, 2]}
    )
    run.save_task("k", 0, state)
    assert run.task("k", 0) == state


def test_a_damaged_record_is_named_in_the_error(run: RunFolder) -> None:
    path = run.task_path("k", 0)
    run.save_task("k", 0, TaskRecord())
    path.write_text(path.read_text().replace('"failed": {}', '"failed": {"3": {"times": 1}}'))
    with pytest.raises(ContractError, match=rf"{path}: failed must give"):
        run.task("k", 0)
    path.write_text("{}")
    with pytest.raises(ContractError, match="missing key"):
        run.task("k", 0)


def test_a_second_launcher_is_refused(run: RunFolder) -> None:
    with run.lock(), pytest.raises(FacerecError, match="another launcher"), run.lock():
        pass
    with run.lock():
        pass


def test_a_file_system_without_locks_stops_no_launcher(run: RunFolder, monkeypatch) -> None:
    """Lustre is often mounted without flock."""

    def none(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "fcntl", none)
    with run.lock():
        assert run.submissions() == []


def test_a_pool_runs_as_long_as_it_holds_its_lock(run: RunFolder) -> None:
    submission = Submission("k", "extract", ["0"], 1, local=True)
    assert not run.pool_runs(submission)
    with run.pool_lock(submission):
        assert run.pool_runs(submission)
    assert not run.pool_runs(submission)
    (run.submissions_dir / ".k.alive").touch()  # left by a killed pool
    assert not run.pool_runs(submission)


def test_the_log_of_a_shard_is_found_by_its_number(run: RunFolder) -> None:
    for job in ("4", "5"):
        submission = Submission("k", "extract", ["0-1"], 2, job=job, array=True)
        log = run.log(submission, 0)
        log.parent.mkdir(exist_ok=True)
        log.write_text(job)
        run.link_shard_logs([0, 1], log)
    assert run.shard_log(1).read_text() == "5"
    assert [path.name for path in sorted(run.shards_dir.iterdir())] == ["00000.log", "00001.log"]


def test_a_path_that_slurm_would_misread_is_refused(tmp_path: Path) -> None:
    for name in ("100%j", "a\nb", "a\\b"):
        with pytest.raises(FacerecError, match="SLURM misreads"):
            RunFolder(tmp_path / name, 5).stage_dir("extract")
