"""Lists: tables and lines of paths, with everything that is wrong in some lines."""

from __future__ import annotations

import codecs
import logging
import os
from pathlib import Path

import pytest

from facerec.errors import InputError
from facerec.feature_runs.listing import Item, Places, Problem, read_items


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.chdir(tmp_path)
    return Places(Path("out"))


def _read(text: str | bytes, places: Places, name: str = "videos.csv") -> list[Item | Problem]:
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return read_items(Path(name), places)


def _outputs(entries: list[Item | Problem]) -> list[tuple[str, str]]:
    return [(item.source, str(item.output)) for item in entries if isinstance(item, Item)]


def _problems(entries: list[Item | Problem]) -> list[tuple[str, str]]:
    return [(entry.name, entry.reason) for entry in entries if isinstance(entry, Problem)]


def test_a_table_names_each_output(places: Places) -> None:
    rows = "a.mp4,a.npy\n/films/b.webm,sub/b.npy\nc.mp4,out/c.npy\n"
    found = _read(f"video_path,feature_path\n{rows}", places)
    assert _outputs(found) == [
        ("a.mp4", "out/a.npy"),
        ("/films/b.webm", "out/sub/b.npy"),
        ("c.mp4", "out/c.npy"),
    ]
    assert [item.name for item in found] == ["a.npy", "sub/b.npy", "out/c.npy"]
    assert all(isinstance(item, Item) and item.exact for item in found)


def test_an_absolute_feature_path_is_taken_as_it_is(places: Places, tmp_path: Path) -> None:
    found = _read(f"video_path,feature_path\na.mp4,{tmp_path}/elsewhere/a.npy\n", places)
    assert _outputs(found) == [("a.mp4", f"{tmp_path}/elsewhere/a.npy")]


@pytest.mark.parametrize(
    "text",
    [
        codecs.BOM_UTF8 + b"video_path,feature_path\r\n\r\na b.mp4,x.npy\r\n",
        b'\n\nfeature_path,label,video_path\n"x.npy",7,"a b.mp4"\n',
        b'"video_path","feature_path"\n "a b.mp4", x.npy \n\n\n',
        b"video_path,feature_path\na b.mp4,x.npy",
    ],
)
def test_quotes_marks_line_ends_and_blank_lines_do_not_matter(places: Places, text: bytes) -> None:
    assert _outputs(_read(text, places)) == [("a b.mp4", "out/x.npy")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_separates_lines(places: Places, end: str) -> None:
    assert _outputs(_read(f"a.mp4{end}{end}b.mp4{end}", places)) == [("a.mp4", "out/a"), ("b.mp4", "out/b")]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("quote", ['"', ""])
@pytest.mark.parametrize("above", ["", "sep={}\n", '"sep={}"\n'])
def test_a_table_with_other_separators_is_not_taken_for_a_list_of_paths(
    places: Places, separator: str, quote: str, above: str
) -> None:
    rows = [("video_path", "feature_path"), ("a, b.mp4", "a.npy")]
    lines = [separator.join(f"{quote}{cell}{quote}" for cell in row) + "\n" for row in rows]
    found = _read(above.format(separator) + "".join(lines), places)
    assert _outputs(found) == [("a, b.mp4", "out/a.npy")]


def test_a_path_with_a_semicolon_is_not_split(places: Places) -> None:
    assert _outputs(_read("a;b.mp4\nvideo_path;c.mp4\n", places)) == [
        ("a;b.mp4", "out/a;b"),
        ("video_path;c.mp4", "out/video_path;c"),
    ]


def test_two_names_of_one_output_are_found_out(places: Places, tmp_path: Path) -> None:
    Path("out/real").mkdir(parents=True)
    Path("out/link").symlink_to("real")
    rows = f"a.mp4,a.npy\nb.mp4,{tmp_path}/out/a.npy\nc.mp4,real/c.npy\nd.mp4,link/c.npy\n"
    found = _read(f"video_path,feature_path\n{rows}", places)
    assert [source for source, _ in _outputs(found)] == ["a.mp4", "c.mp4"]
    assert ["has the same feature_path" in reason for _, reason in _problems(found)] == [True, True]


def test_quoted_cells_may_have_commas_and_quotes(places: Places) -> None:
    found = _read('video_path,feature_path\n"a, ""b"".mp4","a, b.npy"\n', places)
    assert _outputs(found) == [('a, "b".mp4', "out/a, b.npy")]


@pytest.mark.parametrize("header", ["", "video_path\n"])
def test_a_list_of_paths_needs_no_header(places: Places, header: str) -> None:
    lines = f"{header}\r\nvideo_1.mp4\r\nsub/video_2\r\n/films/c.mkv\r\n"
    found = _read(codecs.BOM_UTF8 + lines.encode(), places)
    assert _outputs(found) == [
        ("video_1.mp4", "out/video_1"),
        ("sub/video_2", "out/sub/video_2"),
        ("/films/c.mkv", "out/films/c"),
    ]
    assert [item.name for item in found] == ["video_1.mp4", "sub/video_2", "films/c.mkv"]


def test_only_suffixes_of_media_files_are_removed_from_names(places: Places) -> None:
    found = _read("scene 2.5\nclip.v2\nx.y.MP4\nb.jpg\nc.WAV\n", places, "list.txt")
    assert [output for _, output in _outputs(found)] == [
        "out/scene 2.5", "out/clip.v2", "out/x.y", "out/b", "out/c",
    ]  # fmt: skip


def test_a_path_with_a_comma_is_a_path(places: Places) -> None:
    Path("a, b.mp4").touch()
    assert _outputs(_read("a, b.mp4\n", places)) == [("a, b.mp4", "out/a, b")]
    assert _outputs(_read("c, d.mp4\n", places, "list.txt")) == [("c, d.mp4", "out/c, d")]


def test_where_videos_are(places: Places, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    for name in ("lists/a.mp4", "a.mp4", "b.mp4", "films/c.MP4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    lines = "a.mp4\nb.mp4\nnone.mp4\n"
    found = _read(lines, places, "lists/videos.txt")
    assert [str(item.path) for item in found if isinstance(item, Item)] == [
        "lists/a.mp4", "b.mp4", "lists/none.mp4",
    ]  # fmt: skip
    (found_item,) = _read("c\n", Places(Path("out"), root=Path("films"), suffix=".MP4"), "names.txt")
    assert isinstance(found_item, Item) and str(found_item.path) == "films/c.MP4"
    (found_item,) = _read(f"{tmp_path}/films/c.MP4\n", Places(Path("out"), root=tmp_path), "names.txt")
    assert isinstance(found_item, Item) and str(found_item.output) == "out/films/c"


def test_the_other_lines_of_a_table_are_items(places: Places, caplog: pytest.LogCaptureFixture) -> None:
    found = _read(
        b"video_path,feature_path\n"
        b"a.mp4,a.npy\n"
        b"b.mp4\n"
        b"a.mp4,a.npy\n"
        b"c.mp4,./a.npy\n"
        b"d.mp4,../d.npy\n"
        b"e.mp4,x/../../e.npy\n"
        b",f.npy\n"
        b"g.mp4,\n"
        b'"h.mp4,h.npy\n'
        b"\xff.mp4,i.npy\n"
        b"j\0.mp4,j.npy\n"
        b"k.mp4,k/\n"
        b"l.mp4," + b"l" * 70000 + b"\n"
        b"m.mp4,..\n"
        b"out/n.mp4,n.mp4\n"
        b"z.mp4,z.npy\n",
        places,
    )  # fmt: skip
    assert _outputs(found) == [("a.mp4", "out/a.npy"), ("z.mp4", "out/z.npy")]
    problems = dict(_problems(found))
    for line, reason in {
        3: "the row has 1 cell, but the header has 2",
        5: "line 2 has the same feature_path a.npy for a.mp4; change one of them",
        6: "feature_path ../d.npy leads out of out; give its absolute path",
        7: "feature_path x/../../e.npy leads out of out",
        8: "video_path is empty",
        9: "feature_path is empty",
        10: "is not a CSV row",
        11: "the line is not UTF-8 text",
        12: "video_path contains a NUL character",
        13: "feature_path k/ names a folder",
        14: "the line has more than 65536 characters",
        15: "feature_path .. names a folder",
        16: "feature_path is the video itself",
    }.items():
        assert reason in problems[f"videos.csv:{line}"], line
    assert len(problems) == 13
    assert caplog.messages == ["videos.csv:4: repeats line 2; skipped"]


def test_bad_lines_of_a_list_of_paths(places: Places, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = _read("a.mp4\n../b.mp4\na.mkv\n./a.mp4\nx/../../c\n.\n", places, "list.txt")
    assert _outputs(found) == [("a.mp4", "out/a")]
    problems = dict(_problems(found))
    assert "leads out of its folder" in problems["list.txt:2"] and "--root" in problems["list.txt:2"]
    assert "line 1 has the same output out/a* for a.mp4" in problems["list.txt:3"]
    assert "leads out" in problems["list.txt:5"] and "leads out" in problems["list.txt:6"]
    assert caplog.messages == ["list.txt:4: repeats line 1; skipped"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; it should have the columns video_path,feature_path, or one path a line"),
        ("\r\n \n", "is empty"),
        ("video_path,feature_path\n\n", "has a header, but no items below it"),
        ("a.mp4,a.npy\n", "the first line of a table must name its columns, video_path,feature_path"),
        ("feature_path\na.npy\n", "the first line of a table must name its columns"),
        ("video_path,feature_path,video_path\n", "once each"),
        ("video_path".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
    ],
)
def test_files_that_are_no_lists(places: Places, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _read(text, places)


def test_a_missing_list_and_a_pipe(places: Places) -> None:
    os.mkfifo("pipe")
    with pytest.raises(InputError, match=r"^pipe: is not a file$"):
        read_items(Path("pipe"), places)
    with pytest.raises(InputError, match=r"^none.csv: no such file or folder$"):
        read_items(Path("none.csv"), places)


def test_a_video_or_a_folder_is_an_item_itself(places: Places) -> None:
    Path("films").mkdir()
    Path("films/a.mp4").write_bytes(b"\0\0\0\x20ftyp")
    assert _outputs(read_items(Path("films/a.mp4"), places)) == [("films/a.mp4", "out/a")]
    assert _outputs(read_items(Path("films"), places)) == [("films", "out/films")]
