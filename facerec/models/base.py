"""The interfaces of all models, `Detector` and `Embedder`, and helpers that they share.

The result for a frame or crop must not depend on the others in its batch: the shards of a film have other
batches than the whole film, and must give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from facerec.errors import NonFiniteError
from facerec.geometry import Image
from facerec.pixels import Channels, FrameBatch

if TYPE_CHECKING:
    import torch

Item = TypeVar("Item")

# Of `same_person`. The strictest share, with a small margin, that rejects no more pairs of one person than 1
# does, of those in bench/pairs.py, for dlib's network and MobileFaceNet.
VERIFICATION_SHARE = 0.93


@dataclass(frozen=True)
class Detections:
    """The faces of one frame, best score first.

    Attributes:
        boxes: (n, 4) float32, x1, y1, x2, y2 in pixels of the frame, clipped to it.
        scores: (n,) float32 in 0..1.
        keypoints: (n, 5, 2) float32, x, y in pixels, in the order of `KEYPOINTS`; they may lie outside.
        saturated: the network took so many places of the frame for faces that its scores cannot mean
            anything: as many as the detector considers at most or, where it has no such limit, half of all.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    saturated: bool = False

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class ModelCard:
    """Identity of a model, as recorded in movie folders and actor databases.

    Attributes:
        kind: name in the registry (`retinaface`, `dlib`, …).
        weights: file name of the weights.
        sha256: hash of the weights (and the preprocessing where it can vary), hex.
        licence: of the weights, as its publisher states it.
    """

    kind: str
    weights: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class FaceSearch:
    """Which faces a detector finds. Sizes are pixels of the frame.

    Attributes:
        min_face_size: size of the faces to search for; decides the scale of the frames.
        min_box_size: boxes with a longer side below this are dropped.
        face_threshold: minimum score, 0..1.
        tiles: whether overlapping tiles of large frames are searched as well, by detectors that can.
    """

    min_face_size: float
    min_box_size: float
    face_threshold: float
    tiles: bool = False


def identity_of(card: ModelCard | Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the results of a model: its kind and the hash of its weights and preprocessing.

    The file name and the licence may differ between copies of the same weights.

    Args:
        card: a model card, or one as recorded in JSON.
    """
    recorded = asdict(card) if isinstance(card, ModelCard) else card
    return {key: recorded.get(key) for key in ("kind", "sha256")}


def check_finite(
    card: ModelCard, precision: str, **outputs: NDArray[np.floating[Any]] | torch.Tensor
) -> None:
    """Check what a network returned, before anything is computed from it.

    NaN fails every comparison, so a threshold would drop it silently, and sorts before the best score.

    Args:
        card, precision: of the model, for the message.
        outputs: arrays by what they are (`scores`, `boxes`, `keypoints`, `embeddings`).

    Raises:
        NonFiniteError: a value is NaN or infinite.
    """
    for name, values in outputs.items():
        if not (np.isfinite(values) if isinstance(values, np.ndarray) else values.isfinite()).all():
            raise not_finite(card, precision, name)


def not_finite(card: ModelCard, precision: str, name: str) -> NonFiniteError:
    """Return the error for outputs `name` of a model that are not finite."""
    advice = (
        f"the weights {card.weights} are probably damaged or another model's"
        if precision == "float32"
        else "use --precision float32"
    )
    return NonFiniteError(
        f"{card.kind}, computed in {precision}, returned {name} that are NaN or infinite; {advice}"
    )


def make_detections(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    keypoints: NDArray[np.float32],
    size: tuple[int, int],
    min_box_size: float,
    saturated: bool = False,
) -> Detections:
    """Build `Detections` from a network's output: clip boxes, drop small and empty ones, sort by score.

    Args:
        boxes, scores, keypoints: as in `Detections`, in any order; boxes may exceed the frame or be inverted.
        size: height and width of the frame.
        min_box_size: minimum of the longer side of a box before clipping, in pixels.
        saturated: as in `Detections`.
    """
    height, width = size
    large = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) >= min_box_size
    boxes = np.clip(boxes, 0, np.array([width, height] * 2, np.float32))
    kept = np.flatnonzero(large & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    return Detections(boxes[kept], scores[kept], keypoints[kept], saturated)


def split_into_batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Split `items` into batches of `size`; the last may be shorter."""
    return [items[begin : begin + size] for begin in range(0, len(items), size)]


def pad_batch(crops: Sequence[Image], size: int) -> NDArray[np.uint8]:
    """Stack at most `size` crops and pad with black ones to (size, height, width, 3)."""
    batch = np.stack(crops)
    if len(batch) == size:
        return batch
    return np.pad(batch, ((0, size - len(batch)), (0, 0), (0, 0), (0, 0)))


def normalize_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale the rows of `vectors` (n, d) to Euclidean length 1."""
    lengths = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    units: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-12))
    return units


class Detector(Protocol):
    """Finds faces in frames.

    Attributes:
        card: identity of the model.
        batch_size: best number of frames for one call of `detect`.
    """

    card: ModelCard
    batch_size: int

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        """Find the faces in each of `frames` (height, width, 3) RGB uint8, all of one size.

        Raises:
            NonFiniteError: the network returned NaN or an infinite number for one of the frames.
        """
        ...


@runtime_checkable
class ChannelsDetector(Detector, Protocol):
    """A detector on the CPU that also accepts frames with their channels apart.

    Attributes:
        takes_channels: whether that saves time; with some settings it needs the channels together.
    """

    takes_channels: bool

    def detect(self, frames: Sequence[Image | Channels]) -> list[Detections]:
        """As `Detector.detect`; both forms of a frame give the same detections."""
        ...


@runtime_checkable
class BatchDetector(Detector, Protocol):
    """A detector on a device, to which frames are sent in the host's reusable buffers.

    The host writes frames straight into arrays that this detector allocates, in planes where it can: half
    the bytes of RGB, and no conversion on the host. A buffer is used again once its results were taken.

    Attributes:
        in_flight: number of batches to submit before the results of the first are taken, for full speed; 0
            if the model runs on the CPU, where the host's buffers are not used.
    """

    in_flight: int

    def allocate(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return a new uint8 array in memory that the device can copy from by itself (page-locked)."""
        ...

    def submit_batch(self, batch: FrameBatch) -> Callable[[], list[Detections]]:
        """Start to find the faces in a batch of at most `batch_size` frames, in an array of `allocate`.

        Batches in planes and in RGB may follow each other. The detections in a frame depend neither on the
        form nor on the other frames.

        Returns:
            A function that waits for the detections in each frame, called once and in the order of the
            batches; it raises what `detect` raises.
        """
        ...


@runtime_checkable
class ReducingDetector(BatchDetector, Protocol):
    """A `BatchDetector` that also makes miniatures, from the planes that it gets anyway.

    If a batch has a `reduction`, `submit_batch` fills its `miniatures` before the detections are returned.
    """

    def reduce(self, batch: FrameBatch) -> None:
        """Fill `miniatures` of a batch with a `reduction`, and wait for it; no faces are searched for.

        Any thread may call it, with an array of its own.
        """
        ...


class Embedder(Protocol):
    """Maps faces to unit vectors (embeddings); those of one person are close to each other.

    Attributes:
        card: identity of the model.
        dimension: number of components of an embedding.
        same_person: Euclidean distance of two *faces* at which one person is as likely as two, by the model's
            own calibration; the scale of all thresholds of clustering and naming. As a rule for a single
            pair it is lenient, as most pairs of faces are of two people.
        verification_threshold: distance below which a single pair of good faces is taken for one person, see
            `VERIFICATION_SHARE`.
    """

    card: ModelCard
    dimension: int
    same_person: float
    verification_threshold: float

    def crop(self, frame: Image, box: NDArray[np.float32], keypoints: NDArray[np.float32]) -> Image:
        """Cut out the face with `box` (4,) and `keypoints` (5, 2) in the form that `embed` takes."""
        ...

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """Embed crops; return (n, dimension) float32 rows of Euclidean length 1.

        Raises:
            NonFiniteError: the network returned NaN or an infinite number for one of the crops.
        """
        ...
