"""Memory does not grow with the film or the shot."""

from __future__ import annotations

import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from facerec.feature_runs.engine import FeatureEngine
from facerec.feature_runs.sources import ClipRequest
from tests.conftest import ROOT
from tests.feature_runs.movies import make_movie
from tests.feature_runs.toys import Numbers, ToyFootage, register

PROGRAM = """
import resource, sys
from pathlib import Path
import pytest
from tests.feature_runs import toys
from tests.feature_runs.movies import run
toys.register(pytest.MonkeyPatch())
assert run(Path(sys.argv[1]), Path(sys.argv[2]))["failed"] == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


class Counting(Numbers):
    """Counts how many prepared frames are alive at once."""

    def __init__(self) -> None:
        super().__init__(batch_size=4, step=1, width=9)
        self.alive: weakref.WeakSet = weakref.WeakSet()
        self.most = 0

    def prepare(self, picture):
        class Kept(list):  # an array cannot be in a WeakSet
            __hash__ = object.__hash__

        kept = Kept(super().prepare(picture))
        self.alive.add(kept)
        self.most = max(self.most, len(self.alive))
        return kept

    def forward(self, windows):
        self.batches.append(len(windows))
        return [{"features": [float(frame[0]) for frame in window]} for window in windows]


def test_prepared_frames_are_dropped_when_no_window_needs_them(monkeypatch):
    register(monkeypatch)
    most = []
    for frames in (100, 1000):
        counting = Counting()
        engine = FeatureEngine({"numbers": counting})
        clips = [ClipRequest("shot", 0, frames // 2), ClipRequest("film", 0, frames)]
        engine.compute(ToyFootage(frames), clips, ["numbers"], lambda *_: None, lambda _: None)
        engine.flush()
        most.append(counting.most)
    assert most[1] <= 60 and most[1] <= most[0] + 20


@pytest.mark.timeout(180)
def test_film_of_ten_times_the_length_takes_no_more_memory(tmp_path):
    peaks = []
    for frames in (300, 3000):
        place = tmp_path / str(frames)
        place.mkdir()
        folder, film = make_movie(place, cuts=(100,), frames=frames)
        peaks.append(peak(folder, film))
    assert peaks[1] <= 1.05 * peaks[0]


def peak(folder: Path, film: Path) -> int:
    """The most KiB in memory of a process that computes the toy features."""
    words = [sys.executable, "-c", PROGRAM, str(folder), str(film)]
    return int(subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
