"""Weights are downloaded from a local server; a wrong file leaves nothing behind."""

from __future__ import annotations

import http.server
import json
import shutil
import threading
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from facerec.errors import ModelError
from facerec.models import card_of, download, weights
from facerec.models.download import download_weights


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
    with pytest.raises(ModelError, match="retinaface, mtcnn, yunet, facenet, dlib"):
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
