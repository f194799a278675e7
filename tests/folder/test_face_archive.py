"""A face archive returns the thumbnails that were written, and refuses forged and damaged files."""

from __future__ import annotations

import random
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facerec.errors import ContractError
from facerec.folder.face_archive import new_face_archive, open_face_archive

FACES = {f"7:{frame}:1_2_{30 + frame}_40": bytes([frame]) * (50 + frame) for frame in (0, 5, 10, 15)}
TAGS = list(FACES)


def write_archive(path: Path, faces: dict[str, bytes] | None = None) -> Path:
    with new_face_archive(path) as add:
        for tag, jpeg in (FACES if faces is None else faces).items():
            add(tag, jpeg)
    return path


def test_thumbnails_round_trip(tmp_path: Path) -> None:
    with open_face_archive(write_archive(tmp_path / "p.zip"), 4) as archive:
        assert archive.holds(TAGS) and not archive.holds(TAGS[:-1]) and not archive.holds(TAGS[::-1])
        assert {tag: archive.read(tag) for tag in reversed(TAGS)} == FACES


def test_a_shard_without_faces_has_an_empty_archive(tmp_path: Path) -> None:
    with open_face_archive(write_archive(tmp_path / "p.zip", {}), 0) as archive:
        assert archive.holds([])
        with pytest.raises(ContractError, match=r"p\.zip: the thumbnail of face 7:0:1_2_30_40 is missing"):
            archive.read(TAGS[0])


def test_the_same_faces_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write_archive(tmp_path / "a.zip").read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("sys.platform", "win32")
    assert write_archive(tmp_path / "b.zip").read_bytes() == first


def test_the_archive_is_a_plain_zip_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_archive(tmp_path / "p.zip")) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{tag}.jpeg" for tag in TAGS]
        for entry in archive.infolist():
            assert stat.S_IMODE(entry.external_attr >> 16) == 0o644


def _zip(path: Path, name: str, data: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, data)
    return path


def test_an_entry_with_a_path_is_ignored(tmp_path: Path) -> None:
    path = _zip(tmp_path / "p.zip", f"../{TAGS[0]}.jpeg", b"?")
    with open_face_archive(path, 1) as archive:
        assert not archive.holds(TAGS[:1])
        with pytest.raises(ContractError, match="is missing"):
            archive.read(TAGS[0])


@pytest.mark.parametrize("size", [1 << 17, 1 << 24])
def test_a_compressed_entry_is_refused(tmp_path: Path, size: int) -> None:
    path = _zip(tmp_path / "p.zip", f"{TAGS[0]}.jpeg", bytes(size), zipfile.ZIP_DEFLATED)
    with (
        open_face_archive(path, 10) as archive,
        pytest.raises(ContractError, match="is compressed or too large"),
    ):
        archive.read(TAGS[0])


def test_an_entry_that_is_compressed_to_its_own_size_is_refused(tmp_path: Path) -> None:
    """Equal sizes alone do not say that an entry is stored as it is."""
    noise, name = random.Random(0).randbytes(200), f"{TAGS[0]}.jpeg"
    for zeros in range(20):
        path = _zip(tmp_path / "p.zip", name, noise + bytes(zeros), zipfile.ZIP_DEFLATED)
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(name).compress_size == len(noise) + zeros:
                break
    else:
        pytest.fail("no entry of equal sizes was made")
    with open_face_archive(path, 1) as archive, pytest.raises(ContractError, match="is compressed"):
        archive.read(TAGS[0])


def test_a_thumbnail_above_the_size_limit_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "p.zip", f"{TAGS[0]}.jpeg", bytes(1 << 17))
    with open_face_archive(path, 2) as archive:
        assert archive.read(TAGS[0]) == bytes(1 << 17)
    path = _zip(tmp_path / "p.zip", f"{TAGS[0]}.jpeg", bytes((1 << 17) + 1))
    with (
        open_face_archive(path, 2) as archive,
        pytest.raises(ContractError, match="is compressed or too large"),
    ):
        archive.read(TAGS[0])


def test_an_archive_too_large_for_its_faces_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    rule = "the file is too large for the thumbnails of 3 faces"
    with pytest.raises(ContractError, match=rule), open_face_archive(path, 3):
        pass


def test_a_wrong_size_in_the_directory_is_reported(tmp_path: Path) -> None:
    """The directory says that the last picture has more bytes than there are."""
    path = write_archive(tmp_path / "p.zip")
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    struct.pack_into("<LL", data, at + 20, 100_000, 100_000)
    path.write_bytes(data)
    with open_face_archive(path, 4) as archive, pytest.raises(ContractError, match="is damaged"):
        archive.read(TAGS[-1])


@pytest.mark.parametrize("data", [b"", b"PK", b"\xff\xd8 a picture", bytes(1000)])
def test_a_file_that_is_not_an_archive_is_reported(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    path.write_bytes(data)
    rule = r"p\.zip: not a readable archive of thumbnails"
    with pytest.raises(ContractError, match=rule), open_face_archive(path, 9):
        pass


def test_a_missing_archive_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="this file must exist"), open_face_archive(tmp_path / "p.zip", 9):
        pass


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_archive_gives_the_thumbnail_or_one_error_line(tmp_path: Path, data: st.DataObject) -> None:
    path = write_archive(tmp_path / "p.zip")
    whole = path.read_bytes()
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged[: data.draw(st.integers(len(whole) - 200, len(whole)))])
    for tag, jpeg in FACES.items():
        try:
            with open_face_archive(path, 4) as archive:
                assert archive.read(tag) == jpeg
        except ContractError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
