"""Tar shards of clips: outputs, hostile tars and lists, runs that go on."""

from __future__ import annotations

import io
import json
import logging
import os
import pickle
import signal
import tarfile
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec.errors import InputError
from facerec.feature_runs.claims import Claims
from facerec.feature_runs.engine import FeatureEngine
from facerec.feature_runs.feature_folder import FeatureFolder
from facerec.feature_runs.media import open_footage
from facerec.feature_runs.run_log import RunLog
from facerec.feature_runs.tar_shard import find_shards
from facerec.feature_runs.tar_source import TarSource
from facerec.feature_runs.worker import Worker
from facerec.features import EXTRACTORS
from tests.feature_runs.test_list_source import _SPAWN, NAMES, Loudness16, files, index, reasons
from tests.feature_runs.test_list_source import run as run_list
from tests.feature_runs.toys import ENTRIES, Numbers, Stateful
from tests.films import make_film
from tests.processes import wait_until

Member = tuple[tarfile.TarInfo, bytes]


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A film of 5 frames that spell 0 to 4."""
    return make_film(tmp_path_factory.mktemp("clips") / "clip.mp4", 5).read_bytes()


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A film of 3 frames."""
    return make_film(tmp_path_factory.mktemp("clips") / "other.mp4", 3).read_bytes()


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    return info, data


def pack(path: str, members: Iterable[Member]) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return Path(path)


def row(filename: str, **changes: Any) -> dict[str, Any]:
    return {"filename": filename, "id": Path(filename).stem[:11], "segment": [0, 10], **changes}


def shard(path: str, clips: dict[str, bytes]) -> None:
    pack(path, [member(name, data) for name, data in clips.items()])
    Path(path).with_suffix(".json").write_text(json.dumps([row(name) for name in clips]))


def run(
    pattern: str = "clips/shard-{0..2}.tar",
    *features: str,
    pickled: bool = False,
    opened: Callable[[Path], None] = lambda _: None,
    batch_size: int = 4,
) -> dict[str, Any]:
    """Extract features of tar shards as the command does; return the summary."""
    EXTRACTORS.update(ENTRIES)  # type: ignore[attr-defined]
    extractors = {"numbers": Numbers(batch_size), "stateful": Stateful(), "loudness": Loudness16()}

    def open_clip(path: Path) -> Any:
        opened(path)
        return open_footage(path, 25.0, 1)

    try:
        folder = FeatureFolder(Path("out"), tars=True)
        names = {name: NAMES[name] for name in features or ("numbers", "loudness")}
        source = TarSource(find_shards([pattern]), names, folder, open_clip, pickled)
        log = RunLog(folder.path)
        with Claims(folder.claims, source.retry) as claims:
            Worker(FeatureEngine(extractors), claims, folder.index, log).run(source.units())
        log.close()
        return source.finish()
    finally:
        for name in ENTRIES:
            EXTRACTORS.pop(name, None)  # type: ignore[attr-defined]


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_a_shard_gives_an_archive_and_a_line_for_each_clip(clip: bytes, other: bytes) -> None:
    shard("clips/shard-0.tar", {"abc_10.mp4": clip, "abc_20.mp4": other})
    shard("clips/shard-2.tar", {"x.mp4": clip})
    assert run("clips/shard-{0..2}.tar", "numbers", "stateful", "loudness") == {
        "finished": 3, "failed": 0, "unfinished": 0,
    }  # fmt: skip
    with np.load("out/shard-0.npz") as arrays:
        assert [*arrays] == [
            "abc_10.mp4/numbers/features",
            *(f"abc_10.mp4/stateful/{name}" for name in Stateful.arrays),
            "abc_20.mp4/numbers/features",
            *(f"abc_20.mp4/stateful/{name}" for name in Stateful.arrays),
        ]
        assert arrays["abc_10.mp4/numbers/features"].tolist() == [[0], [2], [4]]
        assert arrays["abc_20.mp4/stateful/number"].tolist() == [0]
    first, second = lines("out/shard-0.jsonl")
    assert (first["filename"], first["id"], first["segment"]) == ("abc_10.mp4", "abc_10", [0, 10])
    assert (first["duration"], first["frames"], first["width"]) == (0.2, 5, 160)
    numbers = first["features"]["numbers"]
    assert numbers["padded"] is False
    assert numbers["arrays"]["features"] == {
        "key": "abc_10.mp4/numbers/features", "shape": [3, 1], "dtype": "float32",
    }  # fmt: skip
    assert first["features"]["loudness"] == {"note": "abc_10.mp4: has no sound"}
    assert second["filename"] == "abc_20.mp4"
    assert [*index()] == [
        ("shard-0", "shard"),
        *(("shard-0/abc_10.mp4", name) for name in ("numbers", "stateful", "loudness")),
        *(("shard-0/abc_20.mp4", name) for name in ("numbers", "stateful", "loudness")),
        ("shard-2", "shard"),
        *(("shard-2/x.mp4", name) for name in ("numbers", "stateful", "loudness")),
    ]
    assert {entry["output"] for (item, _), entry in index().items() if item[:7] == "shard-0"} == {
        "shard-0.npz", None,
    }  # fmt: skip
    assert not list(Path("out/.work/parts").glob("*")), "the files of single clips are left"


def test_a_missing_tar_is_skipped_with_a_line(clip: bytes, caplog: pytest.LogCaptureFixture) -> None:
    shard("clips/shard-1.tar", {"x.mp4": clip})
    assert run()["failed"] == 0
    assert "clips/shard-0.tar: no such file; skipped" in caplog.text
    assert "clips/shard-2.tar: no such file; skipped" in caplog.text
    assert Path("out/shard-1.npz").exists() and len(list(Path("out").glob("*.npz"))) == 1


def test_patterns_without_a_tar_or_with_two_of_one_name(clip: bytes) -> None:
    with pytest.raises(InputError, match=r"shard-\{0..2\}.tar: none of the 3 tar files is there"):
        find_shards(["clips/shard-{0..2}.tar"])
    shard("a/x.tar", {"x.mp4": clip})
    shard("b/x.tar", {"x.mp4": clip})
    with pytest.raises(InputError, match=r"a/x.tar and b/x.tar have the same name"):
        find_shards(["{a,b}/x.tar"])
    shard("c/{1,2}.tar", {"x.mp4": clip})
    assert find_shards(["c/{1,2}.tar", "a/x.tar", "a/x.tar"]) == [Path("c/{1,2}.tar"), Path("a/x.tar")]


def test_pickled_shards_are_lists_of_dictionaries(clip: bytes) -> None:
    pack("clips/shard-0.tar", [member("abc.mp4", clip), member("bad.mp4", b"no film")])
    rows = [row("abc.mp4", segment=[3, 13.5]), row("bad.mp4")]
    Path("clips/shard-0.json").write_text(json.dumps(rows))
    run("clips/shard-0.tar", "stateful", "numbers", "loudness", pickled=True)
    (found,) = pickle.loads(Path("out/shard-0.pkl").read_bytes())
    assert [*found] == ["filename", "id", "segment", "visual_features", "audio_features"]
    assert (found["filename"], found["id"], found["segment"]) == ("abc.mp4", "abc", [3, 13.5])
    stateful, numbers = found["visual_features"]
    assert numbers["extractor_name"] == "numbers" and numbers["dataset"] is None
    assert [*numbers["feat_array"]] == ["layer_0"]
    assert numbers["feat_array"]["layer_0"].tolist() == [[0], [2], [4]]
    assert [*stateful["feat_array"]] == [*Stateful.arrays]
    assert found["audio_features"] == []
    assert not list(Path("out").glob("shard-0.[nj]*"))
    assert reasons()["shard-0/bad.mp4"]


def test_members_are_found_by_name_by_folder_and_without_suffix(clip: bytes, other: bytes) -> None:
    pack(
        "clips/shard-0.tar",
        [
            member("./a.mp4", clip),
            member("sub/b.mp4", other),
            member("c.mp4", clip),
            member("c.txt", b"text"),
            member("c.json", b"{}"),
            member("sub", kind=tarfile.DIRTYPE),
        ],
    )
    Path("clips/shard-0.json").write_text(json.dumps([row("a.mp4"), row("b.mp4"), row("c")]))
    assert run() == {"finished": 3, "failed": 0, "unfinished": 0}
    with np.load("out/shard-0.npz") as arrays:
        assert [len(arrays[f"{name}/numbers/features"]) for name in ("a.mp4", "b.mp4", "c")] == [3, 2, 3]


def test_members_with_decomposed_names_are_found_unless_another_has_the_very_name(
    clip: bytes, other: bytes
) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Küche.mp4") for form in ("NFC", "NFD"))
    for number, members in enumerate(({decomposed: clip}, {decomposed: clip, composed: other})):
        pack(f"clips/shard-{number}.tar", [member(name, data) for name, data in members.items()])
        rows = [row(composed), row(decomposed)][: len(members)]
        Path(f"clips/shard-{number}.json").write_text(json.dumps(rows))
    assert run(pattern="clips/shard-{0..1}.tar") == {"finished": 3, "failed": 0, "unfinished": 0}
    with np.load("out/shard-0.npz") as arrays:
        assert len(arrays[f"{composed}/numbers/features"]) == 3
    with np.load("out/shard-1.npz") as arrays:
        assert [len(arrays[f"{n}/numbers/features"]) for n in (composed, decomposed)] == [2, 3]


def test_hostile_members_fail_alone(clip: bytes, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    members = [
        member("good.mp4", clip),
        member("../up.mp4", clip),
        member("/abs.mp4", clip),
        member("sub/../../up2.mp4", clip),
        member("sym.mp4", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        member("hard.mp4", kind=tarfile.LNKTYPE, link="good.mp4"),
        member("dev.mp4", kind=tarfile.CHRTYPE),
        member("fifo.mp4", kind=tarfile.FIFOTYPE),
        member("text.mp4", b"no film at all"),
        member("empty.mp4", b""),
        member("twice.mp4", clip),
        member("twice.mp4", clip),
        member("unlisted.mp4", clip),
        member("row.mp4", clip),
        member("seg.mp4", clip),
    ]
    pack("clips/shard-0.tar", members)
    listed = [row(info.name) for info, _ in members[:11]]
    listed[1] = row("up.mp4")
    listed += [row("none.mp4"), {"id": 3}, 7, row(""), row("../../x.mp4"), row("row.mp4"), row("row.mp4")]
    listed += [row("row.mp4", id="another"), row("seg.mp4", segment="0-10")]
    Path("clips/shard-0.json").write_text(json.dumps(listed))
    summary = run("clips/shard-0.tar", "numbers")
    found = {item.removeprefix("shard-0/"): reason for item, reason in reasons().items()}
    for item, reason in {
        "up.mp4": "its name leads out of the tar",
        "/abs.mp4": "its filename leads out of the tar",
        "sub/../../up2.mp4": "its filename leads out of the tar",
        "sym.mp4": "is a link",
        "hard.mp4": "is a link",
        "dev.mp4": "is not a file",
        "fifo.mp4": "is not a file",
        "text.mp4": "text.mp4: not a readable film",
        "empty.mp4": "empty.mp4: is empty (0 bytes)",
        "twice.mp4": "the tar has 2 members for it",
        "unlisted.mp4": "is in the tar, but not in shard-0.json; add a row for it",
        "none.mp4": "is in shard-0.json, but not in the tar",
        "row 12": "no filename in its row 12",
        "row 13": "no filename in its row 13",
        "row 14": "no filename in its row 14",
        "../../x.mp4": "its filename leads out",
        "row.mp4 (row 18)": "this filename is in an earlier row too",
        "seg.mp4": "is not [start, end]",
    }.items():
        assert reason in found.pop(item), item
    assert found == {"shard-0": "18 of 20 clips failed"}
    assert summary == {"finished": 2, "failed": 18, "unfinished": 0}
    assert "row 17 repeats row.mp4; skipped" in caplog.text
    with np.load("out/shard-0.npz") as arrays:
        assert [*arrays] == ["good.mp4/numbers/features", "row.mp4/numbers/features"]
    assert all("reason" in line["features"]["numbers"] for line in lines("out/shard-0.jsonl")[1:14])
    assert {path.name for path in tmp_path.iterdir()} == {"clips", "out"}
    assert tempfile.gettempdir() not in Path("out/index.jsonl").read_text()


@pytest.mark.parametrize("cut", ["data", "header", "start of a header"])
def test_a_truncated_tar_gives_the_clips_that_are_whole(clip: bytes, cut: str) -> None:
    shard("clips/shard-0.tar", {"a.mp4": clip, "b.mp4": clip, "c.mp4": clip})
    with tarfile.open("clips/shard-0.tar") as archive:
        last = archive.getmember("c.mp4" if cut == "data" else "b.mp4")
    end = {"data": last.offset_data + 700, "header": last.offset + 100, "start of a header": last.offset}[cut]
    os.truncate("clips/shard-0.tar", end)
    assert run("clips/shard-0.tar", "numbers")["failed"] == (1 if cut == "data" else 2)
    if cut != "start of a header":
        assert "truncated" in reasons()["shard-0/c.mp4"]
    with np.load("out/shard-0.npz") as arrays:
        assert "a.mp4/numbers/features" in arrays


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("json", None, "shard-1.json: this file must exist"),
        ("json", b"", "shard-1.json: the file is empty"),
        ("json", b"{not json", "not valid JSON"),
        ("json", b'{"filename": "a.mp4"}', "a JSON list of"),
        ("json", b"[" * 100000, "not valid JSON"),
        ("tar", b"no tar at all" * 100, "is not a tar file"),
        ("tar", b"", "is not a tar file"),
        ("tar", b"\x1f\x8b" + b"\0" * 600, "is not a tar file"),
    ],
)
def test_a_shard_that_cannot_be_read_fails_alone(
    clip: bytes, name: str, data: bytes | None, reason: str
) -> None:
    for n in range(3):
        shard(f"clips/shard-{n}.tar", {"a.mp4": clip})
    broken = Path(f"clips/shard-1.{name}")
    broken.unlink()
    if data is not None:
        broken.write_bytes(data)
    assert run() == {"finished": 2, "failed": 1, "unfinished": 0}
    assert reason in reasons()["shard-1"]


def test_failed_clips_are_tried_again_and_finished_ones_are_not(clip: bytes, other: bytes) -> None:
    shard("clips/shard-0.tar", {"a.mp4": clip, "b.mp4": b"copied later", "c.mp4": other})
    opened: list[int] = []
    assert run("clips/shard-0.tar", opened=lambda path: opened.append(path.stat().st_size))["failed"] == 1
    assert opened == [len(clip), 12, len(other)]
    shard("clips/shard-0.tar", {"a.mp4": clip, "b.mp4": clip, "c.mp4": other})
    opened.clear()
    assert run("clips/shard-0.tar", opened=lambda path: opened.append(path.stat().st_size))["failed"] == 0
    assert opened == [len(clip)]
    again = files()
    Path("out").rename("before")
    run("clips/shard-0.tar")
    assert files() == again


def test_finished_shards_are_skipped_and_lost_ones_made_again(
    clip: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    shard("clips/shard-0.tar", {"a.mp4": clip})
    shard("clips/shard-1.tar", {"a.mp4": clip})
    run()
    whole = files()
    Path("out/shard-1.npz").unlink()
    opened: list[Path] = []
    with caplog.at_level(logging.INFO):
        run(opened=opened.append)
    assert len(opened) == 1
    assert "shard-0: finished before; skipped" in caplog.text
    assert files() == whole


def test_a_shard_that_was_replaced_is_done_again(clip: bytes, other: bytes) -> None:
    shard("clips/shard-0.tar", {"a.mp4": clip})
    run("clips/shard-0.tar")
    shard("clips/shard-0.tar", {"a.mp4": other, "b.mp4": b"x" * 20000})
    run("clips/shard-0.tar")
    with np.load("out/shard-0.npz") as arrays:
        assert arrays["a.mp4/numbers/features"][:, 0].tolist() == [0, 2]
    shard("clips/shard-0.tar", {"a.mp4": clip, "b.mp4": clip, "c.mp4": clip})
    run("clips/shard-0.tar")
    with np.load("out/shard-0.npz") as arrays:
        assert arrays["a.mp4/numbers/features"][:, 0].tolist() == [0, 2, 4]


def test_a_file_of_another_program_is_not_overwritten(clip: bytes) -> None:
    shard("clips/shard-0.tar", {"a.mp4": clip})
    Path("out").mkdir()
    np.savez("out/shard-0.npz", a=np.zeros(2))
    assert run("clips/shard-0.tar")["failed"] == 1
    assert "is there already" in reasons()["shard-0"]
    with np.load("out/shard-0.npz") as arrays:
        assert [*arrays] == ["a"]


def test_a_foreign_file_in_place_of_the_lines_is_not_overwritten(clip: bytes) -> None:
    for name in ("index", "shard-0"):  # out/index.jsonl is the index
        shard(f"clips/{name}.tar", {"a.mp4": clip})
    Path("out").mkdir()
    Path("out/shard-0.jsonl").write_text("precious")
    assert run("clips/{index,shard-0}.tar")["failed"] == 2
    assert "out/shard-0.jsonl: is there already" in reasons()["shard-0"]
    assert "out/index.jsonl: is a file of out itself" in reasons()["index"]
    assert Path("out/shard-0.jsonl").read_text() == "precious"


@pytest.mark.parametrize(
    "segment", [[5, 2], [-3, -1], [0], ["0", "2"], {"beg": 0}, [0, None], [True, 2]], ids=str
)
def test_a_segment_that_is_none_fails_its_clip(clip: bytes, segment: Any) -> None:
    pack("clips/shard-0.tar", [member("a.mp4", clip), member("b.mp4", clip)])
    Path("clips/shard-0.json").write_text(json.dumps([row("a.mp4", segment=segment), row("b.mp4")]))
    assert run("clips/shard-0.tar") == {"finished": 1, "failed": 1, "unfinished": 0}
    assert "segment in shard-0.json is not [start, end]" in reasons()["shard-0/a.mp4"]


@pytest.mark.parametrize("name", ["a.m\0", "x/" * 33000 + "a.mp4"], ids=["nul", "long"])
def test_a_filename_that_no_file_has_fails_its_clip(clip: bytes, name: str) -> None:
    pack("clips/shard-0.tar", [member("a.mp4", clip), member("b.mp4", clip)])
    Path("clips/shard-0.json").write_text(json.dumps([row(name), row("b.mp4")]))
    assert run("clips/shard-0.tar") == {"finished": 1, "failed": 1, "unfinished": 0}
    assert "NUL character or more than 4096 bytes" in reasons()[f"shard-0/{name}"]


def test_a_clip_that_was_taken_from_the_list_no_longer_fails(clip: bytes) -> None:
    shard("clips/shard-0.tar", {"a.mp4": clip})
    rows = [row("a.mp4"), row("gone.mp4")]
    Path("clips/shard-0.json").write_text(json.dumps(rows))
    assert run("clips/shard-0.tar") == {"finished": 1, "failed": 1, "unfinished": 0}
    Path("clips/shard-0.json").write_text(json.dumps(rows[:1]))
    assert run("clips/shard-0.tar") == {"finished": 1, "failed": 0, "unfinished": 0}
    assert {item for item, _ in index()} == {"shard-0", "shard-0/a.mp4"}
    assert [line["filename"] for line in lines("out/shard-0.jsonl")] == ["a.mp4"]


def test_a_list_that_changed_and_lost_lines_are_made_again(clip: bytes) -> None:
    shard("clips/shard-0.tar", {"a.mp4": clip})
    run("clips/shard-0.tar")
    whole = files()
    Path("out/shard-0.jsonl").unlink()
    run("clips/shard-0.tar")
    assert files() == whole
    Path("clips/shard-0.json").write_text(json.dumps([row("a.mp4", id="another")]))
    run("clips/shard-0.tar")
    assert lines("out/shard-0.jsonl")[0]["id"] == "another"


def _slow_run(folder: Path, log: Path, seconds: float) -> None:
    os.chdir(folder)

    def opened(path: Path) -> None:
        with log.open("a") as file:
            file.write(f"{path.stat().st_size} {os.getpid()}\n")
        time.sleep(seconds)

    run("clips/shard-{0..3}.tar", opened=opened, batch_size=1)


def test_killed_workers_lose_only_the_clip_in_hand(tmp_path: Path) -> None:
    films = []
    for n in range(12):  # each of another size, to tell them apart in the log
        data = make_film(tmp_path / "film.mp4", 3 + n % 4).read_bytes()
        films.append(data + b"\0" * (8 * n))
    for place in ("alone", "shared"):
        (tmp_path / place).mkdir()
        os.chdir(tmp_path / place)
        for k in range(4):
            shard(f"clips/shard-{k}.tar", {f"{n}.mp4": films[n] for n in range(3 * k, 3 * k + 3)})
    log = tmp_path / "log"
    _slow_run(tmp_path / "alone", tmp_path / "other_log", 0)
    workers = [_SPAWN.Process(target=_slow_run, args=(tmp_path / "shared", log, 0.4)) for _ in range(2)]
    for worker in workers:
        worker.start()

    def begun() -> list[tuple[str, int]]:
        found = log.read_text().splitlines() if log.exists() else []
        return [(size, int(pid)) for size, pid in map(str.split, found)]

    wait_until(lambda: len(begun()) >= 5)
    for worker in workers:
        assert worker.pid
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
    before = begun()
    _slow_run(tmp_path / "shared", log, 0)
    assert files(tmp_path / "shared" / "out") == files(tmp_path / "alone" / "out")
    sizes = [size for size, _ in begun()]
    in_hand = {[size for size, pid in before if pid == one][-1] for one in {pid for _, pid in before}}
    assert {size for size in sizes if sizes.count(size) > 1} <= in_hand
    assert set(sizes) == {str(len(film)) for film in films}
    left = [path.name for path in Path(tempfile.gettempdir()).glob(".facerec-clip*")]
    assert not [name for name in left if any(f"-{worker.pid}-" in name for worker in workers)]


def test_a_list_and_a_tar_may_have_items_of_one_name_in_one_folder(clip: bytes) -> None:
    shard("clips/shard-0.tar", {"a.mp4": clip})
    Path("shard-0").mkdir()
    Path("shard-0/a.mp4").write_bytes(clip)
    Path("list.txt").write_text("shard-0/a.mp4\n")
    for _ in range(2):  # the second time nothing is left to do
        assert run_list("list.txt", "numbers") == {"finished": 1, "failed": 0, "unfinished": 0}
        assert run("clips/shard-0.tar", "numbers")["finished"] == 1
    lines = [json.loads(line) for line in Path("out/index.jsonl").read_text().splitlines()]
    assert sorted((entry["item"], "shard" in entry) for entry in lines) == [
        ("shard-0", True), ("shard-0/a.mp4", False), ("shard-0/a.mp4", True)
    ]  # fmt: skip
    before = files()
    opened: list[Path] = []
    run_list("list.txt", "numbers", opened=opened.append)
    run("clips/shard-0.tar", "numbers", opened=opened.append)
    assert not opened and files() == before
