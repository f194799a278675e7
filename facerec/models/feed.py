"""How an ONNX embedder is fed: `FILE.toml` beside the file `FILE`.

Without one the convention of insightface's models holds, which reads:

    size = [112, 112]               # height, width of the aligned crop
    channels = "RGB"                # or "BGR"
    mean = [127.5, 127.5, 127.5]    # pixel values 0..255, per channel: (value - mean) / std
    std = [127.5, 127.5, 127.5]
    same_person = 1.16              # see base.Embedder; the one key that the weights' hash leaves out
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
class Feed:
    """How a file wants its crops; the keys of `FILE.toml`."""

    size: tuple[int, int] = (112, 112)
    channels: str = "RGB"
    mean: tuple[float, ...] = (127.5, 127.5, 127.5)
    std: tuple[float, ...] = (127.5, 127.5, 127.5)
    same_person: float = 1.16


def read_feed(weights: Path) -> Feed:
    """Read `FILE.toml` beside `weights`.

    Raises:
        ModelError: a key is unknown or its value cannot be.
    """
    path = weights.with_name(weights.name + ".toml")
    if not path.is_file():
        return Feed()
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: no TOML: {error}") from error
    valid = [field.name for field in fields(Feed)]
    for key, value in said.items():
        if key not in valid:
            raise ModelError(f"{path}: unknown key {key!r}; valid are {', '.join(valid)}")
        if not _fits(key, value):
            raise ModelError(f"{path}: {key} = {value!r} cannot be; an example is {asdict(Feed())[key]!r}")
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in said.items()
    }
    return Feed(**given)


def _fits(key: str, value: Any) -> bool:
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


def count_feed(found: WeightFiles) -> WeightFiles:
    """Count how a file is fed into its hash: the same weights fed in another way give other vectors."""
    feed = replace(read_feed(found.paths[0]), same_person=Feed.same_person)
    if feed == Feed():
        return found
    sha256 = hashlib.sha256(f"{found.card.sha256} {feed}".encode()).hexdigest()
    return replace(found, card=replace(found.card, sha256=sha256))
