"""IMDb's dataset files are streamed: the cast of one film of millions, in bounded memory."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from facerec.catalogues import imdb
from facerec.catalogues.base import CastList, Wanted
from facerec.catalogues.registry import read_cast_list
from facerec.errors import ContractError, InputError
from tests.conftest import ROOT

BASICS = (
    "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n"
)
PRINCIPALS = "tconst\tordering\tnconst\tcategory\tjob\tcharacters\n"
NAMES = "nconst\tprimaryName\tbirthYear\tdeathYear\tprimaryProfession\tknownForTitles\n"
FILES = {
    "title.basics.tsv": BASICS
    + "tt0000009\tmovie\tMiss Jerry\tMiss Jerry\t0\t1894\t\\N\t45\tRomance\n"
    + "tt0133093\tmovie\tThe Matrix\tThe Matrix\t0\t1999\t\\N\t136\tAction\n"
    + "tt0000010\tmovie\tLe Film\tDer Film é\t0\t1998\t\\N\t\\N\t\\N\n"
    + "tt0000011\ttvEpisode\tLe film\tThird\t0\t1998\t\\N\t\\N\t\\N\n",
    "title.principals.tsv": PRINCIPALS
    + 'tt0133093\t1\tnm0000206\tactor\t\\N\t["Neo","Thomas ""A"""]\n'.replace('""', '\\"')
    + 'tt0133093\t2\tnm0000401\tactor\t\\N\t["Morpheus"]\n'
    + "tt0133093\t3\tnm0905154\tdirector\t\\N\t\\N\n"
    + "tt0133093\t4\tnm0000401\tself\t\\N\t\\N\n"
    + "tt0133093\t5\tnm5555555\tactress\t\\N\t\\N\n"
    + 'tt01330930\t1\tnm0000999\tactor\t\\N\t["Nobody"]\n',
    "name.basics.tsv": NAMES
    + "nm0000206\tKeanu Reeves\t1964\t\\N\tactor\ttt0133093\n"
    + 'nm0000401\tLaurence "Larry" Fishburne\t\\N\t\\N\tactor\ttt0133093\n'
    + "nm5555555\tMissing Birthday\t\\N\t\\N\tactress\t\\N\n"
    + "nm00002061\tOther\t1900\t\\N\tactor\t\\N\n",
}


def written(folder: Path, compressed: bool = True) -> list[Path]:
    """The three files, under names that say nothing."""
    folder.mkdir(exist_ok=True)
    paths = []
    for i, text in enumerate(FILES.values()):
        path = folder / f"{i}.tsv{'.gz' if compressed else ''}"
        path.write_bytes(gzip.compress(text.encode()) if compressed else text.encode())
        paths.append(path)
    return paths


def read(paths: Sequence[Path], wanted: Wanted) -> CastList:
    return read_cast_list(paths, wanted)


@pytest.mark.parametrize("compressed", [True, False])
def test_the_cast_of_a_film_is_found_by_title_and_year(tmp_path: Path, compressed: bool) -> None:
    paths = written(tmp_path / "imdb", compressed)
    cast = read([tmp_path / "imdb"], Wanted(1, "the MATRIX", "1999"))
    keanu, laurence, third = cast.entries
    assert (cast.title, cast.year) == ("The Matrix", "1999")
    assert (keanu.id, keanu.name, keanu.birthday) == ("nm0000206", "Keanu Reeves", "1964")
    assert keanu.role == 'Neo / Thomas "A"' and keanu.uris == ("https://www.imdb.com/name/nm0000206/",)
    assert (laurence.name, laurence.role, laurence.birthday) == (
        'Laurence "Larry" Fishburne', "Morpheus / Self", "",
    )  # fmt: skip
    assert (third.role, third.birthday) == ("", "")
    assert read(paths, Wanted(1, film_id="tt0133093")).entries == cast.entries
    assert read(paths[1:], Wanted(1, film_id="tt0133093")).entries == cast.entries


@pytest.mark.parametrize("block", [7, 64, 1 << 20])
def test_where_a_block_ends_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    paths = written(tmp_path)
    whole = read(paths, Wanted(1, "The Matrix", "1999"))
    monkeypatch.setattr(imdb, "_BLOCK", block)
    monkeypatch.setattr(imdb, "_FEW", 0 if block == 64 else 8)
    if block == 7:  # shorter than a line
        with pytest.raises(ContractError, match="a line has more than"):
            read(paths, Wanted(1, "The Matrix", "1999"))
        return
    monkeypatch.setattr(imdb, "_BLOCK", 200)
    assert read(paths, Wanted(1, "The Matrix", "1999")) == whole


def test_doubts_about_film_and_files_are_refused(tmp_path: Path) -> None:
    basics, principals, names = written(tmp_path)
    with pytest.raises(InputError, match=r"2 titles are 'Le Film' of 1998: tt0000010.*tt0000011.*--title-id"):
        read([basics, principals, names], Wanted(1, "Le Film", "1998"))
    with pytest.raises(InputError, match="no title 'Der Film' of 1998"):
        read([basics, principals, names], Wanted(1, "Der Film", "1998"))
    with pytest.raises(InputError, match="has no actor of tt0000010"):
        read([basics, principals, names], Wanted(1, "Der film e", "1998"))
    with pytest.raises(InputError, match="Give --name and --year, or its IMDb id"):
        read([basics, principals, names], Wanted(1))
    with pytest.raises(InputError, match=r"name\.basics\.tsv\.gz is missing"):
        read([basics, principals], Wanted(1, "The Matrix", "1999"))
    with pytest.raises(InputError, match=r"are both title\.basics"):
        read([basics, basics], Wanted(1))
    names.write_bytes(gzip.compress(NAMES.encode()))
    with pytest.raises(InputError, match=r"has no row for 3 people of tt0133093.*download all files"):
        read([basics, principals, names], Wanted(1, film_id="tt0133093"))
    whole = principals.read_bytes()
    principals.write_bytes(whole[:-12])
    with pytest.raises(ContractError, match="the gzip file ends too early; download it again"):
        read([basics, principals, names], Wanted(1, film_id="tt0133093"))


PROBE = """
import json, resource, sys
from pathlib import Path
from facerec.catalogues.base import Wanted
from facerec.catalogues.registry import read_cast_list
from facerec.support.cli import configure_logging, progress
configure_logging()
idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
cast = read_cast_list([Path(sys.argv[1])], Wanted(1, "The Film", "1998"), progress)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([len(cast.entries), cast.entries[-1].name, idle, peak]))
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_millions_of_rows_need_no_more_memory_than_a_few(tmp_path: Path) -> None:
    rows = 3_000_000
    with gzip.open(tmp_path / "title.basics.tsv.gz", "wt", compresslevel=1) as file:
        file.write(BASICS)
        for i in range(0, rows, 10):
            file.write(f"tt{i:07}\tmovie\tFilm {i}\tFilm {i}\t0\t{1900 + i % 100}\t\\N\t90\tDrama\n")
        file.write("tt9999999\tmovie\tThe Film\tThe Film\t0\t1998\t\\N\t90\tDrama\n")
    with gzip.open(tmp_path / "title.principals.tsv.gz", "wt", compresslevel=1) as file:
        file.write(PRINCIPALS)
        for i in range(rows):
            file.write(f'tt{i // 10 * 10:07}\t{i % 10}\tnm{i:07}\tactor\t\\N\t["Role {i}"]\n')
        for i in range(40):
            file.write(f'tt9999999\t{i}\tnm{rows - 1 - i:07}\tactor\t\\N\t["Role {i}"]\n')
    with gzip.open(tmp_path / "name.basics.tsv.gz", "wt", compresslevel=1) as file:
        file.write(NAMES)
        for i in range(rows):
            file.write(f"nm{i:07}\tPerson {i}\t{1900 + i % 100}\t\\N\tactor\ttt{i:07},tt{i + 1:07}\n")
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    people, last, idle, peak = json.loads(done.stdout)
    assert (people, last) == (40, f"Person {rows - 40}")
    assert peak - idle < 40 << 10, (idle, peak)  # KiB; the three files have 276 MB
