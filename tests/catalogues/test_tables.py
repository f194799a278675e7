"""A table of people is read with any usual columns, separators and encoding; doubts are reported."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from facerec.catalogues.base import CastList, Wanted
from facerec.catalogues.registry import read_cast_list
from facerec.errors import ContractError, InputError

WANTED = Wanted(12345, "Cool Movie Film", "1998")
HEADER = ["Name", "Role", "Date of birth", "Place of birth"]
ROWS = [
    ["Grace Hopper", 'Admiral "Amazing Grace"', "1906-12-09", "New York, USA"],
    ["José Müller", "Wirt; Koch", "19.11.1956", "Elmira"],
    ["Zoë\nSaldaña", "", "", ""],
]


def read(path: Path, content: bytes | str, wanted: Wanted = WANTED) -> CastList:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_cast_list([path], wanted)


def written(separator: str, order: list[int]) -> str:
    rows = [[row[i] for i in order] for row in [HEADER, *ROWS]]
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in row] for row in rows]
    return "".join(separator.join(row) + "\r\n" for row in quoted)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252", "utf-32"]
)
def test_every_separator_and_encoding_gives_the_same_people(
    tmp_path: Path, separator: str, encoding: str
) -> None:
    cast = read(tmp_path / "Liste é.txt", written(separator, [3, 1, 0, 2]).encode(encoding))
    assert [entry.name for entry in cast.entries] == ["Grace Hopper", "José Müller", "Zoë Saldaña"]
    grace = cast.entries[0]
    assert grace.role == 'Admiral "Amazing Grace"' and grace.birthday == "09.12.1906"
    assert grace.birthplace == "New York, USA" and grace.where == "Liste é.txt:2"
    assert cast.entries[1].role == "Wirt; Koch" and cast.entries[2].role == ""


@pytest.mark.parametrize(
    "header, row",
    [
        ("Darsteller;Rolle;Geburtsdatum;Geburtsort", "Grace Hopper;Admiral;9.12.1906;New York"),
        ("Vorname;Nachname;Figur;geboren;Geburtsort", "Grace;Hopper;Admiral;09.12.1906;New York"),
        ("prénom;nom;personnage;né le;lieu de naissance", "Grace;Hopper;Admiral;9 décembre 1906;New York"),
        ("Nombre;Apellidos;Papel;Fecha de nacimiento;Lugar de nacimiento",
         "Grace;Hopper;Admiral;1906-12-09;New York"),
        ("nome;ruolo;data di nascita;luogo di nascita", "Grace Hopper;Admiral;09.12.1906;New York"),
        ("ACTOR_NAME;CHARACTER_NAME;BIRTH_DATE;BIRTH_PLACE;notes",
         "Grace Hopper;Admiral;December 9, 1906;New York;none"),
        ("first name;surname;part;dob;birthplace", "Grace;Hopper;Admiral;9 December 1906;New York"),
        ("Actor;Plays;Born;Born in", "Grace Hopper;Admiral;09.12.1906;New York"),
        ("Actor;As;Role;Born;Born in", "Grace Hopper;guest;Admiral;09.12.1906;New York"),
        ("sep=;\nname;role;birthday;birthplace", "Grace Hopper;Admiral;09.12.1906;New York;;"),
    ],
)  # fmt: skip
def test_columns_are_found_by_the_names_that_are_usual(tmp_path: Path, header: str, row: str) -> None:
    (entry,) = read(tmp_path / "cast.csv", f"{header}\n{row}\n\n;;;\n").entries
    assert (entry.name, entry.role, entry.birthday, entry.birthplace) == (
        "Grace Hopper",
        "Admiral",
        "09.12.1906",
        "New York",
    )


@pytest.mark.parametrize(
    "columns, actor_id, uris",
    [
        ({"id": "nm0592225"}, "nm0592225", ["https://www.imdb.com/name/nm0592225/"]),
        ({"imdb id": "592225"}, "nm0592225", ["https://www.imdb.com/name/nm0592225/"]),
        ({"IMDb link": "https://www.imdb.com/name/nm0592225/?ref_=x"}, "nm0592225",
         ["https://www.imdb.com/name/nm0592225/"]),
        ({"Wikidata": "Q7259"}, "Q7259", ["http://www.wikidata.org/entity/Q7259"]),
        ({"QID": "https://www.wikidata.org/wiki/Q7259", "IMDb": "nm1"  "0000"}, "nm10000",
         ["https://www.imdb.com/name/nm10000/", "http://www.wikidata.org/entity/Q7259"]),
        ({"tmdb": "287"}, "tmdb287", ["https://www.themoviedb.org/person/287"]),
        ({"id": "hopper", "uri": "http://viaf.org/viaf/79"}, "hopper", ["http://viaf.org/viaf/79"]),
        ({"uri": "http://www.wikidata.org/entity/Q7259 javascript:alert(1)"}, "Q7259",
         ["http://www.wikidata.org/entity/Q7259"]),
    ],
)  # fmt: skip
def test_identifiers_of_catalogues_become_ids_and_uris(
    tmp_path: Path, columns: dict[str, str], actor_id: str, uris: list[str]
) -> None:
    text = f"name,{','.join(columns)}\nGrace Hopper,{','.join(columns.values())}\n"
    (entry,) = read(tmp_path / "cast.csv", text).entries
    assert entry.id == actor_id and list(entry.uris) == uris


def test_results_of_wikidatas_query_page_are_tables(tmp_path: Path) -> None:
    """Its CSV has columns of entities beside those of labels."""
    cast = read(
        tmp_path / "query.csv",
        "actor,actorLabel,character,characterLabel,birthday\n"
        "http://www.wikidata.org/entity/Q7259,Ada Lovelace,http://www.wikidata.org/entity/Q1,Ada,"
        "1815-12-10T00:00:00Z\n",
    )
    (entry,) = cast.entries
    assert (entry.id, entry.name, entry.role, entry.birthday) == (
        "Q7259",
        "Ada Lovelace",
        "Ada",
        "10.12.1815",
    )


def test_tsv_of_wikidatas_endpoint_has_languages_and_types_in_its_cells(tmp_path: Path) -> None:
    cast = read(
        tmp_path / "query.tsv",
        "?actor\t?actorLabel\t?birthday\t?image\n"
        '<http://www.wikidata.org/entity/Q7259>\t"Ada Lovelace"@en\t"1815-12-10T00:00:00Z"^^<http://www.w3.org/'
        "2001/XMLSchema#dateTime>\t<http://commons.wikimedia.org/wiki/Special:FilePath/Ada%20A.jpg>\n",
    )
    (entry,) = cast.entries
    assert (entry.id, entry.name, entry.birthday) == ("Q7259", "Ada Lovelace", "10.12.1815")
    assert entry.portraits == ("Ada A.jpg",) and not entry.pictures


@pytest.mark.parametrize(
    "cell, birthday, doubt",
    [
        ("1906", "1906", ""),
        ("1906-12", "1906", ""),
        ("1906-00-00", "1906", ""),
        ("09. 12. 1906", "09.12.1906", ""),
        ("25/12/1906", "25.12.1906", ""),
        ("12/25/1906", "25.12.1906", ""),
        ("12/12/1906", "12.12.1906", ""),
        ("09/12/1906", "1906", "day or month first"),
        ("9. Dezember 1906", "09.12.1906", ""),
        ("Dec. 9th, 1906", "09.12.1906", ""),
        ("31.02.1906", "", "not a day of the calendar"),
        ("1906-02-30", "", "not a day of the calendar"),
        ("c. 1906", "", "not understood"),
        ("before the war", "", "not understood"),
        ("\\N", "", ""),
    ],
)
def test_birthdays_are_normalised_and_doubtful_ones_reported(
    tmp_path: Path, cell: str, birthday: str, doubt: str
) -> None:
    cast = read(tmp_path / "cast.csv", f'name,birthday\nAda,"{cell}"\n')
    assert cast.entries[0].birthday == birthday
    assert any(doubt in note for note in cast.notes) if doubt else not cast.notes


def test_lines_above_the_header_are_left_out(tmp_path: Path) -> None:
    text = "Besetzung von Cool Movie Film;;\n;;\nStand: 1.1.2020, Archiv;;\n"
    text += "Nr.;Darsteller/in;Rolle(n)\n1;Ada;A\n"
    cast = read(tmp_path / "cast.csv", text)
    assert [(entry.name, entry.role, entry.where) for entry in cast.entries] == [("Ada", "A", "cast.csv:5")]
    assert any("the columns are named in line 4" in note for note in cast.notes)


def test_a_title_above_unknown_columns_is_not_named_as_a_column(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it has the columns 'Wer', 'Rolle'"):
        read(tmp_path / "cast.csv", "Besetzung des Films;\nWer;Rolle\nAda;A\n")
    with pytest.raises(InputError, match="it has the columns 'Wer', 'Rolle'"):
        read(tmp_path / "cast.csv", "Besetzung\nWer;Rolle\nAda;A\n")
    cast = read(tmp_path / "cast.csv", "Besetzung\nMitwirkende/r;Rolle\nAda;A\n")
    assert [(entry.name, entry.role) for entry in cast.entries] == [("Ada", "A")]


def test_rows_of_another_film_are_left_out_and_several_films_need_a_choice(tmp_path: Path) -> None:
    text = "film,year,actor,role\nOther Film,1990,Bob,x\nCool movie film,1998,Ada,y\n"
    cast = read(tmp_path / "cast.csv", text)
    assert [entry.name for entry in cast.entries] == ["Ada"]
    assert (cast.title, cast.year) == ("Cool movie film", "1998")
    with pytest.raises(InputError, match=r"has 2 films .'Other Film', 'Cool movie film'.*none of them is"):
        read(tmp_path / "cast.csv", text, Wanted(1, "Third"))
    text = "movie_id,movie_name,id,name\n1,A,a,Ada\n12345,B,b,Bob\n"
    assert [entry.id for entry in read(tmp_path / "cast.csv", text).entries] == ["b"]


def test_unusual_headers_are_named_by_the_user(tmp_path: Path) -> None:
    text = "Mitwirkende,als\nAda,Heldin\n"
    with pytest.raises(
        InputError, match=r"no column is known to hold the names.*'Mitwirkende'.*--column name="
    ):
        read(tmp_path / "cast.csv", text)
    chosen = Wanted(1, columns={"name": "mitwirkende", "role": "als"})
    assert read(tmp_path / "cast.csv", text, chosen).entries[0].role == "Heldin"
    with pytest.raises(InputError, match="--column role=nichts: there are 0 columns 'nichts'"):
        read(tmp_path / "cast.csv", text, Wanted(1, columns={"name": "Mitwirkende", "role": "nichts"}))
    with pytest.raises(InputError, match="the columns 'Name' and 'Actor' may both hold the name; say which"):
        read(tmp_path / "cast.csv", "Name,Actor\nNeo,Keanu Reeves\n")


def test_surnames_that_come_first_are_turned_only_when_asked(tmp_path: Path) -> None:
    text = 'name\n"Hopper, Grace"\n"Davis, Jr."\nCher\n'
    cast = read(tmp_path / "cast.csv", text)
    assert cast.entries[0].name == "Hopper, Grace"
    assert any("1 name has a comma" in note and "--surname-first" in note for note in cast.notes)
    turned = read(tmp_path / "cast.csv", text, Wanted(1, surname_first=True))
    assert [entry.name for entry in turned.entries] == ["Grace Hopper", "Davis, Jr.", "Cher"]


@pytest.mark.parametrize(
    "content, fault",
    [
        (b"", "is empty"),
        (b"\n\n", "is empty; the first row must name the columns"),
        (b"name,role\n", "has a header but no person"),
        (b"name,role\n,Neo\n", ":2: the row has no name"),
        (b"name,role\nAda,a,b,c\n", ":2: the row has 4 cells, but the header has 2"),
        (b"name,imdb\nAda,tt0111161\n", ":2: 'tt0111161' does not identify a person in imdb"),
        (b"PK\x03\x04rest", "is a spreadsheet or a zip archive; save the table as CSV"),
        (b"\xd0\xcf\x11\xe0rest", "is an old Excel or Word file"),
        (b"%PDF-1.7", "is a PDF"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "is of no known format"),
        (b"{not json", "begins as JSON but is not valid"),
        (b'{"a": 1}', "is of no known format"),
        (codecs.BOM_UTF16_LE + b"n\0a", "is damaged text"),
        (b"\x1f\x8b\x08damaged", "gzip file"),
    ],
)  # fmt: skip
def test_what_is_no_cast_list_is_refused_in_one_line(tmp_path: Path, content: bytes, fault: str) -> None:
    with pytest.raises((InputError, ContractError)) as error:
        read(tmp_path / "cast.csv", content)
    assert fault in str(error.value) and "cast.csv" in str(error.value) and "\n" not in str(error.value)


def test_lists_of_two_formats_or_two_tables_are_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "a.csv", tmp_path / "b.json"
    one.write_text("name\nAda\n")
    other.write_text('{"cast": [{"name": "Ada"}]}')
    with pytest.raises(InputError, match=r"must be of one format, but a\.csv is .*b\.json is TMDB"):
        read_cast_list([one, other], WANTED)
    with pytest.raises(InputError, match="are two cast lists"):
        read_cast_list([one, one], WANTED)
    with pytest.raises(InputError, match="no such cast list"):
        read_cast_list([tmp_path / "c.csv"], WANTED)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no file in this folder can be a cast list"):
        read_cast_list([tmp_path / "empty"], WANTED)


def test_a_quote_that_is_never_closed_does_not_swallow_the_rest_of_the_cast(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"cast\.csv:3: a quote is opened in this row and never closed"):
        read(tmp_path / "cast.csv", 'Name,Role\nA B,x\nC D,"y\nE F,z\nG H,z\n')
    cast = read(tmp_path / "cast.csv", 'Name,Role\nA B,5" gun\nC D,"y\nz"\n')
    assert [entry.name for entry in cast.entries] == ["A B", "C D"]


@pytest.mark.parametrize("name", ["...", "!!"])
def test_a_name_without_a_letter_is_nobody(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContractError, match=r"cast\.csv:2: the name .* has no letter"):
        read(tmp_path / "cast.csv", f"Name,Role\n{name},x\n")


def test_xml_of_another_kind_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is of no known format"):
        read(tmp_path / "cast.xml", "<people><name>Ada</name></people>")
