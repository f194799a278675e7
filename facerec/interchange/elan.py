"""Files of ELAN (.eaf): annotations on tiers, in milliseconds.

The format is EAF 3.0, https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf. Each annotation
has two time slots of its own, so that moving it in ELAN moves no other. The time of writing is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from facerec.errors import ContractError
from facerec.support.xml_text import attribute, element_text, iterate_xml, required

_ROOT = "ANNOTATION_DOCUMENT"
_TYPE = "person"  # the linguistic type of all tiers
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


@dataclass(frozen=True)
class Interval:
    """An annotation: `value` from `begin` to `end`, in milliseconds."""

    begin: int
    end: int
    value: str


@dataclass(frozen=True)
class Tier:
    """The annotations of one person.

    Attributes:
        name: unique in the file.
        participant: who it is about.
        uri: of an external resource; empty if there is none.
        intervals: ascending, not overlapping.
    """

    name: str
    participant: str
    uri: str
    intervals: tuple[Interval, ...]


@dataclass(frozen=True)
class ElanDocument:
    """The contents of a file.

    Attributes:
        date: ISO 8601.
        media_url, media_type: the film, as URL and MIME type.
        relative_url: the film, relative to the file.
        properties: by name.
    """

    date: str
    media_url: str
    media_type: str
    relative_url: str
    tiers: tuple[Tier, ...]
    properties: Mapping[str, str] = field(default_factory=dict)

    def to_xml(self) -> Iterator[str]:
        """Yield the lines of the file."""
        yield '<?xml version="1.0" encoding="UTF-8"?>\n'
        yield f'<{_ROOT} AUTHOR="facerec" DATE={attribute(self.date)} FORMAT="3.0" VERSION="3.0"'
        yield ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        yield f' xsi:noNamespaceSchemaLocation="{_SCHEMA}">\n'
        yield '  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">\n'
        yield f"    <MEDIA_DESCRIPTOR MEDIA_URL={attribute(self.media_url)}"
        yield f" MIME_TYPE={attribute(self.media_type)} RELATIVE_MEDIA_URL={attribute(self.relative_url)}/>\n"
        for name, value in self.properties.items():
            yield f"    <PROPERTY NAME={attribute(name)}>{element_text(value)}</PROPERTY>\n"
        yield "  </HEADER>\n  <TIME_ORDER>\n"
        slots = sorted(
            (time, i, j, k)
            for i, tier in enumerate(self.tiers)
            for j, one in enumerate(tier.intervals)
            for k, time in enumerate((one.begin, one.end))
        )
        number = {slot[1:]: n for n, slot in enumerate(slots, 1)}
        for n, (time, *_) in enumerate(slots, 1):
            yield f'    <TIME_SLOT TIME_SLOT_ID="ts{n}" TIME_VALUE="{time}"/>\n'
        yield "  </TIME_ORDER>\n"
        annotation = 0
        for i, tier in enumerate(self.tiers):
            yield f'  <TIER LINGUISTIC_TYPE_REF="{_TYPE}" PARTICIPANT={attribute(tier.participant)}'
            yield f" TIER_ID={attribute(tier.name)}"
            yield f' EXT_REF="er{i}">\n' if tier.uri else ">\n"
            for j, one in enumerate(tier.intervals):
                annotation += 1
                refs = f'TIME_SLOT_REF1="ts{number[i, j, 0]}" TIME_SLOT_REF2="ts{number[i, j, 1]}"'
                yield f'    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{annotation}" {refs}>'
                yield f"<ANNOTATION_VALUE>{element_text(one.value)}</ANNOTATION_VALUE>"
                yield "</ALIGNABLE_ANNOTATION></ANNOTATION>\n"
            yield "  </TIER>\n"
        yield f'  <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="{_TYPE}"'
        yield ' TIME_ALIGNABLE="true"/>\n'
        for i, tier in enumerate(self.tiers):
            if tier.uri:
                yield f'  <EXTERNAL_REF EXT_REF_ID="er{i}" TYPE="resource_url"'
                yield f" VALUE={attribute(tier.uri)}/>\n"
        yield f"</{_ROOT}>\n"


def read_elan(path: Path) -> ElanDocument:
    """Read the time-aligned annotations of a file; tiers of symbolic annotations are empty.

    Raises:
        InputError: there is no such file.
        ContractError: the file is not one of ELAN, or refers to what it does not have.
    """
    root = None
    for event, element in iterate_xml(path, _ROOT):
        if event == "start" and root is None:
            root = element
    assert root is not None  # a file without an element is not XML
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    film = media.attrib if media is not None else {}
    slots = {required(path, one, "TIME_SLOT_ID"): one.get("TIME_VALUE") for one in root.iter("TIME_SLOT")}
    uris = {required(path, one, "EXT_REF_ID"): one.get("VALUE", "") for one in root.iter("EXTERNAL_REF")}
    return ElanDocument(
        root.get("DATE", ""),
        film.get("MEDIA_URL", ""),
        film.get("MIME_TYPE", ""),
        film.get("RELATIVE_MEDIA_URL", ""),
        tuple(_tier(path, tier, slots, uris) for tier in root.iter("TIER")),
        {required(path, one, "NAME"): one.text or "" for one in root.iterfind("HEADER/PROPERTY")},
    )


def _tier(
    path: Path, tier: ElementTree.Element, slots: Mapping[str, str | None], uris: Mapping[str, str]
) -> Tier:
    intervals = []
    for one in tier.iter("ALIGNABLE_ANNOTATION"):
        times = [slots.get(required(path, one, f"TIME_SLOT_REF{i}")) for i in (1, 2)]
        begin, end = (int(time) if time and time.isdecimal() else None for time in times)
        if begin is None or end is None or begin > end:
            rule = f"annotation {one.get('ANNOTATION_ID')!r} has no beginning, or ends before it"
            raise ContractError(path, rule)
        intervals.append(Interval(begin, end, one.findtext("ANNOTATION_VALUE") or ""))
    name = required(path, tier, "TIER_ID")
    return Tier(name, tier.get("PARTICIPANT", ""), uris.get(tier.get("EXT_REF", ""), ""), tuple(intervals))
