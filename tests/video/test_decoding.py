"""Strict decoding with threads reports all damage before it gives out a frame that the damage could touch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec.video import decoding
from facerec.video.container import open_video
from facerec.video.decoding import MAX_B_FRAMES, DamagedFilm, Decoding, FrameIndex, frames_around
from facerec.video.film import open_film
from tests.films import make_film


def test_no_frame_is_given_out_whose_reference_may_prove_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bidirectionally predicted frame comes out before one of its references is known to be intact."""
    film = open_film(make_film(tmp_path / "1-a.mp4", 60, bframes=2))

    def damaged_at_40(self: Decoding, index: FrameIndex) -> Iterator[tuple[int, Any]]:
        yield from ((number, None) for number in range(40))
        raise DamagedFilm("frame 40")

    monkeypatch.setattr(Decoding, "numbered", damaged_at_40)
    given = []
    with pytest.raises(DamagedFilm):
        for number, _ in frames_around(film.path, film.index, 0, 1):
            given.append(number)
    assert given == list(range(40 - MAX_B_FRAMES))


@pytest.mark.parametrize("threads", [1, 4, 12])
def test_the_reordering_buffer_holds_a_frame_until_its_threads_have_reported(
    tmp_path: Path, threads: int
) -> None:
    """A thread may set the flag "corrupt" of a frame after the frame left a shorter buffer."""
    path = make_film(tmp_path / "1-a.mp4", 30, bframes=2)
    with open_video(path) as (_, stream):
        context = stream.codec_context
        before = context.reorder_depth
        decoding._use_threads(context, threads)
        assert context.name == "h264" and context.thread_count == threads
        assert context.reorder_depth == min(16, before + threads) > before


def test_an_index_finds_frames_by_their_times() -> None:
    index = FrameIndex(np.array([10, 20, 40]), decoding.Fraction(1, 25))
    assert [index.number(pts) for pts in (10, 40, 30, 50, None)] == [0, 2, None, None, None]
