"""The transitions of a film by the method that was chosen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec.settings import RULE, TRANSNET, ShotSettings
from facerec.support.cli import progress
from facerec.video.miniature import Miniatures, to_rgb
from facerec.video.network_shots import agreed_transitions, network_transitions
from facerec.video.shots import Transition, find_transitions


def choose_transitions(
    frames: NDArray[np.int64], miniatures: Miniatures, settings: ShotSettings
) -> list[Transition]:
    """Find the transitions of a film, see `video.shots.find_transitions`.

    Raises:
        ModelError: the network is asked for and not installed.
    """
    if settings.shots == RULE or not len(frames):
        return find_transitions(frames, miniatures, settings)
    from facerec.models.transnet import TransNet  # it takes seconds to import torch

    network = TransNet()
    with progress("shots", len(frames)) as advance:
        probabilities = network.probabilities(
            lambda begin, end: to_rgb(miniatures[begin:end]), len(frames), advance
        )
    if settings.shots == TRANSNET:
        return network_transitions(frames, miniatures, probabilities)
    return agreed_transitions(frames, miniatures, probabilities, settings)
