"""TMDB's credits, Wikidata's JSON and EBUCore XML are recognised by content and give ids that last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from facerec.catalogues.base import CastList, Wanted
from facerec.catalogues.registry import read_cast_list
from facerec.errors import ContractError, InputError

WANTED = Wanted(12345)


def read(path: Path, document: Any, wanted: Wanted = WANTED) -> CastList:
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return read_cast_list([path], wanted)


CREDITS = {
    "id": 278,
    "cast": [
        {"id": 192, "name": "Morgan Freeman", "character": "Red", "order": 1, "profile_path": "/m.jpg",
         "gender": 2, "credit_id": "x"},
        {"id": 504, "name": "Tim Robbins", "character": "Andy Dufresne", "order": 0, "profile_path": None,
         "imdb_id": "nm0000209", "birthday": "1958-10-16", "place_of_birth": "West Covina"},
        {"id": 9, "name": "A. Extra", "character": "", "order": 2},
    ],
    "crew": [{"id": 4027, "name": "Frank Darabont", "job": "Director"}],
}  # fmt: skip


def test_credits_of_tmdb_give_the_cast_in_order_without_the_crew(tmp_path: Path) -> None:
    cast = read(tmp_path / "anything.txt", CREDITS)
    assert cast.format == "TMDB credits" and cast.title == ""
    tim, morgan, extra = cast.entries
    assert (tim.id, tim.name, tim.role) == ("tmdb504", "Tim Robbins", "Andy Dufresne")
    assert tim.birthday == "16.10.1958" and tim.birthplace == "West Covina"
    assert tim.uris == ("https://www.themoviedb.org/person/504", "https://www.imdb.com/name/nm0000209/")
    assert morgan.portraits == ("m.jpg",) and not morgan.pictures and extra.role == ""
    assert "cast[0]" in morgan.where


def test_a_movie_of_tmdb_with_credits_in_it_has_title_and_year(tmp_path: Path) -> None:
    movie = {"title": "The Shawshank Redemption", "release_date": "1994-09-23", "credits": CREDITS}
    cast = read(tmp_path / "278.json", movie)
    assert (cast.title, cast.year, len(cast.entries)) == ("The Shawshank Redemption", "1994", 3)
    series = {"cast": [{"id": 1, "name": "Ada", "roles": [{"character": "A"}, {"character": "B"}]}]}
    assert read(tmp_path / "tv.json", series).entries[0].role == "A / B"


@pytest.mark.parametrize(
    "document, fault",
    [
        ({"cast": []}, "its list `cast` is empty"),
        ({"cast": [{"name": " "}]}, r"cast\[0\] has no name"),
        ({"cast": [{"name": "Ada", "id": "x"}]}, r"cast\[0\] has the id 'x', which is no number"),
    ],
)
def test_broken_credits_are_refused(tmp_path: Path, document: Any, fault: str) -> None:
    with pytest.raises(ContractError, match=fault):
        read(tmp_path / "c.json", document)


def binding(**cells: str) -> dict[str, Any]:
    return {name: {"type": "literal", "value": value} for name, value in cells.items()}


def test_results_of_sparql_keep_q_ids_as_uris(tmp_path: Path) -> None:
    rows = [
        binding(actor="http://www.wikidata.org/entity/Q48337", actorLabel="Morgan Freeman", roleLabel="Red",
                birthday="1937-06-01T00:00:00Z", birthplaceLabel="Memphis", imdb="nm0000151"),
        binding(actor="http://www.wikidata.org/entity/Q95048", actorLabel="Tim Robbins"),
    ]  # fmt: skip
    cast = read(tmp_path / "r.json", {"head": {"vars": ["actor"]}, "results": {"bindings": rows}})
    morgan, tim = cast.entries
    assert morgan.id == "Q48337" and tim.id == "Q95048"
    assert morgan.uris == (
        "https://www.imdb.com/name/nm0000151/",
        "http://www.wikidata.org/entity/Q48337",
    )
    assert (morgan.birthday, morgan.birthplace, morgan.role) == ("01.06.1937", "Memphis", "Red")
    flat = [{name: cell["value"] for name, cell in row.items()} for row in rows]
    assert [entry.id for entry in read(tmp_path / "flat.json", flat).entries] == ["Q48337", "Q95048"]
    for row in flat:  # a query without the service for labels
        row["name"] = row.pop("actorLabel")
    assert [entry.id for entry in read(tmp_path / "named.json", flat).entries] == ["Q48337", "Q95048"]
    with pytest.raises(ContractError, match="has no result"):
        read(tmp_path / "none.json", {"head": {}, "results": {"bindings": []}})


def snak(value: Any) -> dict[str, Any]:
    return {"snaktype": "value", "datavalue": {"value": value, "type": "x"}}


def claim(value: Any, rank: str = "normal", **qualifiers: list[Any]) -> dict[str, Any]:
    return {
        "mainsnak": snak(value),
        "rank": rank,
        "qualifiers": {k: [snak(v) for v in vs] for k, vs in qualifiers.items()},
    }


def item(entity: str) -> dict[str, Any]:
    return {"entity-type": "item", "id": entity}


def entity(label: str, claims: Mapping[str, list[Any]] | None = None, **labels: str) -> dict[str, Any]:
    named = {
        code: {"language": code, "value": text} for code, text in {"en": label, **labels}.items() if text
    }
    return {"labels": named, "claims": dict(claims or {})}


def time(text: str, precision: int) -> dict[str, Any]:
    return {"time": text, "precision": precision}


FILM = entity(
    "The Film",
    {
        "P161": [
            claim(item("Q1"), P453=[item("Q5")]),
            claim(item("Q2"), rank="preferred", P4633=["The Boss", "Her twin"]),
            claim(item("Q3"), rank="deprecated"),
        ],
        "P577": [claim(time("+1999-03-01T00:00:00Z", 11)), claim(time("+1998-00-00T00:00:00Z", 9))],
    },
    de="Der Film",
)
PEOPLE = {
    "Q1": entity("Ada", {"P569": [claim(time("+1906-12-09T00:00:00Z", 11))], "P19": [claim(item("Q7"))],
                         "P345": [claim("nm0000151")], "P18": [claim("Ada portrait.jpg")]}),
    "Q2": entity("Bo", {"P569": [claim(time("+1950-00-00T00:00:00Z", 9)),
                                 claim(time("+1951-00-00T00:00:00Z", 9))]}, de="Bö"),
    "Q5": entity("The Hero"),
    "Q7": entity("Rome"),
}  # fmt: skip


def test_entities_of_wikidata_in_several_files_give_the_cast(tmp_path: Path) -> None:
    film, people = tmp_path / "Q9.json", tmp_path / "people.json"
    film.write_text(json.dumps({"entities": {"Q9": FILM}}))
    people.write_text(json.dumps({"entities": PEOPLE}))
    cast = read_cast_list([film, people], Wanted(1, language="de"))
    ada, bo = cast.entries
    assert (cast.title, cast.year) == ("Der Film", "1998")
    assert (ada.id, ada.name, ada.role, ada.birthday, ada.birthplace) == (
        "Q1", "Ada", "The Hero", "09.12.1906", "Rome",
    )  # fmt: skip
    assert ada.uris == ("http://www.wikidata.org/entity/Q1", "https://www.imdb.com/name/nm0000151/")
    assert ada.portraits == ("Ada portrait.jpg",)
    assert (bo.name, bo.role, bo.birthday) == ("Bö", "The Boss / Her twin", "")
    assert any("several birthdays of Bö" in note for note in cast.notes)
    with pytest.raises(InputError, match=r"names 2 of 2 people of the cast by their ids only.*ids=Q1\|Q2"):
        read_cast_list([film], WANTED)
    with pytest.raises(InputError, match="no entity in it has a cast"):
        read_cast_list([people], WANTED)


def test_one_of_several_films_of_wikidata_is_chosen_by_its_id(tmp_path: Path) -> None:
    document = {"entities": {"Q9": FILM, "Q10": {**FILM, "labels": {}}, **PEOPLE}}
    with pytest.raises(InputError, match="has the casts of Q9, Q10; give one with --title-id Q9"):
        read(tmp_path / "two.json", document)
    assert read(tmp_path / "two.json", document, Wanted(1, film_id="Q9")).title == "The Film"
    with pytest.raises(InputError, match=r"has no cast .P161. of 'Q11'"):
        read(tmp_path / "two.json", document, Wanted(1, film_id="Q11"))


EBUCORE = """<?xml version="1.0" encoding="{encoding}"?>
<ebucore:ebuCoreMain xmlns:ebucore="urn:ebu:metadata-schema:ebucore" xmlns:dc="http://purl.org/dc/elements/1.1/">
 <ebucore:coreMetadata>
  <ebucore:title><dc:title>Der Film</dc:title></ebucore:title>
  <ebucore:date><ebucore:released startYear="1998"/></ebucore:date>
  <ebucore:contributor>
   <ebucore:contactDetails contactId="https://www.wikidata.org/entity/Q7259">
    <ebucore:givenName>José</ebucore:givenName><ebucore:familyName>García</ebucore:familyName>
    <ebucore:birthDate>1930-05-04Z</ebucore:birthDate><ebucore:birthPlace>Graz</ebucore:birthPlace>
   </ebucore:contactDetails>
   <ebucore:role typeLabel="Schauspieler"/>
   <ebucore:characterName>Wirt</ebucore:characterName>
  </ebucore:contributor>
  <ebucore:contributor>
   <ebucore:contactDetails><ebucore:name>Ada &amp; Co</ebucore:name></ebucore:contactDetails>
   <ebucore:role typeLink="http://www.ebu.ch/metadata/cs/ebu_RoleCodeCS.xml#25.9" typeDefinition="Zoë"/>
  </ebucore:contributor>
  <ebucore:contributor>
   <ebucore:contactDetails><ebucore:name>The Director</ebucore:name></ebucore:contactDetails>
   <ebucore:role typeLabel="Director"/>
  </ebucore:contributor>
 </ebucore:coreMetadata>
</ebucore:ebuCoreMain>
"""


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "UTF-16"])
def test_contributors_of_ebucore_with_the_role_actor_are_the_cast(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "export.data"
    path.write_bytes(EBUCORE.format(encoding=encoding).encode(encoding))
    cast = read_cast_list([path], WANTED)
    jose, ada = cast.entries
    assert (cast.format, cast.title, cast.year) == ("EBUCore", "Der Film", "1998")
    assert (jose.name, jose.role, jose.birthday, jose.birthplace) == (
        "José García",
        "Wirt",
        "04.05.1930",
        "Graz",
    )
    assert jose.id == "Q7259" and jose.uris == ("http://www.wikidata.org/entity/Q7259",)
    assert (ada.name, ada.role, ada.id) == ("Ada & Co", "Zoë", "")


@pytest.mark.parametrize(
    "change, fault",
    [
        (("Schauspieler", "Koch"), None),
        (("<ebucore:coreMetadata>", "<ebucore:core>"), "is not XML"),
        (('<ebucore:name>Ada &amp; Co</ebucore:name>', ""), "contributor 2 has the role Actor but no name"),
        (("<ebucore:ebuCoreMain", '<!DOCTYPE x [<!ENTITY a "aaaa">]><ebucore:ebuCoreMain'), "has a DOCTYPE"),
    ],
)  # fmt: skip
def test_broken_ebucore_is_refused(tmp_path: Path, change: tuple[str, str], fault: str | None) -> None:
    text = EBUCORE.format(encoding="UTF-8").replace(*change)
    if fault is None:
        assert [entry.name for entry in read(tmp_path / "a.xml", text).entries] == ["Ada & Co"]
        text = text.replace("#25.9", "#17.1")
        fault = "no contributor has the role Actor; its roles are Director, Koch"
    with pytest.raises(ContractError, match=fault):
        read(tmp_path / "a.xml", text)
