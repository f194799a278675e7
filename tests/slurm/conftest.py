"""Fixtures of the launcher's tests."""

from __future__ import annotations

import pytest

from slurm import queue


@pytest.fixture(autouse=True)
def forget_slurms_configuration() -> None:
    """Forget the configuration of the SLURM of an earlier test, which a process asks for only once."""
    queue.show_config.cache_clear()
