"""The log of one run of one worker: `log_<host>_<pid>_<timestamp>.json`, with the items that it finished."""

from __future__ import annotations

import json
import os
import re
import time
from datetime import datetime
from pathlib import Path

from facerec.support.atomic import host, write_bytes

WRITE_SECONDS = 5.0  # between two versions of the log


class RunLog:
    """The log of this process in `folder`; written at once, as items finish, and by `close`."""

    def __init__(self, folder: Path) -> None:
        now = time.time()
        name, pid, timestamp = host(), os.getpid(), int(now)
        host_in_name = re.sub(r"[^\w.-]", "_", name)
        self.path = folder / f"log_{host_in_name}_{pid}_{timestamp}.json"
        self._facts = {
            "hostname": name,
            "pid": pid,
            "timestamp": timestamp,
            "time": str(datetime.fromtimestamp(now)),
        }
        self._shards: list[str] = []
        self._write()

    def add(self, shard: str) -> None:
        """Record that this run finished a tar shard, a part of a movie or an item of a list."""
        self._shards.append(shard)
        if time.monotonic() - self._written >= WRITE_SECONDS:
            self._write()

    def close(self) -> None:
        """Write the log for the last time."""
        self._write()

    def _write(self) -> None:
        write_bytes(self.path, (json.dumps({**self._facts, "shards": self._shards}) + "\n").encode())
        self._written = time.monotonic()
