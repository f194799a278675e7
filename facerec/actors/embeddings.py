"""The embeddings of an actor database, checked on reading.

`actor_embeddings.jsonl` has a line for each picture with the faces found in it; `actor_embeddings.meta.json`
says what made them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from facerec.actors.pictures import checked_filename
from facerec.errors import ContractError
from facerec.support.csv_tables import read_text_lines

MAX_LINE_BYTES = 8 << 20  # enough for a picture of a hundred faces
MAX_DIMENSION = 1 << 14  # of an embedding
_LENGTHS = 1e-6, 1e6  # Euclidean lengths that a vector may have before it is normalised


@dataclass(frozen=True)
class PictureFaces:
    """The faces found in one picture.

    Attributes:
        image: the picture's file name.
        vectors: (n, d) float32, the L2-normalised embedding of each face.
    """

    image: str
    vectors: NDArray[np.float32]


def read_embeddings(path: Path, dimension: int | None = None) -> Iterator[tuple[int, PictureFaces]]:
    """Yield line number and faces of every picture.

    Args:
        dimension: of every embedding; None: that of the first.

    Raises:
        InputError: the file is missing.
        ContractError: a line cannot be used.
    """
    for line, text in read_text_lines(path, MAX_LINE_BYTES):
        if not text.strip():
            continue
        try:
            record = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise ContractError(
                path, f"is not valid JSON, which does not allow NaN ({error})", line
            ) from None
        faces = _parse(record, dimension, path, line)
        if len(faces.vectors):
            dimension = faces.vectors.shape[1]
        yield line, faces


def to_line(image: str, vectors: NDArray[np.float32]) -> bytes:
    """Return the line of a picture with the embeddings (n, d), without its line end."""
    record = {"image": image, "n": len(vectors), "faces": [{"vector": row} for row in vectors]}
    return orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY)


def read_meta(path: Path) -> dict[str, Any] | None:
    """Read what made the embeddings: `{"embedder": {"kind", "sha256", "dimension", …}, …}`.

    Returns:
        None if there is no such file.

    Raises:
        ContractError: it is not JSON, or does not name the embedder.
    """
    if not path.exists():
        return None
    try:
        meta = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ContractError(path, f"is not JSON ({error}); run prepare_actors.py again") from None
    embedder = meta.get("embedder") if isinstance(meta, dict) else None
    if not isinstance(embedder, dict) or not {"kind", "sha256", "dimension"} <= embedder.keys():
        rule = "lacks the embedder's kind, sha256 or dimension; run prepare_actors.py again"
        raise ContractError(path, rule)
    return dict(meta)


def describe_embedder(embedder: Mapping[str, Any]) -> str:
    """Return kind and, if known, dimension and weights of an embedder, for a message."""
    dimension, sha256 = embedder.get("dimension"), embedder.get("sha256")
    details = [f"{dimension}-d"] if dimension is not None else []
    details += [f"weights {str(sha256)[:12]}"] if sha256 is not None else []
    return f"{embedder['kind']} ({', '.join(details)})" if details else str(embedder["kind"])


def _parse(record: object, dimension: int | None, path: Path, line: int) -> PictureFaces:
    """Check one line and L2-normalise its embeddings."""
    if not isinstance(record, dict) or not {"image", "n", "faces"} <= record.keys():
        raise ContractError(path, 'must be an object with the keys "image", "n" and "faces"', line)
    image, n, faces = record["image"], record["n"], record["faces"]
    if not isinstance(image, str):
        raise ContractError(path, '"image" must be a file name', line)
    checked_filename(image, path, line)
    if type(n) is not int or not isinstance(faces, list) or len(faces) != n:
        raise ContractError(path, '"n" must be the number of entries of the list "faces"', line)
    rows = []
    for face in faces:
        vector = face.get("vector") if isinstance(face, dict) else None
        if not isinstance(vector, list) or not all(type(x) is float or type(x) is int for x in vector):
            raise ContractError(path, 'every face must have a "vector", a list of numbers', line)
        if not vector or len(vector) > MAX_DIMENSION or len(vector) != (dimension or len(vector)):
            wanted = dimension or f"1 to {MAX_DIMENSION}"
            raise ContractError(path, f"the vector has {len(vector)} numbers instead of {wanted}", line)
        dimension = len(vector)
        row = np.array(vector, np.float64)
        with np.errstate(over="ignore"):
            length = float(np.sqrt(np.square(row).sum()))
        if not _LENGTHS[0] < length < _LENGTHS[1]:  # NaN fails as well
            raise ContractError(path, "the vector is all zero, or its numbers are too large", line)
        rows.append(row / length)
    return PictureFaces(image, np.array(rows, np.float32).reshape(n, (dimension or 0) if n else 0))
