"""Names of tar shards are expanded as bash does."""

from __future__ import annotations

import subprocess

import pytest

from facerec.errors import InputError
from facerec.feature_runs.braces import expand


@pytest.mark.parametrize(
    "pattern",
    [
        "clips/shard-{000000..000004}.tar",
        "shard-{8..11}.tar",
        "shard-{08..11}.tar",
        "shard-{3..1}.tar",
        "shard-{0..10..4}.tar",
        "{a,b}-{1..2}.tar",
        "{train,test,}.tar",
        "shard-{-2..01}.tar",
        "plain.tar",
        "shard-{5}.tar",
        "shard-{}.tar",
        "shard-{a..}.tar",
    ],
)
def test_names_are_those_of_bash(pattern: str) -> None:
    found = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {pattern}"], capture_output=True, text=True, check=True
    )
    assert expand(pattern) == found.stdout.split("\n")[:-1]


@pytest.mark.parametrize("pattern", ["{1..999999999999}", "{1..2000}{1..2000}"])
def test_a_pattern_for_too_many_names_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match=r"more than 1,000,000 names; give a smaller range"):
        expand(pattern)
