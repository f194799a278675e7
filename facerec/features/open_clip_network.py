"""Networks of open_clip: their weights file, the FILE.toml beside it, preprocessing and vocabulary.

See `image_text` for FILE.toml. Nothing is ever downloaded.
"""

from __future__ import annotations

import logging
import os
import tomllib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import init
from torch.overrides import TorchFunctionMode

from facerec.errors import ModelError
from facerec.models.loading import all_finite
from facerec.models.weights import CATALOGUE

DEFAULT = {"architecture": "ViT-B-32", "published_as": "laion2b_s34b_b79k"}  # of the catalogue's weights
EXAMPLES: Mapping[str, Any] = {  # of the keys of FILE.toml
    **DEFAULT,
    "mean": [0.481, 0.458, 0.408],
    "std": [0.269, 0.261, 0.276],
    "resize": "shortest",
    "interpolation": "bicubic",
}
CHOICES = {"resize": ("shortest", "squash"), "interpolation": ("bicubic", "bilinear")}
PREPROCESSING = {"mean": "mean", "std": "std", "resize": "resize_mode", "interpolation": "interpolation"}


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing of frames, with the names of open_clip's `PreprocessCfg`."""

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize_mode: str
    interpolation: str

    def settings(self) -> dict[str, Any]:
        """Return it with the names of FILE.toml."""
        values = {key: getattr(self, name) for key, name in PREPROCESSING.items()}
        return {"size": list(self.size), **values, "mean": list(self.mean), "std": list(self.std)}

    def transform(self) -> Any:
        """Return open_clip's transform without its last steps, from uint8 on."""
        from open_clip.transform import PreprocessCfg, image_transform_v2
        from torchvision.transforms import Compose, ToTensor

        config = PreprocessCfg(
            size=self.size,
            mean=self.mean,
            std=self.std,
            interpolation=self.interpolation,
            resize_mode=self.resize_mode,
        )
        steps = image_transform_v2(config, is_train=False).transforms
        return Compose(steps[: [isinstance(step, ToTensor) for step in steps].index(True)])


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide warnings, and what open_clip logs for information on the root logger."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.INFO))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


class _WithoutRandomNumbers(TorchFunctionMode):
    """Does not fill the tensors of a new network with random numbers; the weights of a file replace them.

    `Tensor.normal_` stays as it is: torch's `trunc_normal_` repeats it until the numbers are in its bounds.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func in (init.kaiming_uniform_, init.normal_, torch.Tensor.uniform_):
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def _open_clip() -> Any:
    """Import open_clip with Hugging Face's hub switched off."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import open_clip

    return open_clip


def read_description(path: Path) -> dict[str, Any]:
    """Read the FILE.toml of a weights file.

    Raises:
        ModelError: it is missing or a value is not valid.
    """
    description = path.with_name(path.name + ".toml")
    names = _open_clip().list_models()
    if not description.is_file():
        if CATALOGUE["clip"].files[0] in path.name:  # also while it is downloaded under a temporary name
            return dict(DEFAULT)
        raise ModelError(
            f'{description}: missing; it names the network of the weights, as in: architecture = "ViT-B-32"'
        )
    try:
        stated = tomllib.loads(description.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{description}: not TOML: {error}") from error
    for key, value in stated.items():
        if key not in EXAMPLES:
            raise ModelError(f"{description}: unknown key {key!r}; valid keys are {', '.join(EXAMPLES)}")
        if not _is_valid(key, value):
            raise ModelError(
                f"{description}: {key} = {value!r} is not valid; an example is {EXAMPLES[key]!r}"
            )
    architecture = stated.get("architecture")
    if architecture not in names:
        similar = [name for name in names if str(architecture)[:5].lower() in name.lower()][:8] or names[:8]
        raise ModelError(
            f"{description}: architecture = {architecture!r} is not one of open_clip's, such as "
            f"{', '.join(similar)}"
        )
    return stated


def _is_valid(key: str, value: Any) -> bool:
    if key in CHOICES:
        return value in CHOICES[key]
    if key in ("mean", "std"):
        numbers = isinstance(value, list) and len(value) == 3 and all(type(v) in (int, float) for v in value)
        return numbers and (key == "mean" or min(value) > 0)
    return isinstance(value, str)


def choose_preprocessing(stated: Mapping[str, Any], network: Any) -> Preprocessing:
    """Choose the preprocessing: as stated, else that of the published weights, else that of the first CLIP.

    Raises:
        ModelError: there are no such published weights, or they need another architecture.
    """
    library, architecture = _open_clip(), stated["architecture"]
    tags = library.list_pretrained_tags_by_model(architecture)
    published = {tag: library.get_pretrained_cfg(architecture, tag) for tag in tags}
    tag = stated.get("published_as")
    if tag is not None:
        if tag not in published:
            known = ", ".join(tags) or "none"
            raise ModelError(
                f"published_as = {tag!r}: open_clip has no such weights of {architecture}; it has {known}"
            )
        if published[tag].get("quick_gelu", False) != _uses_quick_gelu(architecture):
            other = architecture.removesuffix("-quickgelu")
            other += "-quickgelu" if other == architecture else ""
            raise ModelError(f"published_as = {tag!r}: these weights need architecture = {other!r}")
        published = {tag: published[tag]}
    config = library.transform.PreprocessCfg()
    values: dict[str, Any] = {}
    for key, name in PREPROCESSING.items():
        choices = {_hashable(entry[name]) for entry in published.values() if name in entry}
        default = next(iter(choices)) if len(choices) == 1 else _hashable(getattr(config, name))
        values[name] = _hashable(stated.get(key, default))
    size = network.visual.image_size
    return Preprocessing(size=tuple(size) if isinstance(size, (tuple, list)) else (size, size), **values)


def _uses_quick_gelu(architecture: str) -> bool:
    return bool(_open_clip().get_model_config(architecture).get("quick_gelu", False))


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def load_network(path: Path, architecture: str) -> Any:
    """Build the network and load its weights.

    Raises:
        ModelError: the network needs other downloads, or the file is not weights of this architecture.
    """
    library = _open_clip()
    config = library.get_model_config(architecture)
    if "hf_model_name" in config["text_cfg"]:
        raise ModelError(
            f"{path}: {architecture} needs a text network of Hugging Face's hub, which is not used; take "
            "another architecture"
        )
    try:
        with _quiet(), _WithoutRandomNumbers():
            network = library.create_model(
                architecture,
                pretrained=str(path.absolute()),
                device="cpu",
                pretrained_image=False,
                pretrained_text=False,
                weights_only=True,
            )
    except Exception as error:  # torch and open_clip raise many types for files of other kinds
        raise ModelError(_reason(path, architecture, error)) from error
    for name, tensor in network.state_dict().items():
        if name != "attn_mask" and not name.endswith(".attn_mask") and not all_finite(tensor):
            raise ModelError(f"{path}: damaged: its tensor {name!r} has NaN or infinite numbers")
    network.requires_grad_(False)
    network.eval()
    return network


def _reason(path: Path, architecture: str, error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if "TorchScript" in str(error):
        return (
            f"{path}: a TorchScript archive, as OpenAI publishes CLIP; save its tensors alone: state = "
            "torch.jit.load(FILE, 'cpu').state_dict(); torch.save({k: v for k, v in state.items() if v.ndim "
            "or k == 'logit_scale'}, NEW_FILE)"
        )
    return f"{path}: not weights of {architecture} ({text[:160]})"


def load_tokenizer(architecture: str) -> Any:
    """Return the function from a list of texts to tokens (n, length).

    Raises:
        ModelError: the vocabulary does not come with open_clip.
    """
    library = _open_clip()
    config = library.get_model_config(architecture)["text_cfg"]
    if config.get("hf_tokenizer_name") or "siglip" in architecture.lower():
        raise ModelError(
            f"the vocabulary of {architecture} does not come with open_clip and is never downloaded: clip "
            "embeds only pictures with it"
        )
    with _quiet():
        return library.get_tokenizer(architecture)
