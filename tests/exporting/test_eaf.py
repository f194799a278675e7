"""ELAN files: pympi reads them, strict importers' rules hold, and they come back as they were."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from pympi import Elan

import facerec
from facerec.errors import ContractError, InputError
from facerec.interchange.elan import ElanDocument, Interval, read_elan
from tests.exporting.movies import HOSTILE, URI, WRITTEN, exported, open_with_name
from tests.movie_folder import Shown, movie_folder


def written(movie: facerec.Movie, folder: Path) -> Path:
    path = folder / "7.eaf"
    path.write_bytes(exported([movie], "eaf", "eaf"))
    return path


def test_pympi_reads_one_tier_per_person_in_milliseconds(movie: facerec.Movie, tmp_path: Path) -> None:
    file = Elan.Eaf(str(written(movie, tmp_path)))
    assert list(file.get_tier_names()) == ["Ada Lovelace", "unknown 1"]
    tiers = {name: file.get_annotation_data_for_tier(name) for name in file.get_tier_names()}
    assert tiers["Ada Lovelace"] == [(0, 800, "Ada Lovelace"), (800, 1200, "Ada Lovelace")]
    assert tiers["unknown 1"] == [(400, 800, "unknown 1"), (2400, 2800, "unknown 1")]
    assert list(file.external_refs.values()) == [("resource_url", URI.split()[0])]
    properties = dict(file.properties)
    assert properties["facerec:uri:nm1"] == URI
    assert "each frame's presentation time" in properties["facerec:clock"]


def test_the_rules_of_strict_importers_hold(movie: facerec.Movie, tmp_path: Path) -> None:
    """Advene asks for milliseconds in the header; TIB-AV-A takes the label from the value; ids are unique."""
    root = ElementTree.parse(written(movie, tmp_path)).getroot()
    header = root.find("HEADER")
    assert header is not None and header.get("TIME_UNITS") == "milliseconds"
    assert [one.text for one in root.iter("ANNOTATION_VALUE")] == ["Ada Lovelace"] * 2 + ["unknown 1"] * 2
    slots = {one.attrib["TIME_SLOT_ID"]: int(one.attrib["TIME_VALUE"]) for one in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    used = [one.attrib[f"TIME_SLOT_REF{i}"] for one in root.iter("ALIGNABLE_ANNOTATION") for i in (1, 2)]
    assert sorted(used) == sorted(slots)
    assert [one.attrib["ANNOTATION_ID"] for one in root.iter("ALIGNABLE_ANNOTATION")] == [
        "a1",
        "a2",
        "a3",
        "a4",
    ]
    types = {one.attrib["LINGUISTIC_TYPE_ID"] for one in root.iter("LINGUISTIC_TYPE")}
    assert {tier.attrib["LINGUISTIC_TYPE_REF"] for tier in root.iter("TIER")} <= types
    order = [child.tag for child in root]
    assert order == ["HEADER", "TIME_ORDER", "TIER", "TIER", "LINGUISTIC_TYPE", "EXTERNAL_REF"]


def test_what_is_read_is_written_as_it_was(movie: facerec.Movie, tmp_path: Path) -> None:
    path = written(movie, tmp_path)
    document = read_elan(path)
    assert "".join(document.to_xml()).encode() == path.read_bytes()
    assert document.tiers[0].intervals[0] == Interval(0, 800, "Ada Lovelace")
    assert document.relative_url == "./7-Film.mp4" and document.media_type == "video/mp4"


def test_hostile_names_and_namesakes(tmp_path: Path) -> None:
    path = written(open_with_name(tmp_path, HOSTILE), tmp_path)
    shown = WRITTEN.removesuffix("\ufffe")
    assert shown in Elan.Eaf(str(path)).get_tier_names()
    assert "".join(read_elan(path).to_xml()).encode() == path.read_bytes()
    shown = [Shown(0, 0, 10), Shown(1, 0, 10, x=99)]
    names = {0: {"nm1": 0.9}, 1: {"nm2": 0.9}}
    folder = movie_folder(tmp_path / "other", shown, names, cast={"nm1": "John Smith", "nm2": "John Smith"})
    tiers = read_elan(written(facerec.open_movie(folder.path), tmp_path)).tiers
    assert [(tier.name, tier.participant) for tier in tiers] == [
        ("John Smith (nm1)", "John Smith"),
        ("John Smith (nm2)", "John Smith"),
    ]


def test_intervals_of_one_person_never_overlap_at_an_odd_rate(tmp_path: Path) -> None:
    movie = open_with_name(tmp_path, "Ada", time_base="1001/24000")
    for tier in read_elan(written(movie, tmp_path)).tiers:
        for one, other in zip(tier.intervals, tier.intervals[1:], strict=False):
            assert one.begin < one.end <= other.begin


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</TIER>", "", "7.eaf:.*: is not XML"),
        ("ANNOTATION_DOCUMENT", "html", "the outermost element is 'html', not 'ANNOTATION_DOCUMENT'"),
        ('TIME_SLOT_REF1="', 'TIME_SLOT_REF1="x', "annotation 'a1' has no beginning"),
        ("TIER_ID=", "X=", "an element 'TIER' has no attribute 'TIER_ID'"),
    ],
)
def test_a_broken_file_is_refused(
    movie: facerec.Movie, tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = written(movie, tmp_path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ContractError, match=message):
        read_elan(path)
    with pytest.raises(InputError, match=r"no.eaf: no such file"):
        read_elan(tmp_path / "no.eaf")


def test_a_file_that_elan_saved_is_read(tmp_path: Path) -> None:
    """ELAN adds locales, constraints and tiers of references, and drops what it does not know."""
    path = tmp_path / "elan.eaf"
    path.write_text(
        """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-01-01T00:00:00+01:00" FORMAT="3.0" VERSION="3.0">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="40"/>
    <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="80"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="person" TIER_ID="Bob">
    <ANNOTATION>
      <ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
        <ANNOTATION_VALUE/>
      </ALIGNABLE_ANNOTATION>
    </ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="n" PARENT_REF="Bob" TIER_ID="notes">
    <ANNOTATION>
      <REF_ANNOTATION ANNOTATION_ID="a2" ANNOTATION_REF="a1">
        <ANNOTATION_VALUE>x</ANNOTATION_VALUE>
      </REF_ANNOTATION>
    </ANNOTATION>
  </TIER>
  <LOCALE LANGUAGE_CODE="en"/>
</ANNOTATION_DOCUMENT>
"""
    )
    document = read_elan(path)
    assert [(tier.name, tier.intervals) for tier in document.tiers] == [
        ("Bob", (Interval(40, 80, ""),)),
        ("notes", ()),
    ]
    assert isinstance(document, ElanDocument) and document.media_url == ""
