"""Name the frame for which a network, or the score of a scene change, gave a number that is not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from facerec.errors import NonFiniteError

Item = TypeVar("Item")
Results = TypeVar("Results")


@contextmanager
def frame_in_errors(film: Path | None, frame: int) -> Iterator[None]:
    """Put film and frame number in front of a `NonFiniteError` that the block raises."""
    try:
        yield
    except NonFiniteError as error:
        raise NonFiniteError(f"{_prefix(film)}frame {frame}: {error}") from error


def run_model(
    model: Callable[[Sequence[Item]], Results],
    images: Sequence[Item],
    frames: Sequence[int],
    film: Path | None = None,
) -> Results:
    """Run a model on a batch; if a result is not finite, run it on each image alone to find the frame.

    Args:
        images: whole frames or crops.
        frames: frame number of each.
        film: for the message; None if the caller names it.

    Raises:
        NonFiniteError: the network returned NaN or an infinite number; the message names the frame.
    """
    return finish_model(partial(model, images), model, images, frames, film)


def finish_model(
    results: Callable[[], Results],
    model: Callable[[Sequence[Item]], object],
    items: Sequence[Item],
    frames: Sequence[int],
    film: Path | None = None,
) -> Results:
    """As `run_model`, with a function that returns the results of a batch that was started before.

    Args:
        model: runs the model on some of `items`.
        items, frames: an item for each frame of the batch, and the number of each.
    """
    try:
        return results()
    except NonFiniteError as error:
        for frame, item in zip(frames, items, strict=True):
            with frame_in_errors(film, frame):
                model([item])
        # not again: the device does not compute the same twice
        where = f"{_prefix(film)}frames {frames[0]} to {frames[-1]}"
        raise NonFiniteError(f"{where}: {error}") from error


def _prefix(film: Path | None) -> str:
    return "" if film is None else f"{film}: "
