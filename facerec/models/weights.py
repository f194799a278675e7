"""The catalogue of published weights, and finding and verifying weights files.

Weights come with an installed package or are in the weights folder: $FACEREC_WEIGHTS, else `weights/` in
the repository or, if facerec is installed as a package, in the working directory. This module never
downloads. `facerec/fetch_models.py` (`make models`) does, and records each file in the folder's
`weights.json`; a file that differs from its record is refused.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from facerec.errors import ModelError
from facerec.models.base import ModelCard
from facerec.settings import ExtractSettings
from facerec.support.installation import default_folder, repository_root
from facerec.support.shell import option, stage_command

RECORDS = "weights.json"
IN_PACKAGES = ("mtcnn", "dlib")  # a detector and an embedder that need no download


@dataclass(frozen=True)
class Weights:
    """The published weights of one model.

    Attributes:
        files: file names, in the order in which they are hashed.
        source: URL of the download, or name of the package that carries them.
        licence: as the publisher states it.
        sha256: of the files' concatenated bytes; empty if the publisher states none.
        package: folder with the files in an installed package; empty for a download.
        hint: first hex digits of the download's SHA-256 according to its file name.
    """

    files: tuple[str, ...]
    source: str
    licence: str
    sha256: str = ""
    package: str = ""
    hint: str = ""


CATALOGUE: Mapping[str, Weights] = {
    "retinaface": Weights(
        ("retinaface_resnet50_2020-07-20.pth",),
        "https://github.com/ternaus/retinaface/releases/download/0.01/retinaface_resnet50_2020-07-20-f168fae3c.zip",
        "MIT",
        hint="f168fae3c",
    ),
    "mtcnn": Weights(
        ("pnet.pt", "rnet.pt", "onet.pt"),
        "facenet-pytorch",
        "MIT",
        package="facenet_pytorch/data",
        sha256="743721dfef3c9612636462a252c4e3d23c1fab4031274a9692fe3c587dbf1fe5",
    ),
    "yunet": Weights(
        ("face_detection_yunet_2026may.onnx",),
        "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/face_detection_yunet/"
        "face_detection_yunet_2026may.onnx",
        "MIT",
        sha256="ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0",
    ),
    "scrfd": Weights(  # the same file as det_10g.onnx of insightface, which states no SHA-256
        ("scrfd_10g_kps.onnx",),
        "https://github.com/yakhyo/uniface/releases/download/weights/scrfd_10g_kps.onnx",
        "non-commercial research only (insightface)",
        sha256="5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
    ),
    "facenet": Weights(
        ("20180402-114759-vggface2.pt",),
        "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/20180402-114759-vggface2.pt",
        "MIT",
        sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
    ),
    "dlib": Weights(
        ("dlib_face_recognition_resnet_model_v1.dat",),
        "face_recognition_models",
        "public domain (CC0-1.0)",
        package="face_recognition_models/models",
        sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    ),
    "arcface": Weights(  # the same file as in insightface's pack buffalo_l
        ("w600k_r50.onnx",),
        "https://github.com/yakhyo/uniface/releases/download/weights/w600k_r50.onnx",
        "non-commercial research only (insightface)",
        sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
    ),
    # of the extractors of features
    "resnet152": Weights(
        ("resnet152-394f9c45.pth",),
        "https://download.pytorch.org/models/resnet152-394f9c45.pth",
        "BSD-3-Clause",
        hint="394f9c45",
    ),
    "yolox": Weights(
        ("yolox_nano.onnx",),
        "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_nano.onnx",
        "Apache-2.0",
        sha256="c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
    ),
    "faster_rcnn": Weights(
        ("fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",),
        "https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        "BSD-3-Clause",
        hint="258fb6c6",
    ),
    "osnet": Weights(  # a conversion of the authors' file, which is a PyTorch checkpoint
        ("osnet_x0_25_msmt17.onnx",),
        "https://huggingface.co/anriha/osnet_x0_25_msmt17/resolve/main/osnet_x0_25_msmt17.onnx",
        "MIT",
        sha256="e78604f4ccda49b8f41cd0f8f7303800ce75d2361895ebb0729513c1bf53d277",
    ),
    "place": Weights(
        ("resnet50_places365.pth.tar",),
        "http://places2.csail.mit.edu/models_places365/resnet50_places365.pth.tar",
        "CC BY",
    ),
    "resnext101_3d": Weights(
        ("resnext101.pth",),
        "https://www.rocq.inria.fr/cluster-willow/amiech/howto100m/models/resnext101.pth",
        "MIT (of the authors' code; none is stated for the weights)",
    ),
    "slowfast_r50": Weights(
        ("SLOWFAST_8x8_R50.pyth",),
        "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/SLOWFAST_8x8_R50.pyth",
        "Apache-2.0 (of pytorchvideo; none is stated for the weights)",
    ),
    "action": Weights(
        ("SLOWFAST_8x8_R50_DETECTION.pyth",),
        "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/ava/SLOWFAST_8x8_R50_DETECTION.pyth",
        "Apache-2.0 (of pytorchvideo; none is stated for the weights)",
    ),
    "vggish": Weights(
        ("vggish-10086976.pth",),
        "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
        "Apache-2.0",
        hint="10086976",
    ),
    "clip": Weights(
        ("CLIP-ViT-B-32-laion2B-s34B-b79K.bin",),
        "https://huggingface.co/laion/CLIP-ViT-B-32-laion2B-s34B-b79K/resolve/main/open_clip_pytorch_model.bin",
        "MIT",
    ),
}


@dataclass(frozen=True)
class WeightFiles:
    """Weights files that exist, in the catalogue's order, and the identity of the model."""

    paths: tuple[Path, ...]
    card: ModelCard


def weights_folder() -> Path:
    """Return the folder of downloaded weights."""
    configured = os.environ.get("FACEREC_WEIGHTS")
    return Path(configured) if configured else default_folder() / "weights"


def fetch_command(*kinds: str) -> str:
    """Return the command line that fetches the weights of `kinds`, by default those of the default models."""
    if repository_root() is None:
        return stage_command("fetch_models", *kinds)
    return "make models" + (f" MODELS={' '.join(kinds)}" if kinds else "")


def find_weights(kind: str, file: str | None = None) -> WeightFiles:
    """Find and hash the weights of the model `kind`, without loading them.

    Args:
        kind: name of the model in the registry.
        file: the weights file (the folder of them if a model has several); None looks in their package or
            in `weights_folder()`.

    Raises:
        ModelError: they are missing, unreadable, or differ from the recorded or published hash.
    """
    known = CATALOGUE.get(kind)
    if file is not None:
        location = Path(file)
        if known is not None and len(known.files) > 1:
            paths = tuple(location / name for name in known.files)
        else:
            paths = (location,)
        missing = f"no such file, but the model was given as {kind}:{file}"
    elif known is None:
        raise ModelError(f"{kind} has no published weights; give a file, as in {kind}:FILE.onnx")
    elif known.package:
        paths = tuple(_package_folder(known) / name for name in known.files)
        missing = f"the weights of {kind} come with the package {known.source}; install it again"
    else:
        paths = tuple(weights_folder() / name for name in known.files)
        origin = f"{'unpacked from' if known.source.endswith('.zip') else 'from'} {known.source}"
        missing = (
            f"the weights of {kind} are missing; run `{fetch_command(kind)}` on a machine with internet "
            f"access, or copy {known.files[0]} to this path, {origin}"
        )
        if kind in (ExtractSettings.detector, ExtractSettings.embedder):
            models = zip(("--detector", "--embedder"), IN_PACKAGES, strict=True)
            words = " ".join(option(name, model) for name, model in models)
            missing += f"; or choose the models that need no download: {words}"
    for path in paths:
        if not path.is_file():
            raise ModelError(f"{path}: {missing}")
    try:
        sha256 = combined_sha256(paths)
        for path in paths:
            _check_record(path)
    except OSError as error:
        raise ModelError(f"{error.filename}: cannot read the weights of {kind}: {error.strerror}") from error
    if file is None and known is not None and known.sha256 and sha256 != known.sha256:
        raise ModelError(
            f"{paths[0]}: not the weights of {kind} that {known.source} publishes "
            f"(SHA-256 {sha256[:12]}…, expected {known.sha256[:12]}…); to use other weights, give "
            f"their path, as in {kind}:{paths[0] if len(paths) == 1 else paths[0].parent}"
        )
    licence = known.licence if known is not None and file is None else _recorded_licence(paths[0])
    return WeightFiles(paths, ModelCard(kind, paths[0].name, sha256, licence))


def combined_sha256(paths: tuple[Path, ...]) -> str:
    """Return the SHA-256, hex, of the concatenated files (`cat … | sha256sum`)."""
    stats = tuple(path.stat() for path in paths)
    return _sha256(tuple(map(str, paths)), tuple((stat.st_size, stat.st_mtime_ns) for stat in stats))


@lru_cache(maxsize=64)
def _sha256(paths: tuple[str, ...], _changed: tuple[tuple[int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _package_folder(weights: Weights) -> Path:
    package, _, inside = weights.package.partition("/")
    spec = importlib.util.find_spec(package)  # without importing it, which takes seconds or fails
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"the package {weights.source} is not installed; run `make env`, or install it with pip"
        )
    return Path(next(iter(spec.submodule_search_locations))) / inside


def read_records(folder: Path) -> dict[str, dict[str, Any]]:
    """Read the `weights.json` of a weights folder: by file name its source, SHA-256 and licence.

    Returns:
        The records; empty if there is no such file.

    Raises:
        ModelError: the file is damaged.
    """
    path = folder / RECORDS
    if not path.is_file():
        return {}
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelError(f"{path}: damaged ({error}); delete it and run `{fetch_command()}` again") from error
    if not isinstance(records, dict) or not all(isinstance(record, dict) for record in records.values()):
        raise ModelError(f"{path}: not a table of weights; delete it and run `{fetch_command()}` again")
    return records


def _check_record(path: Path) -> None:
    record = read_records(path.parent).get(path.name)
    if record is not None and record.get("sha256") != combined_sha256((path,)):
        raise ModelError(
            f"{path}: differs from its record in {RECORDS} (SHA-256); "
            f"delete it and run `{fetch_command()}` again"
        )


def _recorded_licence(path: Path) -> str:
    return str(read_records(path.parent).get(path.name, {}).get("licence", "not recorded"))
