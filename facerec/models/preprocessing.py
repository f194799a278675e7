"""Preprocessing of crops for an ONNX embedder, as its `FILE.toml` beside the weights `FILE` states it.

Without that file the convention of insightface's models applies, which is:

    size = [112, 112]               # height, width of the aligned crop
    channels = "RGB"                # or "BGR"
    mean = [127.5, 127.5, 127.5]    # pixel values 0..255, per channel: (value - mean) / std
    std = [127.5, 127.5, 127.5]
    same_person = 1.16              # see base.Embedder; the only key that does not change the model's hash
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from facerec.errors import ModelError
from facerec.models.weights import WeightFiles


@dataclass(frozen=True)
class Preprocessing:
    """The keys of `FILE.toml`."""

    size: tuple[int, int] = (112, 112)
    channels: str = "RGB"
    mean: tuple[float, ...] = (127.5, 127.5, 127.5)
    std: tuple[float, ...] = (127.5, 127.5, 127.5)
    same_person: float = 1.16


def read_preprocessing(weights: Path) -> Preprocessing:
    """Read the `FILE.toml` of the file `weights`; return the defaults if there is none.

    Raises:
        ModelError: the file is not TOML, or a key or value is not valid.
    """
    path = weights.with_name(weights.name + ".toml")
    if not path.is_file():
        return Preprocessing()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not TOML: {error}") from error
    valid = [field.name for field in fields(Preprocessing)]
    for key, value in table.items():
        if key not in valid:
            raise ModelError(f"{path}: unknown key {key!r}; valid keys are {', '.join(valid)}")
        if not _is_valid(key, value):
            example = asdict(Preprocessing())[key]
            raise ModelError(f"{path}: {key} = {value!r} is not valid; an example is {example!r}")
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    return Preprocessing(**values)


def hash_preprocessing(found: WeightFiles) -> WeightFiles:
    """Include the preprocessing in the hash of the model card.

    The same weights give other vectors with another preprocessing. With the defaults the hash stays that
    of the weights.
    """
    p = read_preprocessing(found.paths[0])
    if replace(p, same_person=Preprocessing.same_person) == Preprocessing():
        return found
    # Do not change this text: hashes of it are recorded in movie folders and actor databases.
    text = (
        f"{found.card.sha256} Feed(size={p.size!r}, channels={p.channels!r}, mean={p.mean!r}, "
        f"std={p.std!r}, same_person=1.16)"
    )
    return replace(found, card=replace(found.card, sha256=hashlib.sha256(text.encode()).hexdigest()))


def _is_valid(key: str, value: Any) -> bool:
    if key == "channels":
        return value in ("RGB", "BGR")
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers):
        return False
    if key == "same_person":
        return not isinstance(value, list) and 0 < value < 2
    if key == "size":
        return len(numbers) == 2 and all(isinstance(number, int) and number >= 16 for number in numbers)
    return len(numbers) == 3 and all(map(math.isfinite, numbers)) and (key == "mean" or min(numbers) > 0)
