"""Weights are downloaded from a local server; a wrong file leaves nothing behind."""

from __future__ import annotations

import argparse
import http.server
import json
import shutil
import threading
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from facerec.errors import InputError, ModelError
from facerec.models import card_of, download, load_detector, load_embedder, packs, weights
from facerec.models.download import download_weights
from facerec.models.packs import Pack, choose_models, pack_models
from tests.models.onnx_files import write_embedder
from tests.models.scrfd_files import write_scrfd


@pytest.fixture
def server(tmp_path):
    """Serve the files of a folder; one with a name that begins with cut ends after half of its bytes."""
    served = tmp_path / "served"
    served.mkdir()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = served / Path(self.path).name
            if not path.is_file():
                self.send_error(404)
                return
            body = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if path.name.startswith("cut") else body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield served, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def dlib_file() -> Path:
    """Real weights that come with a package."""
    return weights.find_weights("dlib").paths[0]


def publish(monkeypatch, source: str, sha: str = "", hint: str = "") -> None:
    """Make the catalogue list dlib's weights as a download."""
    entry = replace(weights.CATALOGUE["dlib"], source=source, sha256=sha, hint=hint, package="")
    monkeypatch.setattr(weights, "CATALOGUE", {**weights.CATALOGUE, "dlib": entry})
    monkeypatch.setattr(download, "CATALOGUE", weights.CATALOGUE)


def test_downloaded_file_is_recorded_and_not_downloaded_again(server, dlib_file, tmp_path, monkeypatch):
    served, url = server
    shutil.copy(dlib_file, served / "net.dat")
    sha = sha256(dlib_file.read_bytes()).hexdigest()
    publish(monkeypatch, f"{url}/net.dat", sha)
    place = tmp_path / "weights"
    monkeypatch.setenv("FACEREC_WEIGHTS", str(place))
    place.mkdir()
    download_weights("dlib", place)
    assert sorted(path.name for path in place.iterdir()) == [dlib_file.name, "weights.json"]
    record = json.loads((place / "weights.json").read_text())[dlib_file.name]
    assert record["sha256"] == sha and record["source"] == f"{url}/net.dat" and record["licence"]
    assert card_of("dlib").sha256 == sha
    (served / "net.dat").unlink()
    assert download_weights("dlib", place) == "dlib is already there"


def test_archived_file_is_unpacked_under_the_catalogue_name(server, dlib_file, tmp_path, monkeypatch, caplog):
    served, url = server
    with zipfile.ZipFile(served / "net-0123.zip", "w") as archive:
        archive.write(dlib_file, "../../escaped.pth")
    publish(monkeypatch, f"{url}/net-0123.zip", hint="0123")
    download_weights("dlib", tmp_path)
    assert (tmp_path / dlib_file.name).read_bytes() == dlib_file.read_bytes()
    assert "but its name with 0123" in caplog.text
    assert not list(tmp_path.parent.rglob("escaped.pth"))


@pytest.mark.parametrize(
    ("served_as", "content", "message"),
    [
        ("cut.dat", b"x" * 4000, "the download stopped after 2000 of 4000 bytes"),
        ("other.dat", b"something else", "not the expected file"),
        ("text.zip", b"not found", "not a zip archive"),
    ],
)
def test_wrong_file_is_not_kept(server, tmp_path, monkeypatch, served_as, content, message):
    served, url = server
    (served / served_as).write_bytes(content)
    publish(monkeypatch, f"{url}/{served_as}", sha="0" * 64)
    place = tmp_path / "weights"
    place.mkdir()
    with pytest.raises(ModelError, match=message):
        download_weights("dlib", place)
    assert list(place.iterdir()) == []


def test_file_without_a_published_hash_must_load(server, tmp_path, monkeypatch):
    served, url = server
    (served / "net.dat").write_bytes(b"<html>come back later</html>")
    publish(monkeypatch, f"{url}/net.dat")
    place = tmp_path / "weights"
    place.mkdir()
    with pytest.raises(ModelError, match="not dlib's face recognition network"):
        download_weights("dlib", place)
    assert list(place.iterdir()) == []


def test_file_whose_name_holds_another_hash_is_kept_with_a_warning(
    server, dlib_file, tmp_path, monkeypatch, caplog
):
    served, url = server
    shutil.copy(dlib_file, served / "net-0123abcd.dat")
    publish(monkeypatch, f"{url}/net-0123abcd.dat", hint="0123abcd")
    download_weights("dlib", tmp_path)
    assert (tmp_path / dlib_file.name).is_file() and "but its name with 0123abcd" in caplog.text


def test_unknown_model_error_lists_the_known_ones(tmp_path):
    with pytest.raises(
        ModelError, match=r"retinaface, mtcnn, yunet, scrfd, facenet, dlib, arcface.*buffalo_l"
    ):
        download_weights("retinanet", tmp_path)


def test_packaged_model_is_not_downloaded(tmp_path):
    assert "comes with the package facenet-pytorch" in download_weights("mtcnn", tmp_path)


def test_detector_loads_from_a_temporary_file_name(server, shared, tmp_path, monkeypatch):
    served, url = server
    name = weights.CATALOGUE["yunet"].files[0]
    shutil.copy(shared / "data" / "weights" / name, served / name)
    entry = replace(weights.CATALOGUE["yunet"], source=f"{url}/{name}")
    monkeypatch.setattr(download, "CATALOGUE", {"yunet": entry})
    assert "yunet downloaded" in download_weights("yunet", tmp_path)


DETECTOR, EMBEDDER = "det_10g.onnx", "w600k_r50.onnx"


@pytest.fixture
def pack_files(tmp_path) -> dict[str, bytes]:
    """Small networks under the names of those in the pack buffalo_l."""
    write_scrfd(tmp_path / DETECTOR, size=None, batched=False)
    write_embedder(tmp_path / EMBEDDER)
    return {name: (tmp_path / name).read_bytes() for name in (DETECTOR, EMBEDDER)}


@pytest.fixture
def weights_dir(server, tmp_path, monkeypatch) -> Path:
    """The weights folder; the server has the packs, and none has a published hash."""
    monkeypatch.setattr(packs, "SOURCE", f"{server[1]}/{{name}}.zip")
    without_hash = {name: replace(pack, sha256={}) for name, pack in packs.PACKS.items()}
    monkeypatch.setattr(packs, "PACKS", without_hash)
    monkeypatch.setattr(download, "PACKS", without_hash)
    monkeypatch.setenv("FACEREC_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def pack_archive(path: Path, members: list[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)


def test_of_a_pack_the_two_files_are_kept_and_nothing_leaves_its_folder(server, pack_files, weights_dir):
    served, _ = server
    others = [("../../../escaped.onnx", b"x"), ("setup.py", b"raise SystemExit"), ("genderage.onnx", b"x")]
    inside = [(f"../../buffalo_l/{DETECTOR}", pack_files[DETECTOR]), (EMBEDDER, pack_files[EMBEDDER])]
    pack_archive(served / "buffalo_l.zip", [*others, *inside])
    said = download_weights("buffalo_l", weights_dir)
    assert "buffalo_l downloaded" in said and "non-commercial research only" in said
    folder = weights_dir / "buffalo_l"
    assert sorted(path.name for path in folder.iterdir()) == sorted([DETECTOR, EMBEDDER, "weights.json"])
    assert [path.name for path in weights_dir.iterdir()] == ["buffalo_l"]
    assert not list(weights_dir.parent.parent.rglob("escaped.onnx"))
    detector, embedder = pack_models("buffalo_l")
    assert pack_models(str(folder)) == (detector, embedder)
    card = load_detector(detector).card
    assert (card.kind, card.weights) == ("scrfd", DETECTOR) and card.licence.startswith("non-commercial")
    assert card.sha256 == sha256(pack_files[DETECTOR]).hexdigest()
    assert load_embedder(embedder).card.licence.startswith("non-commercial")
    (served / "buffalo_l.zip").unlink()
    assert download_weights("buffalo_l", weights_dir) == "buffalo_l is already there"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({EMBEDDER: "intact"}, f"the archive has 0 files {DETECTOR}, not one"),
        ({DETECTOR: "intact", f"a/{DETECTOR}": "intact", EMBEDDER: "intact"}, "has 2 files det_10g"),
        ({DETECTOR: "intact", EMBEDDER: "large"}, r"w600k_r50\.onnx in the archive has \d+ bytes, more than"),
        ({DETECTOR: "text", EMBEDDER: "intact"}, "not a usable ONNX file"),
        ({DETECTOR: "swapped", EMBEDDER: "swapped"}, "another kind of model|not SCRFD"),
        ({}, "not a zip archive, or a damaged one"),
    ],
    ids=["missing", "twice", "bomb", "no network", "swapped", "no archive"],
)
def test_nothing_of_a_wrong_pack_is_kept(server, pack_files, weights_dir, monkeypatch, members, message):
    served, _ = server
    intact = {**pack_files, f"a/{DETECTOR}": pack_files[DETECTOR]}
    swapped = {DETECTOR: pack_files[EMBEDDER], EMBEDDER: pack_files[DETECTOR]}
    limit = 10 * max(map(len, pack_files.values()))
    monkeypatch.setattr(download, "_MAX_FILE", limit)
    made = {"intact": intact.get, "swapped": swapped.get, "text": lambda _: b"<html>",
            "large": lambda _: bytes(limit + 1)}  # fmt: skip
    pack_archive(served / "buffalo_l.zip", [(name, made[kind](name)) for name, kind in members.items()])
    if not members:
        (served / "buffalo_l.zip").write_bytes(b"not found")
    with pytest.raises(ModelError, match=message) as raised:
        download_weights("buffalo_l", weights_dir)
    assert "\n" not in str(raised.value)
    assert [path for path in weights_dir.rglob("*") if path.is_file()] == []


def test_a_pack_with_another_file_than_the_published_one_is_refused(
    server, pack_files, weights_dir, monkeypatch
):
    pack = Pack("buffalo_l", DETECTOR, EMBEDDER)  # with the published hashes
    monkeypatch.setattr(download, "PACKS", {"buffalo_l": pack})
    pack_archive(server[0] / "buffalo_l.zip", list(pack_files.items()))
    with pytest.raises(
        ModelError, match=r"det_10g\.onnx is not the expected file .*the published one 5838f7fe"
    ):
        download_weights("buffalo_l", weights_dir)
    assert [path for path in weights_dir.rglob("*") if path.is_file()] == []


def test_a_pack_that_is_not_there_names_the_files_the_source_and_the_remedy(weights_dir):
    with pytest.raises(ModelError) as raised:
        pack_models("antelopev2")
    for part in ("scrfd_10g_bnkps.onnx", "glintr100.onnx", "antelopev2.zip", "make models MODELS=antelopev2"):
        assert part in str(raised.value)
    with pytest.raises(InputError, match="--models buffalo: no such pack; known packs are buffalo_l, "):
        pack_models("buffalo")


def test_a_model_given_by_name_goes_before_that_of_the_pack(server, pack_files, weights_dir):
    pack_archive(server[0] / "buffalo_l.zip", list(pack_files.items()))
    download_weights("buffalo_l", weights_dir)
    for detector, embedder, pack in (
        ("mtcnn", None, "buffalo_l"),
        (None, "dlib", "buffalo_l"),
        (None, None, None),
    ):
        args = argparse.Namespace(detector=detector, embedder=embedder, models=pack)
        choose_models(args)
        chosen = pack_models("buffalo_l") if pack else ("retinaface", "facenet")
        assert (args.detector, args.embedder) == (detector or chosen[0], embedder or chosen[1])
