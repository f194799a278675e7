"""SLURM's commands: their output is parsed, and their failures become clear errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm import queue
from slurm.queue import QueuedTask, SlurmError
from tests.slurm_fakes import MockSlurm


@pytest.fixture
def mock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MockSlurm:
    return MockSlurm(tmp_path, monkeypatch)


def test_tasks_are_listed_by_the_id_of_squeue(mock: MockSlurm) -> None:
    mock.queue.write_text(
        "7_0|RUNNING|n1|None|key\n7_1|PENDING||Dependency|key|with a bar\n8|FAILED|n2|NonZeroExitCode|\n"
    )
    assert queue.tasks_of(1) == {
        "7_0": QueuedTask("RUNNING", "n1", "None", "key"),
        "7_1": QueuedTask("PENDING", "", "Dependency", "key|with a bar"),
        "8": QueuedTask("FAILED", "n2", "NonZeroExitCode", ""),
    }
    assert queue.job_state("8") == "FAILED" and queue.job_state("9") == ""


def test_slurm_is_unavailable_if_missing_or_not_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mock: MockSlurm
) -> None:
    assert queue.available() and queue.max_array_size() == 1001
    mock.install_script(
        "scontrol", "echo 'scontrol: fatal: Could not establish a configuration source' >&2; exit 1"
    )
    assert not queue.available()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not queue.available()
    with pytest.raises(SlurmError, match="squeue: command not found on this machine"):
        queue.tasks_of(1)


def test_a_slurm_that_does_not_answer_is_an_error(mock: MockSlurm, monkeypatch: pytest.MonkeyPatch) -> None:
    mock.install_script("scontrol", "echo 'scontrol: error: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(SlurmError, match=r"^scontrol: Unable to contact slurm controller$"):
        queue.available()
    mock.install_script("scontrol", "exec sleep 30")
    monkeypatch.setattr(queue, "_TIMEOUT_S", 0.2)
    with pytest.raises(SlurmError, match="did not answer within"):
        queue.available()
    mock.install_script("scontrol", "exit 4")
    with pytest.raises(SlurmError, match="exit status 4"):
        queue.requeue("5")


def test_a_missing_array_limit_is_an_error(mock: MockSlurm) -> None:
    mock.install_script("scontrol", "echo nothing")
    with pytest.raises(SlurmError, match="MaxArraySize is missing"):
        queue.max_array_size()


def test_the_last_lines_of_a_log_leave_out_blank_ones(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 9000 + b"\n1\n\n 2\rbar\n\xff3\n\n")
    assert queue.last_lines(log, 3) == [" 2", "bar", "\ufffd3"]
    assert queue.last_lines(tmp_path / "none") == []
