"""People of a list are recognised in actors.csv by id, identifiers and birthday; the rest is a doubt."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from facerec.actors.people import KnownPerson, name_key
from facerec.actors.resolution import Resolution, resolve
from facerec.catalogues.base import CastEntry

IMDB, WIKIDATA = "https://www.imdb.com/name/nm{}/", "http://www.wikidata.org/entity/Q{}"


def known(actor_id: str, name: str, birthday: str = "", movie: int = 1, uri: str = "") -> KnownPerson:
    return KnownPerson(actor_id, [name], {birthday} - {""}, "", {movie}, tuple(uri.split()))


def resolved(
    *entries: CastEntry, database: tuple[KnownPerson, ...] = (), movie: int = 12, ids: Mapping[str, str] = {}
) -> Resolution:
    return resolve(entries, {one.actor_id: one for one in database}, movie, ids)


def ids(found: Resolution) -> list[str]:
    return [member.actor_id for member in found.members]


def one(name: str = "Ada King", **cells: str) -> CastEntry:
    uris = (cells.pop("uris"),) if "uris" in cells else ()
    return CastEntry(name, "cast.csv:2", uris=uris, **cells)


@pytest.mark.parametrize(
    "one_spelling, other",
    [
        ("José García", "jose\u0301 garci\u0301a"),
        ("SØREN Ærø", "Soren Aero"),
        ("Straße", "STRASSE"),
        ("O'Hara,  Mary-Ann", "o hara mary ann"),
        ("İpek ılgaz", "Ipek Ilgaz"),
    ],
)
def test_names_are_equal_without_accents_case_and_punctuation(one_spelling: str, other: str) -> None:
    assert name_key(one_spelling) == name_key(other)


@pytest.mark.parametrize(
    "name, actor_id",
    [
        ("Grace Hopper", "grace-hopper"),
        ("José-María O'Hara", "jose-maria-o-hara"),
        ("三船敏郎", "三船敏郎"),
        ("50 Cent", "p-50-cent"),
        ("Null", "p-null"),
        ("NaN", "p-nan"),
        ("x" * 80, "x" * 54),
    ],
)
def test_new_people_get_an_id_that_the_labeling_backend_keeps(name: str, actor_id: str) -> None:
    assert ids(resolved(one(name))) == [actor_id]


@pytest.mark.parametrize(
    "entry, person, actor_id, reported",
    [
        (one(id="nm1"), known("nm1", "Ada King"), "nm1", ""),
        (one(id="Q5", uris=WIKIDATA.format(5)), known("ada", "Ada", uri=WIKIDATA.format(5)), "ada", ""),
        (one(id="nm2"), known("nm1", "Ada King"), "nm2", "is another person than 'nm1'"),
        (
            one(birthday="01.02.1950"),
            known("ada", "Ada King", "01.02.1950"),
            "ada",
            "the same name and birthday",
        ),
        (one(birthday="01.02.1950"), known("ada-king", "Ada King", "01.02.1960"), "ada-king-1950", ""),
        (one(birthday="1950"), known("ada-king", "Ada King", "1960"), "ada-king-1950", ""),
        (one(birthday="01.02.1950"), known("ada-king", "Ada King", "03.02.1950"), "ada-king-1950", ""),
        (one(), known("legacy 7", "ada KING", movie=12), "legacy 7", ""),
        (one(id="Q5"), known("ada", "Ada King", movie=12), "ada", ""),
        (one(id="77"), known("77", "Ada King"), "77", ""),
        (one(id="77"), known("78", "Other"), "p77", "ids get a letter"),
        (one("Ada Byron", id="nm1"), known("nm1", "Ada King"), "nm1", "has the id of 'Ada King'"),
    ],
)
def test_a_person_is_found_in_the_table_or_new(
    entry: CastEntry, person: KnownPerson, actor_id: str, reported: str
) -> None:
    found = resolved(entry, database=(person,))
    assert ids(found) == [actor_id] and not found.doubts
    assert any(reported in note for note in found.notes) if reported else not found.notes


def test_a_uri_that_contains_an_id_of_the_table_finds_that_person() -> None:
    found = resolved(one(id="Q5", uris=IMDB.format("0000007")), database=(known("nm0000007", "Ada King"),))
    assert ids(found) == ["nm0000007"] and not found.doubts


@pytest.mark.parametrize(
    "entry, people, doubt",
    [
        (one(), [known("ada", "Ada King")], "If it is the same person: --id 'Ada King=ada'; if not, "),
        (one(birthday="1950"), [known("ada", "Ada King", "01.02.1950")], "born 1950"),
        (one(id="Q5"), [known("nm1", "Ada King")], "--id Q5=nm1; if not, their own id: --id Q5=Q5"),
        (one(), [known("a", "Ada King", movie=12), known("b", "Ada King", movie=12)], "a (born unknown), b"),
        (one("Bo", id="nm1", birthday="1950"), [known("nm1", "Ada", "1960")], "is that of 'Ada', born 1960"),
        (one("Bo", id="p1"), [known("p1", "Ada")], "is that of 'Ada', born unknown"),
        (one(id="Q5", uris="http://viaf.org/1"),
         [known("a", "A", uri="http://viaf.org/1"), known("b", "B", uri="http://viaf.org/1/")],
         "has the identifiers of a and b"),
    ],
)  # fmt: skip
def test_what_is_not_sure_is_a_doubt_that_an_option_settles(
    entry: CastEntry, people: list[KnownPerson], doubt: str
) -> None:
    found = resolved(entry, database=tuple(people))
    assert not found.members and len(found.doubts) == 1 and doubt in found.doubts[0]
    for chosen in (people[0].actor_id, "new-person"):
        settled = resolved(entry, database=tuple(people), ids={entry.name.upper(): chosen})
        assert ids(settled) == [chosen] and not settled.doubts


def test_rows_of_one_person_become_one_and_two_people_of_one_name_stay_two() -> None:
    twice = resolved(one(id="nm1", role="Ada"), one(id="nm1", role="Her twin", birthday="1950"))
    assert ids(twice) == ["nm1"]
    assert (twice.members[0].entry.role, twice.members[0].entry.birthday) == ("Ada / Her twin", "1950")
    alike = resolved(one(role="Ada"), one(role="Ada"))
    assert ids(alike) == ["ada-king"] and "listed 2 times with the same data" in alike.notes[0]
    two = resolved(one(id="nm1"), one("ADA king", id="nm2"))
    assert ids(two) == ["nm1", "nm2"] and not two.doubts
    by_birthday = resolved(one(birthday="1950"), one(birthday="1960"))
    assert ids(by_birthday) == ["ada-king", "ada-king-1960"]
    same_day = resolved(one(birthday="01.02.1950", role="a"), one(birthday="01.02.1950", role="b"))
    assert ids(same_day) == ["ada-king"]


@pytest.mark.parametrize(
    "entries, doubt",
    [
        ((one(role="a"), one("Áda King", role="b")), "is listed 2 times"),
        ((one(birthday="1950"), one(role="b")), "as one person or as several"),
        ((one(id="nm1"), one()), "has no id, but another row of this name has one"),
        ((one(id="nm1"), one("Bo", id="nm1")), "the id 'nm1' is that of 'Ada King' (cast.csv:2) and 'Bo'"),
        (
            (one(id="nm1", birthday="1950"), one(id="nm1", birthday="1960")),
            "is born 1950 (cast.csv:2) and 1960",
        ),
        ((one(id="x" * 65),), "has more than 64 characters"),
        ((one(id="null"),), "is not text for the labeling backend"),
        ((one("A B", id="a-b"), one("a b!", id="nm1"), one("C", id="a-b")), "the id 'a-b' is that of"),
    ],
)
def test_doubled_people_and_ids_that_cannot_be_used_are_doubts(
    entries: tuple[CastEntry, ...], doubt: str
) -> None:
    found = resolved(*entries)
    assert any(doubt in sentence for sentence in found.doubts), found.doubts


def test_two_people_of_one_name_are_not_given_the_only_one_of_the_table() -> None:
    found = resolved(one(id="Q1"), one(id="Q2"), database=(known("ada", "Ada King", movie=12),))
    assert not found.members and len(found.doubts) == 2


def test_a_choice_for_nobody_or_for_two_people_is_a_doubt() -> None:
    assert "the list has no person of this name or id" in resolved(one(), ids={"Bo": "b"}).doubts[0]
    two, database = (one(id="Q1"), one(id="Q2")), (known("ada", "Ada King"),)
    found = resolved(*two, database=database, ids={"Ada King": "ada"})
    assert "2 people of the list have this name; give the id instead: --id Q1=ada" in found.doubts[0]
    settled = resolved(*two, database=database, ids={"Q1": "ada", "Q2": "Q2"})
    assert ids(settled) == ["ada", "Q2"] and not settled.doubts
    rows = resolved(one(role="a"), one(role="b"), ids={"Ada King": "ada"})
    assert ids(rows) == ["ada"] and rows.members[0].entry.role == "a / b"
