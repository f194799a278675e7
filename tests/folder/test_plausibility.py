"""A broken detector is noticed by its numbers of faces, and a film with few faces is not called broken."""

from __future__ import annotations

import pytest

from facerec.folder.plausibility import implausible_counts


@pytest.mark.parametrize(
    ("frames", "faces", "saturated", "said"),
    [
        (9999, 0, 0, []), (10_000, 0, 0, ["no face was found in 10000 frames"]), (10_000, 1, 0, []),
        (0, 0, 0, []), (100, 500, 49, []), (100, 500, 50, ["maximum of candidates in 50 of 100 frames"]),
        (20_000, 0, 10_000, ["no face was found", "maximum of candidates"]),
    ],
)  # fmt: skip
def test_only_implausible_numbers_are_reported(
    frames: int, faces: int, saturated: int, said: list[str]
) -> None:
    found = implausible_counts("toy", frames, faces, saturated)
    assert len(found) == len(said)
    assert all(part in sentence and "toy" in sentence for part, sentence in zip(said, found, strict=True))
