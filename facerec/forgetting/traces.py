"""Search files for what identifies a person: id, names, names of picture files, pictures and embeddings."""

from __future__ import annotations

import gzip
import html
import json
import mmap
import os
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

from facerec.forgetting.subject import Subject
from facerec.support.atomic import sha256_of

REPLACEMENT = b"[forgotten]"
_COMPARED = 4  # numbers of an embedding; four random ones are never equal to the last digit
# where a word may begin and end: not beside ASCII letters and digits, nor beside letters of two bytes (Latin,
# Greek, Cyrillic and others), but behind the escaped line break of JSON and the escaped blank of a URL
_BEGINS = rb"(?:(?<![0-9A-Za-z_])(?<![\xc3-\xdf][\x80-\xbf])|(?<=\\[nrt])|(?<=%20))"
_ENDS = rb"(?![0-9A-Za-z_\xc3-\xdf])"
_BLANKS = rb"(?:[\s_+-]|\xc2\xa0|%20)+"
_SHORT = 3  # bytes; shorter words and plain numbers are only searched as cells and values of their own
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Trace:
    """A file or folder that still refers to the person, or cannot be searched."""

    path: Path
    what: str


def find_traces(root: Path, subject: Subject, advance: Callable[[int], None]) -> Iterator[Trace]:
    """Search the names of everything below `root`, all files, and the members of archives.

    Args:
        advance: called with 1 after each file.
    """
    for path in sorted(root.rglob("*")):
        if what := trace_in(path, subject):
            yield Trace(path, what)
        if path.is_file():
            advance(1)


def trace_in(path: Path, subject: Subject) -> str:
    """Return what in a file refers to the person, as a phrase; empty for nothing.

    Only the names of links and folders are searched. A file that cannot be searched may refer to the person.
    """
    patterns = _patterns(subject)
    if found := patterns.word_in(os.fsencode(path.name)):
        return f"its name has {found!r}"
    if path.is_symlink() or not path.is_file():
        return ""
    try:
        if subject.hashes and sha256_of(path) in subject.hashes:
            return "it is one of their pictures"
        for data in _contents(path):
            if found := patterns.word_in(data):
                return f"it has {found!r}"
            if patterns.vectors and patterns.vectors.search(data):
                return "it has the embedding of one of their pictures"
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        return f"it cannot be searched ({error}); delete it, or make it again"
    return ""


def without_traces(data: bytes, subject: Subject) -> bytes:
    """Return a text with `REPLACEMENT` for every word that `trace_in` finds in it."""
    return _patterns(subject).words.sub(
        lambda match: REPLACEMENT if match.lastgroup == "word" else match[0], data
    )


@dataclass(frozen=True)
class _Patterns:
    """What is searched.

    Attributes:
        words: a match of the group `word` is a trace; one of `title` covers a name and is none.
        vectors: beginnings of embeddings, as numbers and as JSON; None if there are none.
    """

    words: re.Pattern[bytes]
    vectors: re.Pattern[bytes] | None

    def word_in(self, data: bytes | mmap.mmap) -> str:
        """Return the first word that is a trace; empty if there is none."""
        words = (match["word"] for match in self.words.finditer(data) if match.lastgroup == "word")
        return next(words, b"").decode(errors="replace")


def _patterns(subject: Subject) -> _Patterns:
    words = {subject.actor_id, *subject.pictures, *subject.hashes}
    words |= {name for name in subject.names if name not in subject.shared_names}
    vectors = set()
    for vector in subject.vectors:
        vectors.add(vector[:_COMPARED].astype("<f4").tobytes())
        vectors.add(orjson.dumps(vector[:_COMPARED], option=orjson.OPT_SERIALIZE_NUMPY)[1:-1])
    return _patterns_of(frozenset(words) - {""}, subject.titles - words, frozenset(vectors))


@lru_cache(maxsize=4)
def _patterns_of(words: frozenset[str], titles: frozenset[str], vectors: frozenset[bytes]) -> _Patterns:
    short = {word for word in words if is_short(word)}
    parts = [_any_of(words - short, _BEGINS, _ENDS)] if words - short else []
    numbers = {word for word in short if word.isdecimal()}
    if short - numbers:
        parts.append(_any_of(short - numbers, rb"(?<=[\"'>,;\t])", rb"(?=[\"'<,;\t\r\n])"))
    if numbers:
        parts.append(_any_of(numbers, rb"(?<=[\"'])", rb"(?=[\"'])"))
    word = b"(?P<word>" + b"|".join(parts) + b")"
    pattern = re.compile(word, re.IGNORECASE)
    # a title that has no word of the person in it must not cover a part of one
    covering = {one for one in titles if any(pattern.search(form) for form in _spellings(one))}
    if covering:
        title = b"(?P<title>" + _any_of(covering, _BEGINS, _ENDS) + b")"
        pattern = re.compile(title + b"|" + word, re.IGNORECASE)
    prefixes = b"|".join(re.escape(one) for one in sorted(vectors))
    return _Patterns(pattern, re.compile(prefixes) if prefixes else None)


def is_short(word: str) -> bool:
    """Return whether a word is so short, or a plain number, that it is in many files by chance."""
    return len(word.encode()) < _SHORT or word.isdecimal()


def _any_of(words: frozenset[str] | set[str], begins: bytes, ends: bytes) -> bytes:
    forms = sorted({form for word in words for form in _spellings(word)}, key=len, reverse=True)
    alternatives = b"|".join(re.escape(form).replace(rb"\ ", _BLANKS) for form in forms)
    return begins + b"(?:" + alternatives + b")" + ends


def _spellings(text: str) -> Iterator[bytes]:
    """Yield a text as UTF-8, and as JSON, HTML and URLs may write it, in both forms of Unicode.

    Also without accents and in one case: the search ignores the case of ASCII letters only.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    for variant in {text, text.upper(), text.lower(), plain}:
        for quoted in {variant, variant.replace("'", "’"), variant.replace("’", "'")}:
            for form in ("NFC", "NFD"):
                normal = unicodedata.normalize(form, quoted)
                escaped = html.escape(normal)
                yield normal.encode()
                yield json.dumps(normal)[1:-1].encode()
                yield escaped.encode()
                yield escaped.replace("&#x27;", "&#39;").encode()
                yield quote(normal, safe=" ").encode()


def _contents(path: Path) -> Iterator[bytes | mmap.mmap]:
    """Yield the bytes of a file, those of an archive's members, and those of a gzip file unpacked."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                yield info.filename.encode()
                yield archive.read(info)
        return
    with path.open("rb") as file:
        start = file.read(len(_GZIP))
        if start == _GZIP:
            with gzip.open(path, "rb") as unpacked:
                yield unpacked.read()
        elif start:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                yield mapped
