"""Faster R-CNN (Ren et al., 2015) with a ResNet-50 and a feature pyramid: torchvision's, with its checkpoint.

Frames are resized by the library: the shorter side to 800 pixels, the longer one to at most 1333. Each frame
is computed alone, on a CPU in a thread of its own; so its result does not depend on the batch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models.detection import FasterRCNN as TorchvisionFasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

from facerec.errors import ModelError
from facerec.features.person_boxes import make_boxes
from facerec.geometry import Image
from facerec.models.base import check_finite
from facerec.models.device import Placement, parallel_map
from facerec.models.loading import assign_state, read_state
from facerec.models.memory import oom_as_model_error
from facerec.models.weights import WeightFiles
from facerec.support.limits import cpu_threads

PERSON = 1  # class of COCO, with the background as class 0
GPU_BATCH = 4  # frames
FROZEN_EPS = 0.0  # of the normalisation layers, with which torchvision runs its checkpoint
# names of convolutions in checkpoints that are older than torchvision 0.13, as its own
_RENAMED = (
    (re.compile(r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)"), r"\1.0.\2"),
    (re.compile(r"(rpn\.head\.conv)\.(weight|bias)"), r"\1.0.0.\2"),
)


class FasterRCNN:
    """A `PersonDetector` on GPU or CPU.

    Args:
        found: the checkpoint, of any number of classes of which the first is person.
        placement: device, precision (below float32 by autocast, on a GPU) and frames for one call.
        threshold: minimum score, 0..1.

    Raises:
        ModelError: the file is not this network's weights.
    """

    def __init__(self, found: WeightFiles, placement: Placement, *, threshold: float) -> None:
        self.card = found.card
        self._device, self._type = torch.device(placement.device), getattr(torch, placement.precision)
        self._precision = placement.precision
        self._on_cpu = self._device.type == "cpu"
        self.batch_size = placement.batch_size or (cpu_threads() if self._on_cpu else GPU_BATCH)
        path = found.paths[0]
        state = read_state(path, "a Faster R-CNN", checkpoint=True)
        state = {_current_name(key): value for key, value in state.items()}
        classes = state.get("roi_heads.box_predictor.cls_score.bias")
        if classes is None:
            raise ModelError(f"{path}: weights of another network than torchvision's Faster R-CNN")
        trained_norms = any(key.endswith(".num_batches_tracked") for key in state)
        backbone = resnet_fpn_backbone(
            backbone_name="resnet50",
            weights=None,
            norm_layer=nn.BatchNorm2d if trained_norms else partial(FrozenBatchNorm2d, eps=FROZEN_EPS),
        )
        self._network = TorchvisionFasterRCNN(backbone, len(classes), box_score_thresh=threshold)
        assign_state(path, state, self._network)
        self._network.to(self._device)
        for part in (self._network.rpn.head, self._network.roi_heads.box_predictor):
            part.register_forward_hook(self._check)

    def detect(self, frames: Sequence[Image]) -> list[NDArray[np.float32]]:
        """Find the persons in each of `frames`."""
        if self._on_cpu:
            return parallel_map(self._detect, frames)
        height, width = frames[0].shape[:2] if frames else (0, 0)
        with oom_as_model_error(f"a frame of {width}x{height} pixels"):
            return list(map(self._detect, frames))

    @torch.inference_mode()
    def _detect(self, frame: Image) -> NDArray[np.float32]:
        pixels = torch.from_numpy(np.array(frame)).to(self._device).permute(2, 0, 1).float() / 255
        with torch.autocast(self._device.type, self._type, enabled=self._type != torch.float32):
            found = self._network([pixels])[0]
        persons = found["labels"] == PERSON
        boxes, scores = (found[key][persons].float().cpu().numpy() for key in ("boxes", "scores"))
        check_finite(self.card, self._precision, boxes=boxes, scores=scores)
        return make_boxes(boxes, scores, frame.shape[:2])

    def _check(self, _module: Any, _inputs: Any, outputs: Any) -> None:
        """Check scores and boxes where the network returns them: later it drops those that are NaN."""
        scores, boxes = (part if isinstance(part, list) else [part] for part in outputs)
        for values in scores:
            check_finite(self.card, self._precision, scores=values)
        for values in boxes:
            check_finite(self.card, self._precision, boxes=values)


def _current_name(key: str) -> str:
    """Return the name that a tensor of a checkpoint has in the installed torchvision."""
    for old, new in _RENAMED:
        if old.fullmatch(key):
            return old.sub(new, key)
    return key
