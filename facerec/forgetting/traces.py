"""Search files for what identifies a person: id, names, names of picture files, pictures and embeddings."""

from __future__ import annotations

import bz2
import gzip
import html
import json
import lzma
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

from facerec.actors.database import ActorDatabase
from facerec.forgetting.subject import Subject
from facerec.models.packs import models_to_prepare
from facerec.support.atomic import sha256_of
from facerec.support.shell import command_line, prepare_command

REPLACEMENT = b"[forgotten]"
_COMPARED = 4  # numbers of an embedding; four random ones are never equal to the last digit
# where a word may begin and end: not beside ASCII letters and digits, nor beside letters of two bytes (Latin,
# Greek, Cyrillic and others), but behind the escaped line break of JSON and the escaped blank of a URL
_BEGINS = rb"(?:(?<![0-9A-Za-z_])(?<![\xc3-\xdf][\x80-\xbf])|(?<=\\[nrt])|(?<=%20))"
_ENDS = rb"(?![0-9A-Za-z_\xc3-\xdf])"
_BLANKS = rb"(?:[\s_+-]|\xc2\xa0|%20)+"
_SHORT = 3  # bytes; shorter words and plain numbers are only searched as cells and values of their own
_PACKED = (  # how a file begins, and what unpacks it
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
)
_UNREADABLE = {b"\x28\xb5\x2f\xfd": "Zstandard", b"7z\xbc\xaf\x27\x1c": "7-Zip", b"Rar!": "RAR"}
_PARQUET = b"PAR1"
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")  # of Windows, and of numpy's arrays of texts


@dataclass(frozen=True)
class Trace:
    """A file or folder that still refers to the person, or cannot be searched.

    Attributes:
        of_film: it only has saved faces of a film that were learnt from it; they stay, without a name.
    """

    path: Path
    what: str
    of_film: bool = False


def find_traces(
    root: Path, subject: Subject, advance: Callable[[int], None], database: Path | None = None
) -> Iterator[Trace]:
    """Search `root`, or the names of everything below it, all files, and the members of archives.

    Args:
        advance: called with 1 after each file.
        database: folder of the actor database; the saved faces of movie folders outside it are of films.
            None to take no face as a film's.
    """
    without_faces = subject.without_learnt_faces()
    for path in (root,) if root.is_file() else sorted(root.rglob("*")):
        if what := trace_in(path, subject):
            of_film = database is not None and database not in path.parents and _has_saved_faces(path)
            yield Trace(path, what, of_film and not trace_in(path, without_faces))
        if path.is_file():
            advance(1)


def _has_saved_faces(path: Path) -> bool:
    """Return whether a file is where a movie folder, or an earlier version of one, has saved faces."""
    return path.name == "features.jsonl" or path.parent.name in ("images", "features")


def remedy(trace: Trace, database: ActorDatabase) -> str:
    """Return how the user removes a trace, as a clause; empty if its phrase says it."""
    if trace.what.startswith("it cannot be searched"):
        return ""
    if trace.what.startswith("its name"):
        return "rename or delete it"
    if trace.what.startswith("it has '") and trace.path.parent == database.pictures:
        command = command_line("exiftool", "-all=", "-overwrite_original", str(trace.path))
        detector, embedder = models_to_prepare(database.read_meta())
        prepare = prepare_command(database.folder, embedder, detector)
        return f"remove the text that is stored in the picture: {command}; then: {prepare}"
    if trace.what.startswith("it has '"):
        return "remove these words from it, or delete it"
    return "delete it"


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
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError) as error:
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
        wide: the words in UTF-16 and UTF-32; None if all are short.
        vectors: beginnings of embeddings, as numbers and as JSON; None if there are none.
    """

    words: re.Pattern[bytes]
    wide: re.Pattern[bytes] | None
    vectors: re.Pattern[bytes] | None

    def word_in(self, data: bytes | mmap.mmap) -> str:
        """Return the first word that is a trace; empty if there is none."""
        words = (match["word"] for match in self.words.finditer(data) if match.lastgroup == "word")
        if word := next(words, b""):
            return word.decode(errors="replace")
        if self.wide and data.find(b"\0") >= 0 and (match := self.wide.search(data)):
            return match[0].replace(b"\0", b"").decode(errors="replace")
        return ""


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
        parts.append(_any_of(short - numbers, rb"(?<=[\"'>,;|\t])", rb"(?=[\"'<,;|\t\r\n])"))
    if numbers:
        parts.append(_any_of(numbers, rb"(?<=[\"'])", rb"(?=[\"'])"))
    word = b"(?P<word>" + b"|".join(parts) + b")"
    pattern = re.compile(word, re.IGNORECASE)
    # a title that has no word of the person in it must not cover a part of one
    covering = {one for one in titles if any(pattern.search(form) for form in _spellings(one))}
    if covering:
        title = b"(?P<title>" + _any_of(covering, _BEGINS, _ENDS) + b")"
        pattern = re.compile(title + b"|" + word, re.IGNORECASE)
    wide = _wide_pattern(words - short) if words - short else None
    prefixes = b"|".join(re.escape(one) for one in sorted(vectors))
    return _Patterns(pattern, wide, re.compile(prefixes) if prefixes else None)


def is_short(word: str) -> bool:
    """Return whether a word is so short, or a plain number, that it is in many files by chance."""
    return len(word.encode()) < _SHORT or word.isdecimal()


def _any_of(words: frozenset[str] | set[str], begins: bytes, ends: bytes) -> bytes:
    forms = sorted({form for word in words for form in _spellings(word)}, key=len, reverse=True)
    alternatives = b"|".join(re.escape(form).replace(rb"\ ", _BLANKS) for form in forms)
    return begins + b"(?:" + alternatives + b")" + ends


def _wide_pattern(words: frozenset[str]) -> re.Pattern[bytes]:
    """Return the pattern of words in encodings that have several bytes for each letter."""
    parts = []
    texts = sorted({form for word in words for form in _forms(word)}, key=len, reverse=True)
    for encoding in _WIDE:
        width = len("a".encode(encoding))
        zeros = rb"\x00" * (width - 1)
        letter = rb"[0-9A-Za-z_]" + zeros if encoding.endswith("le") else zeros + rb"[0-9A-Za-z_]"
        forms = b"|".join(re.escape(text.encode(encoding)) for text in texts)
        parts.append(b"(?<!" + letter + b")(?:" + forms + b")(?!" + letter + b")")
    return re.compile(b"|".join(parts), re.IGNORECASE)


def _forms(text: str) -> Iterator[str]:
    """Yield a text in both forms of Unicode, without accents, in one case, with either apostrophe."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    for variant in {text, text.upper(), text.lower(), plain}:
        for quoted in {variant, variant.replace("'", "’"), variant.replace("’", "'")}:
            for form in ("NFC", "NFD"):
                yield unicodedata.normalize(form, quoted)


def _spellings(text: str) -> Iterator[bytes]:
    """Yield a text as UTF-8, and as JSON, HTML and URLs may write it, in both forms of Unicode.

    In one case as well: the search ignores the case of ASCII letters only.
    """
    for normal in _forms(text):
        escaped = html.escape(normal)
        yield normal.encode()
        yield json.dumps(normal)[1:-1].encode()
        yield escaped.encode()
        yield escaped.replace("&#x27;", "&#39;").encode()
        yield quote(normal, safe=" ").encode()


def _contents(path: Path) -> Iterator[bytes | mmap.mmap]:
    """Yield the bytes of a file, those of an archive's members, and those of a compressed file unpacked.

    Raises:
        OSError: the file cannot be read, or it is compressed in a way that is not known here.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                yield info.filename.encode()
                yield archive.read(info)
        return
    with path.open("rb") as file:
        start = file.read(8)
        for magic, kind in _UNREADABLE.items():
            if start.startswith(magic):
                raise OSError(f"it is compressed by {kind}")
        for magic, unpack in _PACKED:
            if start.startswith(magic):
                with unpack(path, "rb") as unpacked:
                    yield unpacked.read()
                return
        if start.startswith(_PARQUET):
            yield _cells_of_parquet(path)
        elif start:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                yield mapped


def _cells_of_parquet(path: Path) -> bytes:
    """Return the cells of a Parquet table, which are compressed there, as CSV."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    text = pa.BufferOutputStream()
    try:
        pa.csv.write_csv(pa.parquet.read_table(path), text)
    except pa.ArrowException as error:
        raise OSError(str(error)) from error
    return bytes(text.getvalue().to_pybytes())
