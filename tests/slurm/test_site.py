"""The site profile: misspelt settings and wrong types are reported, not ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec.errors import InputError
from slurm.options import ROOT
from slurm.site import Resources, parse_minutes, parse_size
from slurm.site_file import load_site, split_settings

SHIPPED = ROOT / "slurm" / "cluster.toml"


def profile(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cluster.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_profile_is_valid_and_its_comments_show_the_defaults(tmp_path: Path) -> None:
    site = load_site(SHIPPED)
    lines = SHIPPED.read_text().splitlines()[5:]
    shown = "\n".join(line.removeprefix("# ") if " = " in line else line for line in lines)
    assert load_site(profile(tmp_path, shown)) == site
    assert site.stages["extract"] == Resources()


def test_the_table_of_a_stage_overrides_all_in_any_order(tmp_path: Path) -> None:
    site = load_site(profile(tmp_path, '[merge]\npartition = "big"\n[all]\npartition = "main"\ncpus = 3'))
    assert [site.stages[stage].partition for stage in ("extract", "merge")] == ["main", "big"]
    assert site.stages["merge"].cpus == 3


def test_the_command_line_overrides_the_file(tmp_path: Path) -> None:
    path = profile(tmp_path, '[extract]\nmemory = "4G"\n[local]\nworkers = 2')
    overrides = ["extract.memory=32G", "account=a b", "merge.time=2:00:00", "local.workers=5", "settle=7"]
    site = load_site(path, [*overrides, "modules=['x', 'y']", "setup=one line", "extract.sbatch={nice = 5}"])
    extract = site.stages["extract"]
    assert (extract.memory, extract.account, extract.modules) == ("32G", "a b", ("x", "y"))
    assert (extract.setup, extract.sbatch) == (("one line",), {"nice": "5"})
    assert (site.stages["merge"].minutes, site.local.workers, site.settle) == (120, 5, 7)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (
            "[extract]\npartiton = 'x'",
            r"unknown setting 'partiton'; did you mean 'partition'\? valid names: part",
        ),
        ("[extrct]\ncpus = 1", r"unknown table 'extrct'; did you mean 'extract'\?"),
        ("cpus = 1", "unknown table 'cpus'"),
        ("[local]\nworker = 1", "did you mean 'workers'"),
        ("extract = 1", r"\[extract\] must be a table"),
        ("[all]\ncpus = 'two'", "cpus must be a whole number"),
        ("[all]\ncpus = -1", "cpus must be a whole number"),
        ("[all]\ngpus = true", "gpus must be a whole number"),
        ("[all]\nmemory = true", "memory must be a string"),
        ("[all]\nmemory = '8'", "'8' is not an amount of memory"),
        ("[all]\ntime = 'soon'", "'soon' is not a time"),
        ("[all]\ntime = '0:00'", "it must be above 0"),
        ("[all]\nmodules = [1]", "modules must be a list of strings"),
        ("[all]\nsbatch = ['x']", "sbatch must be a table of options"),
        ("settle = 'long'", "settle must be a whole number"),
        ("[all", "not valid TOML"),
    ],
)
def test_a_wrong_setting_is_reported_in_one_line(tmp_path: Path, text: str, answer: str) -> None:
    with pytest.raises(InputError, match=answer) as caught:
        load_site(profile(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "answer"),
    [
        ("memroy=1G", "did you mean 'memory'"),
        ("merg.cpus=1", "did you mean 'merge'"),
        ("cpus", "give setting=value"),
        ("cpus=inf", "cpus must be a whole number"),
        ("cpus=nan", "cpus must be a whole number"),
    ],
)
def test_a_wrong_override_is_reported(override: str, answer: str) -> None:
    with pytest.raises(InputError, match=answer):
        load_site(SHIPPED, [override])


def test_a_missing_profile_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SITE=FILE"):
        load_site(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("1:30", 2),
        ("1:30:00", 90),
        ("0:0:1", 1),
        ("1-0", 1440),
        ("2-12:00:00", 3600),
        ("1-01:30", 1530),
    ],
)
def test_times_are_parsed_as_slurm_does(text: str, expected: int) -> None:
    assert parse_minutes(text) == expected


def test_sizes_need_a_unit() -> None:
    assert (parse_size("8G"), parse_size("500MB"), parse_size("1t")) == (8 << 30, 500 << 20, 1 << 40)
    for text in ("8", "G", "0G", "1.5G", "-1G"):
        with pytest.raises(InputError):
            parse_size(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1  b.c=2", ["a=1", "b.c=2"]),
        ('all.modules=["python/3.11", "a b"] x=1', ['all.modules=["python/3.11", "a b"]', "x=1"]),
        ("setup='one line' y=2", ["setup=one line", "y=2"]),
        ('"account=a b"', ["account=a b"]),
        ("all.sbatch={ mail-user = 'a b' }", ["all.sbatch={ mail-user = 'a b' }"]),
        ("", []),
    ],
)
def test_quotes_inside_lists_belong_to_toml(text: str, expected: list[str]) -> None:
    assert split_settings(text) == expected
    load_site(SHIPPED, [word for word in expected if word.startswith("all.")])


@pytest.mark.parametrize("option", ["job-name", "output", "comment", "cpus_per_task", "time", "mem"])
def test_options_that_the_launcher_needs_cannot_be_replaced(tmp_path: Path, option: str) -> None:
    with pytest.raises(InputError, match=option.replace("_", "-")):
        load_site(profile(tmp_path, f"[all]\nsbatch = {{ {option} = 'x' }}"))


@pytest.mark.parametrize(
    "setting", ["gpus=1", "gres=gpu:a100:1", "gres=shard:1", "gres=mps:25", "sbatch={ gpus-per-task = '1' }"]
)
def test_a_task_with_a_gpu_gets_cores_and_memory_for_it_unless_they_are_given(setting: str) -> None:
    file = ROOT / "slurm" / "cluster.toml"
    extract = load_site(file, [f"extract.{setting}"]).stages["extract"]
    assert extract.has_gpu and (extract.cpus, extract.memory) == (8, "16G")
    extract = load_site(file, [f"extract.{setting}", "extract.cpus=2", "all.memory=9G"]).stages["extract"]
    assert (extract.cpus, extract.memory) == (2, "9G")


@pytest.mark.parametrize("setting", ["gpus=0", "gres=craynetwork:1", "gres=''"])
def test_a_task_without_a_gpu_keeps_its_defaults(setting: str) -> None:
    extract = load_site(ROOT / "slurm" / "cluster.toml", [f"extract.{setting}"]).stages["extract"]
    assert not extract.has_gpu and (extract.cpus, extract.memory) == (2, "8G")
