"""A forgotten person is in no file any more, in all places to which a name may be copied."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shlex
import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from facerec import (
    apply_labels,
    check,
    contact_sheet,
    export,
    forget_actor,
    report,
)
from facerec.actors.database import ActorDatabase
from facerec.actors.embeddings import to_line
from facerec.actors.provenance import Origin, origins_bytes
from facerec.exporting.registry import FORMATS
from facerec.folder.layout import MovieFolder
from facerec.folder.people import read_people
from facerec.forgetting.movie_folder import forget_in_folder
from facerec.forgetting.remaking import remaking_commands
from facerec.forgetting.subject import find_subject
from facerec.forgetting.traces import find_traces, trace_in, without_traces
from facerec.support.atomic import write_bytes
from facerec.support.cli import run_main
from tests.exporting.movies import CUTS, SHOWN
from tests.movie_folder import movie_folder

MOVIE = 7
ADA, ZOE = "nm0000001", "nm0000002"
NAMES = {ADA: "Ada Quill", ZOE: "Zoë Marsh"}
LEARNT = "learnt-7-5-1_2_30_40.jpeg"


@pytest.fixture
def database(tmp_path: Path) -> ActorDatabase:
    """Two people with two pictures each; one of Zoë's was learnt from the film."""
    made = ActorDatabase(tmp_path / "actor_db")
    made.pictures.mkdir(parents=True)
    rng = np.random.default_rng(1)
    rows = [f"{MOVIE},Zoë Marsh Story,1999,{one},{name},Self,1970,Rome" for one, name in NAMES.items()]
    header = "movie_id,movie_name,movie_year,id,name,role,birthday,birthplace"
    made.actors.write_text("\r\n".join([header, *rows]) + "\r\n", newline="")
    pictures = {f"{one}-{i}.jpg": one for one in NAMES for i in range(2)} | {LEARNT: ZOE}
    lines = [f"{one},{MOVIE},{name},1" for name, one in pictures.items()]
    made.images.write_text("\n".join(["actor_id,movie_id,filename,n_detections", *lines]) + "\n")
    vectors = {name: rng.normal(size=(1, 8)).astype(np.float32) for name in pictures}
    vectors = {name: one / np.linalg.norm(one) for name, one in vectors.items()}
    made.embeddings.write_bytes(b"".join(to_line(name, one) + b"\n" for name, one in vectors.items()))
    for name in pictures:
        (made.pictures / name).write_bytes(f"the picture {len(name)} {name[::-1]}".encode())
    hashes = dict.fromkeys(pictures, "ab" * 32)
    meta = {"embedder": {"kind": "toy", "sha256": "cd" * 32, "dimension": 8}, "pictures": hashes}
    made.embeddings_meta.write_text(json.dumps({**meta, "embeddings_sha256": "0" * 64}))
    box, keypoints = np.zeros(4, np.float32), np.zeros((5, 2), np.float32)
    learnt = Origin("7:5:1_2_30_40", ZOE, LEARNT, "ef" * 32, 0.5, box, keypoints)
    made.origins.write_bytes(origins_bytes([learnt, Origin("7:6:1_2_30_40")]))
    made.aspect_ratios.write_text(f"filename,display_width,display_height\n{MOVIE}-Zoë Marsh.mp4,320,180\n")
    return made


@pytest.fixture
def folder(tmp_path: Path, database: ActorDatabase) -> MovieFolder:
    """Trajectories 0 and 2 are predicted as Ada, 1 and 3 as Zoë; everything else was made from that."""
    made = movie_folder(tmp_path / "data", SHOWN, {0: {ADA: 0.9}, 1: {ZOE: 0.8, ADA: 0.1}}, cuts=CUTS)
    manifest = json.loads(made.manifest.read_text())
    manifest["stages"]["classify_knn"]["report"]["cast"] = NAMES
    made.manifest.write_text(json.dumps(manifest))
    where = ["--path", str(made.path), "--actor-db", str(database.folder)]
    labels = tmp_path / "labels.csv"
    header = "movie_id,cluster_id,cluster_status,label,tag,image_status,trajectory"
    labels.write_text(f"{header}\n{MOVIE},1,labeled,{ZOE},{first_tag(made)},same,1\n")
    assert run_main(apply_labels.main, [*where, "--labels", str(labels)]) == 0
    for one in FORMATS:
        assert run_main(export.main, [*where, "--format", one]) == 0
    assert run_main(report.main, where) == 0
    assert run_main(contact_sheet.main, where) == 0
    logs = made.logs / "classify"
    logs.mkdir(parents=True)
    (logs / "1_0_log.err").write_text(f"WARNING no usable picture of Zoë Marsh ({ZOE}): cannot be named\n")
    kept = made.previous / "20260101T000000Z"
    kept.mkdir(parents=True)
    for name in (made.predictions, made.manifest, made.clusters):
        shutil.copy(name, kept)
    return made


def first_tag(folder: MovieFolder) -> str:
    """The tag of a thumbnail of trajectory 1."""
    line = json.loads(folder.trajectories.read_text().splitlines()[1])
    frame = line["start"]
    while True:
        tag = f"{MOVIE}:{frame}:{'_'.join(map(str, line['bbs'][frame - line['start']]))}"
        if folder.thumbnail(tag).exists():
            return tag
        frame += 1


def forget(folder: MovieFolder, database: ActorDatabase, actor: str, *more: str) -> int:
    words = [actor, "--actor-db", str(database.folder), "--path", str(folder.path), *more]
    return run_main(forget_actor.main, words)


def test_nothing_is_left_and_everybody_else_stays(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = find_subject(database, ZOE)
    everything = [database.folder, folder.path, folder.logs]
    before = [trace for root in everything for trace in find_traces(root, subject, lambda n: None)]
    assert len(before) > 20, "the search must see what there is to be removed"
    capsys.readouterr()
    assert forget(folder, database, "zoe marsh") == 0
    assert f"{ZOE} forgotten" in (said := capsys.readouterr().out) and "; 0 of " in said
    left = [trace for root in everything for trace in find_traces(root, subject, lambda n: None)]
    assert left == []
    for path in (path for root in everything for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert ZOE.encode() not in content and LEARNT.encode() not in content, path
    assert database.actors.read_bytes().count(b"\r\n") == 2, "the other rows keep their line ends"
    assert sorted(path.name for path in database.pictures.iterdir()) == [f"{ADA}-0.jpg", f"{ADA}-1.jpg"]
    assert json.loads(folder.predictions.read_text())["predictions"] == {"0": {ADA: 0.9}, "1": {ADA: 0.1}}
    people = {one.person: list(one.trajectories) for one in read_people(folder.people, MOVIE).people}
    assert people == {ADA: [0, 2], "unnamed:forgotten": [1], "unknown:1": [3]}
    assert "7:6:1_2_30_40" in database.origins.read_text(), "a rejected face says nothing about a person"
    assert "[forgotten]" in (folder.logs / "classify" / "1_0_log.err").read_text()


def test_the_folder_still_fits_together(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forget(folder, database, ZOE) == 0
    where = ["--path", str(folder.path), "--actor-db", str(database.folder)]
    assert run_main(report.main, where) == 0
    assert run_main(export.main, [*where, "--format", "screen-time"]) == 0
    capsys.readouterr()
    run_main(check.main, [str(folder.path)])
    assert "not the file that" not in capsys.readouterr().err


def test_the_commands_that_make_the_deleted_files_again_are_printed_and_run(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    there = {path for path in folder.path.rglob("*") if path.is_file()}
    assert forget(folder, database, ZOE) == 0
    (_, *commands) = capsys.readouterr().out.splitlines()[1:]
    deleted = there - set(folder.path.rglob("*"))
    assert folder.report in deleted and folder.contact_sheet in deleted and len(deleted) >= len(FORMATS)
    for command in commands:
        words = shlex.split(command)
        (script,) = (word for word in words if word.endswith(".py"))
        main = {"report": report, "contact_sheet": contact_sheet, "export": export}[Path(script).stem].main
        assert run_main(main, words[words.index(script) + 1 :]) == 0
    assert all(path.exists() for path in deleted)
    assert forget(folder, database, ADA, "--dry-run") == 0 and forget(folder, database, ADA) == 0


def test_contact_sheets_of_several_movies_have_a_command_each(tmp_path: Path) -> None:
    folders = [MovieFolder(tmp_path / f"{number}-data") for number in (12, 13)]
    deleted = {folder.path: [folder.report, folder.contact_sheet] for folder in folders}
    shown = {folder.path: folder.path.name for folder in folders}
    commands = [line.split("/")[-1] for line in remaking_commands(deleted, Path("actor_db"), shown)]
    assert commands == [
        "report.py --actor-db actor_db --path 12-data 13-data",
        "contact_sheet.py --actor-db actor_db --path 12-data",
        "contact_sheet.py --actor-db actor_db --path 13-data",
    ]


def test_the_index_of_all_movies_is_cleaned_too(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    other = movie_folder(folder.path.parent, SHOWN, {0: {ADA: 0.9}}, cuts=CUTS, movie_id=8)
    paths = ["--path", str(folder.path), str(other.path)]
    assert run_main(report.main, [*paths, "--actor-db", str(database.folder)]) == 0
    assert "Zoë Marsh" in folder.index.read_text()
    assert forget(folder, database, ZOE) == 0 and not folder.index.exists()
    folder.index.write_text("another program's page about Zoë Marsh")
    assert forget(folder, database, ZOE, "--name", "Zoë Marsh") == 1, "it is searched, but not deleted"
    assert folder.index.exists() and "index.html: it has" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_an_export_that_is_compressed_is_deleted(
    folder: MovieFolder, database: ActorDatabase, suffix: str
) -> None:
    where = ["--path", str(folder.path), "--actor-db", str(database.folder)]
    assert run_main(export.main, [*where, "--format", f"screen-time.{suffix}"]) == 0
    assert forget(folder, database, ZOE) == 0
    assert not (folder.exports / f"{MOVIE}.screen-time.{suffix}").exists()


@pytest.mark.parametrize("name", ["names.npz", "cast.csv", "utf-16-be", "db.sqlite", "list.bz2", "list.xz"])
def test_the_search_reads_other_encodings_and_packed_files(
    database: ActorDatabase, tmp_path: Path, name: str
) -> None:
    path, text = tmp_path / name, "role;name\nSelf;Zoë Marsh\n"
    subject = find_subject(database, ZOE)

    def write(text: str) -> None:
        path.unlink(missing_ok=True)
        if name == "names.npz":
            np.savez_compressed(path, names=np.array(text.split("\n")))
        elif name == "cast.csv":
            path.write_text(text, encoding="utf-16")
        elif name == "utf-16-be":
            path.write_text(text.upper(), encoding="utf-16-be")
        elif name == "db.sqlite":
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("PRAGMA encoding = 'UTF-16le'")
                connection.execute("CREATE TABLE people (name)")
                connection.execute("INSERT INTO people VALUES (?)", (text,))
        else:
            (bz2.open if path.suffix == ".bz2" else lzma.open)(path, "wb").write(text.encode())

    write(text)
    assert trace_in(path, subject)
    write(text.replace("Zoë", "Bozoë").replace("Marsh", "Marshall"))
    assert not trace_in(path, subject)


def test_a_file_that_cannot_be_unpacked_here_fails_the_proof(database: ActorDatabase, tmp_path: Path) -> None:
    (tmp_path / "logs.zst").write_bytes(b"\x28\xb5\x2f\xfd rest")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 rest")
    for path in tmp_path.glob("*.*"):
        assert "cannot be searched" in trace_in(path, find_subject(database, ZOE))


def test_a_dry_run_lists_the_files_and_changes_none(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in folder.path.parent.parent.rglob("*") if path.is_file()}
    assert forget(folder, database, ZOE, "--dry-run") == 0
    said = capsys.readouterr()
    assert "nothing was changed" in said.out and "predictions.json" in said.err
    assert f"{folder.contact_sheet}: a picture with names" in said.err
    assert before == {p: p.read_bytes() for p in folder.path.parent.parent.rglob("*") if p.is_file()}


def test_a_kill_between_the_files_loses_no_fact_that_the_next_run_needs(
    folder: MovieFolder, database: ActorDatabase
) -> None:
    """The movie folders are first, the row of actors.csv is last."""
    forget_in_folder(folder, find_subject(database, ZOE))
    database.picture(LEARNT).unlink()
    assert forget(folder, database, ZOE) == 0


def test_a_copy_that_was_handed_over_is_cleaned_too(
    folder: MovieFolder, database: ActorDatabase, tmp_path: Path
) -> None:
    copy = MovieFolder(tmp_path / "backend" / folder.path.name)
    copy.path.mkdir(parents=True)
    for path in (folder.trajectories, folder.clusters, folder.predictions):
        shutil.copy(path, copy.path)
    assert ZOE in copy.predictions.read_text()
    assert (
        run_main(
            forget_actor.main,
            [ZOE, "--actor-db", str(database.folder), "--path", str(folder.path), str(copy.path)],
        )
        == 0
    )
    assert ZOE not in copy.predictions.read_text()


def test_proposals_for_stills_are_removed(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    proposals = database.stills / str(MOVIE)
    proposals.mkdir(parents=True)
    (proposals / "faces.csv").write_text(f"face,confirm,proposed,id\n1,yes,Zoë Marsh,{ZOE}\n")
    (proposals / "face-001.jpg").write_bytes(b"her face, not confirmed")
    assert forget(folder, database, ZOE, "--dry-run") == 0 and proposals.is_dir()
    assert "faces.csv" in capsys.readouterr().err
    assert forget(folder, database, ZOE) == 0 and not database.stills.exists()


def test_what_the_command_cannot_clean_fails_the_proof(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(folder.path / "notes.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("note.txt", "Zoe\u0308 Marsh was here")
    (database.folder / f"about {ZOE}.txt").write_text("nothing")
    np.save(database.folder / "own.npy", find_subject(database, ZOE).vectors)
    capsys.readouterr()
    assert forget(folder, database, ZOE) == 1
    said = capsys.readouterr()
    assert "3 of " in said.out
    for name in ("notes.zip", f"about {ZOE}.txt", "own.npy"):
        assert name in said.err


def test_a_learnt_face_stays_in_its_film_without_a_name_and_is_no_error(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    learnt = next(faces.vectors for _, faces in database.read_embeddings() if faces.image == LEARNT)
    shard = folder.shard_dirs[0] / "features_7_0-9.jsonl"
    shard.parent.mkdir(exist_ok=True)
    shard.write_bytes(to_line("face", learnt) + b"\n")
    thumbnail = folder.thumbnail("7:5:1_2_30_40")
    shutil.copy(database.picture(LEARNT), thumbnail)
    assert forget(folder, database, ZOE) == 0
    said = capsys.readouterr()
    assert "2 files of movie folders have faces of the film that were learnt" in said.out
    assert "0 of " in said.out and "ERROR" not in said.err
    assert thumbnail.exists() and shard.exists()
    assert not database.picture(LEARNT).exists() and LEARNT not in database.origins.read_text()


def test_a_portrait_or_a_learnt_face_elsewhere_is_an_error_with_a_remedy(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(database.picture(f"{ZOE}-0.jpg"), folder.thumbnail("7:5:1_2_30_40"))
    shutil.copy(database.picture(LEARNT), database.folder / "copy.jpg")
    with database.picture(f"{ADA}-0.jpg").open("ab") as file:
        file.write(b"caption: Ada and Zo\xc3\xab Marsh")
    capsys.readouterr()
    assert forget(folder, database, ZOE) == 1
    said = capsys.readouterr()
    assert "3 of " in said.out and said.err.count("one of their pictures; delete it") == 2
    assert f"exiftool -all= -overwrite_original {database.picture(f'{ADA}-0.jpg')}" in said.err
    command = said.out.splitlines()[-1]
    assert f"forget_actor.py {ZOE} --name" in command
    database.picture(f"{ADA}-0.jpg").write_bytes(b"without the caption")
    words = shlex.split(command)
    assert run_main(forget_actor.main, words[words.index(ZOE) :]) == 0


def test_the_same_command_again_searches_again(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forget(folder, database, ZOE) == 0
    capsys.readouterr()
    assert forget(folder, database, ZOE) == 0 and forget(folder, database, "Zoë Marsh") == 0
    assert capsys.readouterr().out.count("forgotten already") == 2
    (folder.logs / "late.txt").write_text(f"person {ZOE}, Zoë Marsh")
    assert forget(folder, database, ZOE) == 1 and forget(folder, database, "Zoë Marsh") == 1
    assert "1 file refers to 'Zoë Marsh'" in capsys.readouterr().err


def test_a_film_named_like_the_person_is_no_trace(folder: MovieFolder, database: ActorDatabase) -> None:
    assert forget(folder, database, ZOE) == 0
    assert "Zoë Marsh Story" in database.actors.read_text()
    assert "Zoë Marsh.mp4" in database.aspect_ratios.read_text()


def test_a_run_without_movie_folders_says_that_it_left_them_out(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(forget_actor.main, [ZOE, "--actor-db", str(database.folder)]) == 0
    said = capsys.readouterr()
    assert "no movie folder was given" in said.err and "in the database and 0 movies" in said.out
    assert ZOE in folder.predictions.read_text()


def test_nobody_of_that_name(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forget(folder, database, "Nobody") == 1
    assert "actors.csv: no row has the id or the name 'Nobody'" in capsys.readouterr().err


def test_a_database_that_does_not_exist_is_named_and_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "nowhere"
    assert run_main(forget_actor.main, [ZOE, "--actor-db", str(nowhere)]) == 1
    assert f"{nowhere}: no such folder" in capsys.readouterr().err and not nowhere.exists()


def test_a_name_of_two_people_needs_an_id_and_stays_with_the_other(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    text = database.actors.read_text()
    database.actors.write_text(text + f"{MOVIE},Film,1999,nm0000003,Zoë Marsh,Self,1980,Oslo\n")
    assert forget(folder, database, "Zoë Marsh") == 1
    assert f"is the name of 2 people: give an id: {ZOE}, nm0000003" in capsys.readouterr().err
    assert forget(folder, database, ZOE) == 0
    assert "nm0000003,Zoë Marsh" in database.actors.read_text()


def test_another_persons_role_does_not_hide_a_part_of_the_name(
    folder: MovieFolder, database: ActorDatabase, tmp_path: Path
) -> None:
    database.actors.write_text(database.actors.read_text().replace("Ada Quill,Self", "Ada Quill,Marsh"))
    (tmp_path / "note.txt").write_text("Zoë Marsh was here, as in the Zoë Marsh Story")
    (tmp_path / "title.txt").write_text("from the Zoë Marsh Story")
    subject = find_subject(database, ZOE)
    assert trace_in(tmp_path / "note.txt", subject)
    assert not trace_in(tmp_path / "title.txt", subject)
    assert b"Zo\xc3\xab Marsh Story" in without_traces((tmp_path / "note.txt").read_bytes(), subject)


@pytest.mark.parametrize(
    "text",
    ["“Zoë Marsh”", "—Zoë Marsh…", '"a\\nZoë Marsh"', "x=%20Zo%C3%AB%20Marsh", "ZOË MARSH", "zoe marsh",
     "Zoë  Marsh", "Zoë\n  Marsh", "Zoë\u00a0Marsh", "Zoë+Marsh", "q&nm0000002;"],
)  # fmt: skip
def test_the_search_sees_a_name_however_it_stands_in_a_text(
    database: ActorDatabase, tmp_path: Path, text: str
) -> None:
    note = tmp_path / "note.txt"
    note.write_text(text)
    subject = find_subject(database, ZOE)
    assert trace_in(note, subject)
    note.write_bytes(without_traces(note.read_bytes(), subject))
    assert not trace_in(note, subject)


@pytest.mark.parametrize("text", ["Zoë Marshall", "AZoë Marsh", "Zoë Marshé", "nm00000021", "éZoë Marsh"])
def test_a_longer_name_is_no_trace(database: ActorDatabase, tmp_path: Path, text: str) -> None:
    (tmp_path / "note.txt").write_text(text)
    assert not trace_in(tmp_path / "note.txt", find_subject(database, ZOE))


@pytest.mark.parametrize("actor", ["2", "a", "n.*", "(x", "nm1+"])
def test_an_id_that_is_short_or_a_pattern_takes_no_other_text_away(
    database: ActorDatabase, tmp_path: Path, actor: str
) -> None:
    for table in (database.actors, database.images, database.origins):
        table.write_text(table.read_text().replace(ZOE, actor))
    subject = find_subject(database, actor)
    (tmp_path / "note.txt").write_text("a frame 2 of 12, nm11 nothing <a>")
    assert not trace_in(tmp_path / "note.txt", subject)
    (tmp_path / "note.txt").write_text(json.dumps({actor: 0.5}))
    assert trace_in(tmp_path / "note.txt", subject)


def test_what_cannot_be_searched_and_names_of_folders_and_links_fail_the_proof(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    (database.pictures / "Zoë Marsh").mkdir()
    (database.pictures / f"{ZOE}-9.jpg").symlink_to("nowhere")
    (folder.path / "notes.gz").write_bytes(gzip.compress(b"by Zo\xc3\xab Marsh"))
    (folder.path / "torn.gz").write_bytes(gzip.compress(b"who knows" * 99)[:-9])
    capsys.readouterr()
    assert forget(folder, database, ZOE) == 1
    said = capsys.readouterr()
    assert said.out.count("; 4 of ") == 1
    assert "torn.gz: it cannot be searched" in said.err and "actor_images/Zoë Marsh: its name" in said.err


def test_a_spelling_that_annotators_typed_is_forgotten_in_exports_and_logs_too(
    folder: MovieFolder, database: ActorDatabase
) -> None:
    people = json.loads(folder.people.read_text())
    for one in people["people"]:
        if one["actor_id"] == ZOE and one["source"] == "annotator":
            one |= {"actor_id": None, "person": "typed:zoe marsh", "name": "Zoé. Marsh"}
    folder.people.write_text(json.dumps(people))
    typed = folder.exports / "typed.csv"
    typed.write_text("name\nZoé. Marsh\n")
    assert forget(folder, database, ZOE) == 0
    assert not typed.exists() and "Zoé" not in folder.people.read_text()


def test_versions_that_a_handover_kept_beside_the_folder_are_cleaned(
    folder: MovieFolder, database: ActorDatabase
) -> None:
    kept = folder.path.parent / "previous" / f"{folder.path.name}-20260101T000000.000000Z"
    kept.mkdir(parents=True)
    shutil.copy(folder.predictions, kept)
    assert forget(folder, database, ZOE) == 0
    assert ZOE not in (kept / folder.predictions.name).read_text()


def test_a_folder_that_was_left_out_can_be_cleaned_after_the_row_is_gone(
    folder: MovieFolder, database: ActorDatabase, tmp_path: Path
) -> None:
    copy = tmp_path / "late" / folder.path.name
    shutil.copytree(folder.path, copy)
    assert forget(folder, database, ZOE) == 0
    assert forget(MovieFolder(copy), database, ZOE) == 1, "nobody knows the names of this id"
    assert forget(MovieFolder(copy), database, ZOE, "--name", "Zoë Marsh") == 0
    assert forget(MovieFolder(copy), database, ZOE, "--name", "Zoë Marsh") == 0, "again"


def test_a_kill_before_the_predictions_leaves_a_folder_that_the_next_run_makes_whole(
    folder: MovieFolder, database: ActorDatabase, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def killed(path: Path, data: bytes) -> None:
        if path == folder.predictions:
            raise KeyboardInterrupt
        write_bytes(path, data)

    with monkeypatch.context() as patch:
        patch.setattr("facerec.forgetting.movie_folder.write_bytes", killed)
        assert forget(folder, database, ZOE) == 130
    assert forget(folder, database, ZOE) == 0
    capsys.readouterr()
    run_main(check.main, [str(folder.path)])
    assert "not the file that" not in capsys.readouterr().err
    where = ["--path", str(folder.path), "--actor-db", str(database.folder)]
    assert run_main(report.main, where) == 0 and "other predictions" not in capsys.readouterr().err


def test_earlier_answers_are_forgotten_and_labels_that_bring_the_name_back_are_told(
    folder: MovieFolder, database: ActorDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    where = ["--path", str(folder.path), "--actor-db", str(database.folder), "--labels"]
    labels, others = tmp_path / "labels.csv", tmp_path / "others.csv"
    others.write_text(labels.read_text().replace(ZOE, "Bob"))
    saved_again = tmp_path / "again.csv"  # by a spreadsheet of a language with a comma in decimal numbers
    rows = labels.read_text().splitlines()
    saved_again.write_text("".join('"' + row.replace(",", '";"') + '"\n' for row in rows))
    assert run_main(apply_labels.main, [*where, str(others)]) == 0
    (kept,) = folder.previous.glob("*/people.json")
    assert ZOE in kept.read_text()
    assert run_main(apply_labels.main, [*where, str(labels)]) == 0
    capsys.readouterr()
    assert forget(folder, database, ZOE) == 0
    assert ZOE not in kept.read_text() and "Zoë" not in kept.read_text()
    said = capsys.readouterr().err
    for path in labels, saved_again:
        assert f"{path}: annotators' labels with the name or id" in said
    assert str(others) not in said
    assert run_main(apply_labels.main, [*where, str(labels)]) == 0
    message = f"{labels}: names 1 trajectory of a person whom forget_actor.py removed"
    assert message in capsys.readouterr().err
