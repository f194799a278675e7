"""SLURM's commands: their output is parsed, and their failures become clear errors."""

from __future__ import annotations

import os
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
        f"7_0|RUNNING|n1|None|1-extract|{os.getuid()}|key\n"
        "7_1|PENDING||Dependency|1-extract|4321|key|with a bar\n"
        "8|FAILED|n2|NonZeroExitCode|1-merge|4321|\n"
        "12|RUNNING|n2|None|2-extract|4321|\n10|RUNNING|n2|None|1-else|4321|\n11|RUNNING|n2|None|it|4321|\n"
    )
    assert queue.tasks_of(1) == {
        "7_0": QueuedTask("RUNNING", "n1", "None", "key"),
        "7_1": QueuedTask("PENDING", "", "Dependency", "key|with a bar"),
        "8": QueuedTask("FAILED", "n2", "NonZeroExitCode", ""),
    }
    both = queue.snapshot([1, 2])
    assert both.tasks_of(1) == queue.tasks_of(1) and list(both.tasks_of(2)) == ["12"] and not both.tasks_of(3)
    assert (both.total, both.own) == (6, 1)
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


VARIABLES = {
    "SBATCH_PARTITION": "x", "SQUEUE_ACCOUNT": "x", "SLURM_MEM_PER_CPU": "1", "SALLOC_QOS": "x",
    "SRUN_MPI": "1", "SCONTROL_ALL": "0", "SLURM_CONF": "/etc/a.conf", "SLURM_JWT": "token", "HOME": "/h",
    "MY_SLURM_DIR": "y",
}  # fmt: skip


def test_variables_that_override_options_are_kept_from_slurms_commands(
    mock: MockSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    mock.install_script("squeue", "env")
    seen = dict(line.partition("=")[::2] for line in queue.call("squeue").splitlines())
    kept = {"SLURM_CONF", "SLURM_JWT", "HOME", "MY_SLURM_DIR"}
    assert {name for name in VARIABLES if name in seen} == kept
    with queue.cleaned_environment():  # as submitit gives it to sbatch
        assert {name for name in VARIABLES if name in os.environ} == kept
    assert all(os.environ[name] == value for name, value in VARIABLES.items())


def test_a_time_limit_is_read_in_minutes(mock: MockSlurm) -> None:
    for text, minutes in (("1-00:00:00", 1440), ("30:00", 30), ("UNLIMITED", None), ("", None)):
        (mock.folder / "limit").write_text(text)
        assert queue.time_limit("7") == minutes


def test_jobs_are_private_if_slurm_says_so(mock: MockSlurm) -> None:
    assert not queue.keeps_jobs_private()
    mock.install_script("scontrol", "echo 'PrivateData             = accounts,jobs'")
    assert queue.keeps_jobs_private()
