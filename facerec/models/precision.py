"""Record whether float16 on a GPU gives the results of float32.

The record is `precision.json` in the weights folder: for the SHA-256 of a model's weights and each reduced
precision what `measure_precision.py` found. `--precision auto` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from facerec.errors import ModelError
from facerec.geometry import iou
from facerec.models.base import Detections, ModelCard
from facerec.models.weights import weights_folder
from facerec.support.atomic import write_bytes
from facerec.support.shell import stage_command

FILE = "precision.json"
OVERLAP = 0.8  # intersection over union from which two boxes are the same
LEAST_BOXES = 0.98  # share of the boxes of float32 that reduced precision must have, and the reverse
LEAST_COSINE = 0.99  # of the vectors of one face in both precisions

Records = dict[str, dict[str, dict[str, Any]]]  # by SHA-256, then by precision


def record_path() -> Path:
    """Return the path of the record."""
    return weights_folder() / FILE


def read_records() -> Records:
    """Read the record; empty if nothing was measured.

    Raises:
        ModelError: the file is damaged.
    """
    path = record_path()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise ModelError(f"{path}: damaged or unreadable ({error}); delete it and measure again") from error
    if not _is_table(found, lambda one: _is_table(one, lambda values: isinstance(values, dict))):
        raise ModelError(f"{path}: not a record of precisions; delete it and measure again")
    return cast("Records", found)


def _is_table(value: object, valid: Callable[[object], bool]) -> bool:
    """Whether a value is a dictionary of valid values."""
    return isinstance(value, dict) and all(map(valid, value.values()))


def add_record(measured: Mapping[str, Mapping[str, Any]], precision: str) -> None:
    """Add what was measured in `precision`, by the SHA-256 of the weights, to the record.

    Raises:
        ModelError: the record is damaged.
        OSError: the weights folder cannot be written.
    """
    records = read_records()
    for sha256, values in measured.items():
        records.setdefault(sha256, {})[precision] = dict(values)
    record_path().parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(records, indent=1, sort_keys=True) + "\n"
    write_bytes(record_path(), text.encode())


def is_measured(*cards: ModelCard, precision: str = "float16") -> bool:
    """Return whether a GPU has shown that `precision` gives the results of float32, for all of `cards`."""
    records = read_records()
    return all(records.get(card.sha256, {}).get(precision, {}).get("holds") is True for card in cards)


def unmeasured_note(*cards: ModelCard) -> str:
    """Return why `auto` is float32 on a GPU, and the command that decides."""
    names = " and ".join(card.kind for card in cards)
    if any("float16" in read_records().get(card.sha256, {}) for card in cards):
        return f"float16 does not give the results of float32 with {names} ({record_path()}): using float32"
    return (
        f"using float32, because it was not measured whether float16 gives the same results with {names}; "
        f"`{stage_command('measure_precision', 'FILM')}` on a node with a GPU measures it"
    )


def compare_boxes(exact: Sequence[Detections], reduced: Sequence[Detections]) -> tuple[float, int]:
    """Compare the detections of the same frames in float32 and in reduced precision.

    Returns:
        The share of boxes of either that have one of the other at `OVERLAP`, the smaller of the two; and the
        number of boxes in float32. The share is 1 where there are none.
    """
    shares = [_kept(exact, reduced), _kept(reduced, exact)]
    return min(shares), sum(map(len, exact))


def _kept(some: Sequence[Detections], others: Sequence[Detections]) -> float:
    """Return the share of boxes of `some` that have one of `others` at `OVERLAP`; 1 if there are none."""
    kept = [
        iou(one.boxes[:, None], other.boxes[None]).max(axis=1, initial=0) >= OVERLAP
        for one, other in zip(some, others, strict=True)
        if len(one)
    ]
    return float(np.concatenate(kept).mean()) if kept else 1.0


def least_cosine(exact: NDArray[np.float32], reduced: NDArray[np.float32]) -> float:
    """Return the smallest cosine of the unit vectors (n, d) of the same crops; 1 if there are none."""
    return float((exact * reduced).sum(axis=1).min(initial=1.0))
