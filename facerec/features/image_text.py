"""`clip`: frames and texts as vectors of one space, by an image-text network of open_clip (CLIP, SigLIP, …).

The weights are a file of the user's: `clip:FILE`. A `FILE.toml` beside it names the network:

    architecture = "ViT-B-32"               # of open_clip's list; required
    published_as = "laion2b_s34b_b79k"      # open_clip's tag of the weights, which states their preprocessing
    mean = [0.481, 0.458, 0.408]            # or state it: of pixel values 0 to 1, red, green, blue
    std = [0.269, 0.261, 0.276]
    resize = "shortest"                     # the shorter side, then crop the centre; or "squash"
    interpolation = "bicubic"               # or "bilinear"

Without `published_as`, the preprocessing is the one that open_clip states for all published weights of the
architecture, else that of the first CLIP. Nothing is ever downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow

from facerec.features.base import FEATURES, Arrays, Clip, Options, Window, windows_at_rate
from facerec.features.open_clip_network import (
    choose_preprocessing,
    load_network,
    load_tokenizer,
    read_description,
)
from facerec.features.packed_transformer import pack_vision_transformer
from facerec.features.pictures import check_elongation, extract_pictures
from facerec.features.window_network import WindowNetwork
from facerec.geometry import Image
from facerec.models.base import check_finite
from facerec.models.device import Placement
from facerec.models.weights import WeightFiles

GPU_BATCH = 64  # frames
CPU_BATCH, PACKED_BATCH = 3, 8  # more frames would change the last bits of networks that are not packed


class ImageTextEmbedder:
    """One frame a second, (n, d), not normalised; a `WindowExtractor`. `embed_texts` gives vectors of texts.

    A clip of less than half a second gives its middle frame. The cosine of the angle between a frame's vector
    and a text's says how well they match.

    Args:
        files: the network's weights.
        placement: device, precision and frames in a batch (default: 64 on a GPU, 8 in each CPU
            thread, 3 for networks other than vision transformers).
        options: none.

    Raises:
        ModelError: the file or its FILE.toml cannot be used.
    """

    name = "clip"
    arrays: tuple[str, ...] = (FEATURES,)
    rate: ClassVar[int] = 1

    def __init__(self, files: Sequence[WeightFiles], placement: Placement, options: Options) -> None:
        self.cards = tuple(file.card for file in files)
        path = files[0].paths[0]
        stated = read_description(path)
        self._architecture: str = stated["architecture"]
        self._model = load_network(path, self._architecture)
        preprocessing = choose_preprocessing(stated, self._model)
        self._resize = preprocessing.transform()
        mean, std = ([255 * value for value in values] for values in (preprocessing.mean, preprocessing.std))
        self._model.to(placement.device, getattr(torch, placement.precision))
        packed = placement.device == "cpu" and pack_vision_transformer(self._model)
        cpu_batch = PACKED_BATCH if packed else CPU_BATCH
        self._network = WindowNetwork(self._model, self.cards[0], placement, GPU_BATCH, mean, std, cpu_batch)
        self.batch_size = self._network.batch_size
        self._device, self._precision = placement.device, placement.precision
        self._tokenizer: Any = None
        self.settings: Mapping[str, Any] = {
            "rate": self.rate,
            "architecture": self._architecture,
            **preprocessing.settings(),
            "precision": placement.precision,
        }

    def windows(self, clip: Clip) -> Iterator[Window]:
        """Yield one frame for each second."""
        return windows_at_rate(clip, self.rate)

    def prepare(self, picture: Image) -> NDArray[np.uint8]:
        """Resize and crop a frame."""
        check_elongation(picture)
        prepared: NDArray[np.uint8] = np.asarray(self._resize(Pillow.fromarray(picture)))
        return prepared

    def forward(self, windows: Sequence[Sequence[NDArray[np.uint8]]]) -> list[Arrays]:
        """Compute the vectors of windows of one prepared frame each: rows (d,) float32."""
        return self._network.apply(windows, self.arrays, self._embed)

    def extract(self, *pictures: Image) -> NDArray[np.float32]:
        """Compute the vectors of pictures (height, width, 3) RGB uint8: (n, d) float32, not normalised."""
        return extract_pictures(self, pictures)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Compute the vectors of texts: (n, d) float32, not normalised.

        Raises:
            ModelError: the vocabulary of the architecture does not come with open_clip.
        """
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self._architecture)
        tokens = self._tokenizer(list(texts)).to(self._device)
        output = self._model.encode_text(tokens).float()
        check_finite(self.cards[0], self._precision, features=output)
        vectors: NDArray[np.float32] = output.cpu().numpy()
        return vectors

    def _embed(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        return [self._model.encode_image(pictures[:, :, 0])]
