"""A cast list with any content is read, or refused in one line; never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from facerec.catalogues.base import CastList, Wanted
from facerec.catalogues.registry import read_cast_list
from facerec.errors import FacerecError
from tests.catalogues.test_documents import CREDITS, EBUCORE, FILM, PEOPLE, binding

WANTED = Wanted(1, "A Film", "1998", columns={})
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
DOCUMENTS = {
    "tmdb": CREDITS,
    "wikidata": {"entities": {"Q9": FILM, **PEOPLE}},
    "sparql": {
        "results": {"bindings": [binding(actor="http://www.wikidata.org/entity/Q1", actorLabel="Ada")]}
    },
    "flat": [{"name": "Ada", "birthday": "1950", "id": "a"}],
}


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, one in inner for found in paths_of(one, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, dict):
        return {key: replaced(one, path[1:], new) if key == path[0] else one for key, one in value.items()}
    return [replaced(one, path[1:], new) if i == path[0] else one for i, one in enumerate(value)]


def read_or_refuse(path: Path) -> None:
    try:
        found = read_cast_list([path], WANTED)
    except FacerecError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(found, CastList) and all(entry.name for entry in found.entries)


@pytest.mark.parametrize("kind", DOCUMENTS)
@settings(max_examples=60)
@given(data=st.data())
def test_a_document_with_a_wrong_value_anywhere(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    document: Any = DOCUMENTS[kind]
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from(paths_of(document)))
        document = replaced(document, place, data.draw(VALUE))
    path = tmp_path_factory.getbasetemp() / f"{kind}.json"
    path.write_text(json.dumps(document))
    read_or_refuse(path)


@settings(max_examples=100)
@given(st.text(st.sampled_from('name,;\t|"\n\r\0é=0 '), max_size=40) | st.text(max_size=20), st.sampled_from(
    [str.encode, lambda text: text.encode("utf-16"), lambda text: text.encode("latin-1", "replace")]
))  # fmt: skip
def test_any_text(
    tmp_path_factory: pytest.TempPathFactory, text: str, encode: Callable[[str], bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(encode("name,role\n" + text))
    read_or_refuse(path)


@settings(max_examples=100)
@given(st.binary(max_size=60), st.integers(0, 1500))
def test_any_bytes_and_cut_xml(tmp_path_factory: pytest.TempPathFactory, content: bytes, cut: int) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(content)
    read_or_refuse(path)
    path.write_bytes(b"\x1f\x8b" + content)
    read_or_refuse(path)
    xml = EBUCORE.format(encoding="UTF-8").encode()
    path.write_bytes(xml[:cut] + content + xml[cut + len(content) :])
    read_or_refuse(path)
