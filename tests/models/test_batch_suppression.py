"""`suppress_batch` keeps what torchvision's `nms` keeps of each frame, or says that it may not."""

from __future__ import annotations

from unittest import mock

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import nms

from facerec.models import batch_suppression
from facerec.models.batch_suppression import suppress_batch


def made_boxes(frames: int, count: int, spread: float, seed: int) -> torch.Tensor:
    made = torch.Generator().manual_seed(seed)
    centres = torch.rand(frames, count, 2, generator=made) * spread
    sizes = torch.rand(frames, count, 2, generator=made) * 0.1 + 0.01
    return torch.cat([centres - sizes / 2, centres + sizes / 2], dim=2)


def kept_by_torchvision(boxes: torch.Tensor, count: int) -> list[int]:
    scores = torch.linspace(1, 0.5, len(boxes))
    return sorted(nms(boxes[:count], scores[:count], 0.4).tolist())


@settings(max_examples=40)
@given(st.integers(0, 99), st.sampled_from([1, 7, 60]), st.sampled_from([0.02, 0.1, 0.5]), st.data())
def test_every_frame_keeps_what_torchvision_keeps(seed, count, spread, data) -> None:
    boxes = made_boxes(3, count, spread, seed)
    counts = data.draw(st.lists(st.integers(0, count), min_size=3, max_size=3))
    valid = torch.arange(count) < torch.tensor(counts)[:, None]
    kept, exact = suppress_batch(boxes, valid, 0.4)
    for frame in range(3):
        if exact[frame]:
            assert kept[frame].nonzero()[:, 0].tolist() == kept_by_torchvision(boxes[frame], counts[frame])
    assert exact.all()  # these chains are shorter than ROUNDS


def test_equal_boxes_and_boxes_without_area() -> None:
    boxes = torch.tensor([[[0.0, 0, 1, 1]] * 3 + [[2, 2, 2, 2]] * 2])
    kept, exact = suppress_batch(boxes, torch.ones(1, 5, dtype=torch.bool), 0.4)
    assert kept[0].nonzero()[:, 0].tolist() == kept_by_torchvision(boxes[0], 5) and exact.all()


def test_a_chain_longer_than_the_rounds_is_not_claimed_to_be_exact() -> None:
    """Each box overlaps the next one only: the first, third, … remain, which takes a round for each."""
    begin = torch.arange(12) * 0.5
    chain = torch.stack([begin, begin * 0, begin + 1, begin * 0 + 1], dim=1)[None]
    valid = torch.ones(1, 12, dtype=torch.bool)
    kept, exact = suppress_batch(chain, valid, 0.3)
    assert kept[0].nonzero()[:, 0].tolist() == [0, 2, 4, 6, 8, 10] and exact.all()
    with mock.patch.object(batch_suppression, "ROUNDS", 5):
        assert not suppress_batch(chain, valid, 0.3)[1].any()


def test_a_frame_does_not_depend_on_the_others_of_its_batch() -> None:
    """`batched_nms` of torchvision shifts the boxes by the largest of the batch."""
    boxes = made_boxes(2, 50, 0.1, 3)
    valid = torch.ones(2, 50, dtype=torch.bool)
    together = suppress_batch(boxes, valid, 0.4)[0]
    for frame in range(2):
        alone = suppress_batch(boxes[frame : frame + 1], valid[:1], 0.4)[0]
        assert torch.equal(alone[0], together[frame])
