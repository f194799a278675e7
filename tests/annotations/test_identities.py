"""Identities are spelled alike in all truths, and persons are distinguished from other identities."""

from __future__ import annotations

import pytest

from facerec.annotations.identities import NO_FACE, NOT, is_person, plain_name


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Lin-Manuel Miranda", "lin_manuel_miranda"),
        (" Renée  Zellweger ", "renee_zellweger"),
        ("Любовь Орлова", "любовь_орлова"),
        ("O'Toole, Peter", "o_toole_peter"),
        ("--", ""),
    ],
)
def test_plain_name_drops_accents_and_keeps_other_scripts(name: str, plain: str) -> None:
    assert plain_name(name) == plain == plain_name(plain)


def test_only_plain_names_are_persons() -> None:
    assert not is_person(NOT + "ada") and not is_person(NO_FACE) and is_person("notburga")
