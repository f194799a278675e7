"""Claims: one owner an item, also after deaths, without locks, and between machines."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path
from unittest import mock

import pytest

from facerec.feature_runs import claims as module
from facerec.feature_runs.claims import Claims, claim_name, slurm_job
from tests.processes import wait_until

_SPAWN = multiprocessing.get_context("spawn")


def _hold_until_killed(folder: Path, item: str) -> None:
    with Claims(folder) as claims, claims.hold(item) as claim:
        (folder / "holds").write_text(str(claim is not None))
        time.sleep(60)


def _dead_owner(folder: Path, item: str) -> int:
    """Leave the claim of a killed process behind; return its pid."""
    process = _SPAWN.Process(target=_hold_until_killed, args=(folder, item))
    process.start()
    wait_until((folder / "holds").exists)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert (folder / f"{item}.claim").exists()
    return process.pid


def _is_free(folder: Path, item: str) -> bool:
    with Claims(folder) as claims, claims.hold(item) as claim:
        return claim is not None


def _rewrite(path: Path, age: float = 0.0, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    past = time.time() - age
    os.utime(path, (past, past))


def test_an_item_has_one_owner_and_is_free_afterwards(tmp_path: Path) -> None:
    with Claims(tmp_path) as one, Claims(tmp_path) as two:
        with one.hold("a") as claim, two.hold("a") as other, two.hold("b") as free:
            assert claim and free and other is None
            assert claim.is_held()

        assert not list(tmp_path.glob("*.claim"))
        with two.hold("a") as claim:
            assert claim


def test_a_claim_says_who_owns_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "17")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setenv("SLURMD_NODENAME", "node9")
    with Claims(tmp_path) as claims, claims.hold("films/a b.mp4"):
        owner = json.loads((tmp_path / f"{claim_name('films/a b.mp4')}.claim").read_text())
    assert owner["item"] == "films/a b.mp4"
    assert (owner["host"], owner["job"], owner["pid"]) == ("node9", "17_3", os.getpid())
    assert time.strptime(owner["heartbeat"], "%Y-%m-%dT%H:%M:%SZ")


def test_slurm_job_without_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    assert slurm_job() is None
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    assert slurm_job() == "5"


def test_names_of_claims_are_plain_file_names() -> None:
    names = {claim_name(item) for item in ("unit_00003", "../a", "a/b", "", ".", "ä.mp4", "x" * 300)}
    assert len(names) == 7 and "unit_00003" in names
    assert all("/" not in name and not name.startswith(".") and 0 < len(name) < 210 for name in names)


def test_the_claim_of_a_killed_process_is_free_at_once_whatever_its_pid_does(tmp_path: Path) -> None:
    _dead_owner(tmp_path, "a")
    _rewrite(tmp_path / "a.claim", pid=os.getpid())  # the number was given to a living process
    assert _is_free(tmp_path, "a")


def test_a_killed_process_of_another_machine_loses_its_claim_after_a_minute(tmp_path: Path) -> None:
    _dead_owner(tmp_path, "a")
    _rewrite(tmp_path / "a.claim", age=module.STALE_SECONDS - 20, machine="another")
    assert not _is_free(tmp_path, "a")
    _rewrite(tmp_path / "a.claim", age=module.STALE_SECONDS + 1)
    assert _is_free(tmp_path, "a")


def test_an_old_heartbeat_does_not_free_a_locked_claim(tmp_path: Path) -> None:
    with Claims(tmp_path) as claims, claims.hold("a"):
        _rewrite(tmp_path / "a.claim", age=1000)
        assert not _is_free(tmp_path, "a")


def test_without_locks_the_heartbeat_decides(tmp_path: Path) -> None:
    with (
        mock.patch.object(module, "locks_work", return_value=False),
        mock.patch.object(module, "try_lock", return_value=True),
        mock.patch.object(module, "SETTLE_SECONDS", 0.0),
        Claims(tmp_path) as claims,
        claims.hold("a") as claim,
    ):
        assert claim and not _is_free(tmp_path, "a")
        os.utime(claim.path, (1, 1))
        with Claims(tmp_path) as later, later.hold("a") as taken:
            assert taken and taken.is_held()
            assert not claim.is_held(), "the first owner must learn that it lost the item"
            claim.release()
            assert taken.is_held(), "the first owner removed the claim of the second"


def test_of_two_takeovers_without_locks_one_keeps_the_claim(tmp_path: Path) -> None:
    _dead_owner(tmp_path, "a")
    os.utime(tmp_path / "a.claim", (1, 1))
    found = []

    def interfere(_seconds: float) -> None:  # another worker, which had read the old claim, takes over last
        _rewrite(tmp_path / "a.claim", token="of the other")

    with (
        mock.patch.object(module, "locks_work", return_value=False),
        mock.patch.object(module, "try_lock", return_value=True),
        mock.patch.object(module.time, "sleep", interfere),
        Claims(tmp_path) as claims,
        claims.hold("a") as claim,
    ):
        found.append(claim)
    assert found == [None]
    assert json.loads((tmp_path / "a.claim").read_text())["token"] == "of the other"


def test_a_claim_that_vanishes_while_it_is_taken_is_made_anew(tmp_path: Path) -> None:
    _dead_owner(tmp_path, "a")
    locks = module.try_lock

    def lock_late(handle: int, *, shared: bool = False) -> bool:  # the other owner releases in between
        if not shared and os.fstat(handle).st_size > 0:
            (tmp_path / "a.claim").unlink(missing_ok=True)
        return locks(handle, shared=shared)

    with (
        Claims(tmp_path) as claims,
        mock.patch.object(module, "try_lock", lock_late),
        claims.hold("a") as claim,
    ):
        assert claim and claim.is_held()


def test_the_heartbeat_goes_on(tmp_path: Path) -> None:
    with (
        mock.patch.object(module, "HEARTBEAT_SECONDS", 0.01),
        Claims(tmp_path) as claims,
        claims.hold("a") as claim,
    ):
        assert claim
        os.utime(claim.path, (1, 1))
        wait_until(lambda: claim.path.stat().st_mtime > 1)
        assert json.loads(claim.path.read_text())["item"] == "a"


def test_when_it_is_doubtful_whether_an_owner_lives(tmp_path: Path) -> None:
    with Claims(tmp_path) as claims, Claims(tmp_path) as other, other.hold("alive"):
        assert claims.doubtful_heartbeat("none") is None
        assert claims.doubtful_heartbeat("alive") is None
        _dead_owner(tmp_path, "a")
        assert claims.doubtful_heartbeat("a") is None, "it can be taken at once"
        _rewrite(tmp_path / "a.claim", age=30, machine="another")
        beat = claims.doubtful_heartbeat("a")
        assert beat == (tmp_path / "a.claim").stat().st_mtime
        _rewrite(tmp_path / "a.claim", age=module.STALE_SECONDS + 1)
        assert claims.doubtful_heartbeat("a") is None, "it can be taken now"


def test_claims_of_dead_workers_do_not_pile_up(tmp_path: Path) -> None:
    _dead_owner(tmp_path, "a")
    shutil.copy(tmp_path / "a.claim", tmp_path / "b.claim")
    _rewrite(tmp_path / "b.claim", machine="another")
    with Claims(tmp_path) as one, one.hold("c"), Claims(tmp_path):
        assert {path.name for path in tmp_path.glob("*.claim")} == {"b.claim", "c.claim"}


def test_only_the_first_of_the_workers_prepares(tmp_path: Path) -> None:
    calls: list[str] = []
    with Claims(tmp_path, lambda: calls.append("one")), Claims(tmp_path, lambda: calls.append("two")):
        pass
    with Claims(tmp_path, lambda: calls.append("three")):
        pass
    assert calls == ["one", "three"]


def _take_all(folder: Path, log: Path) -> None:
    with Claims(folder) as claims:
        for k in range(50):
            with claims.hold(f"item_{k}") as claim:
                if claim is None or (folder / f"done_{k}").exists():
                    continue
                with log.open("a") as file:
                    file.write(f"{k}\n")
                (folder / f"done_{k}").touch()


def test_processes_that_race_do_each_item_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    workers = [_SPAWN.Process(target=_take_all, args=(tmp_path / "claims", log)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(map(int, log.read_text().split())) == list(range(50))
