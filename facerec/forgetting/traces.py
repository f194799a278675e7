"""Search files for what identifies a person: id, names, names of picture files, pictures and embeddings."""

from __future__ import annotations

import html
import json
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import orjson

from facerec.errors import FacerecError
from facerec.forgetting.subject import Subject
from facerec.support.atomic import sha256_of

REPLACEMENT = b"[forgotten]"
_COMPARED = 4  # numbers of an embedding; four random ones are never equal to the last digit
_WORD = rb"[0-9A-Za-z_\x80-\xff]"


@dataclass(frozen=True)
class Trace:
    """A file that still refers to the person."""

    path: Path
    what: str


def find_traces(root: Path, subject: Subject, advance: Callable[[int], None]) -> Iterator[Trace]:
    """Search all files below `root`, and the members of archives.

    Args:
        advance: called with 1 after each file.
    """
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        what = trace_in(path, subject)
        if what:
            yield Trace(path, what)
        advance(1)


def has_trace(path: Path, subject: Subject) -> bool:
    """Return whether a file refers to the person."""
    return bool(trace_in(path, subject))


def trace_in(path: Path, subject: Subject) -> str:
    """Return what in a file refers to the person, as a phrase; empty for nothing."""
    patterns = _patterns(subject)
    named = patterns.words.search(path.name.encode())
    if named:
        return f"the file's name has {named[0].decode(errors='replace')!r}"
    if subject.hashes and sha256_of(path) in subject.hashes:
        return "it is one of their pictures"
    for data in _contents(path):
        data = patterns.titles.sub(b"", data) if patterns.titles else data
        if match := patterns.words.search(data):
            return f"it has {match[0].decode(errors='replace')!r}"
        if patterns.vectors and (match := patterns.vectors.search(data)):
            return "it has the embedding of one of their pictures"
    return ""


def without_traces(data: bytes, subject: Subject) -> bytes:
    """Return a text with `REPLACEMENT` for everything that `trace_in` finds in it."""
    return _patterns(subject).words.sub(REPLACEMENT, data)


@dataclass(frozen=True)
class _Patterns:
    words: re.Pattern[bytes]
    titles: re.Pattern[bytes] | None
    vectors: re.Pattern[bytes] | None


@lru_cache(maxsize=4)
def _patterns_of(words: frozenset[str], titles: frozenset[str], vectors: frozenset[bytes]) -> _Patterns:
    spelt = {form for word in words for form in _spellings(word)}
    whole = b"|".join(re.escape(form) for form in sorted(spelt, key=len, reverse=True))
    masked = {form for title in titles for form in _spellings(title)}
    numbers = b"|".join(re.escape(one) for one in sorted(vectors))
    return _Patterns(
        re.compile(rb"(?<!" + _WORD + rb")(?:" + whole + rb")(?!" + _WORD + rb")", re.IGNORECASE),
        re.compile(b"|".join(re.escape(form) for form in sorted(masked, key=len, reverse=True)))
        if masked
        else None,
        re.compile(numbers) if numbers else None,
    )


def _patterns(subject: Subject) -> _Patterns:
    words = {subject.actor_id, *subject.pictures, *subject.hashes}
    words |= {name for name in subject.names if name not in subject.shared_names}
    titles = frozenset(title for title in subject.titles if title not in words)
    vectors = set()
    for vector in subject.vectors:
        vectors.add(vector[:_COMPARED].astype("<f4").tobytes())
        vectors.add(orjson.dumps(vector[:_COMPARED], option=orjson.OPT_SERIALIZE_NUMPY)[1:-1])
    return _patterns_of(frozenset(words), titles, frozenset(vectors))


def _spellings(text: str) -> Iterator[bytes]:
    """Yield a text as UTF-8, and as JSON, HTML and URLs may write it, in both forms of Unicode."""
    for form in ("NFC", "NFD"):
        normal = unicodedata.normalize(form, text)
        for spelt in (normal, json.dumps(normal)[1:-1], html.escape(normal), quote(normal)):
            yield spelt.encode()
            yield spelt.replace(" ", "_").encode()


def _contents(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, and of an archive's members."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    yield info.filename.encode()
                    yield archive.read(info)
            return
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise FacerecError(f"{path}: cannot be searched ({error}); delete it, or make it again") from error
    yield path.read_bytes()
