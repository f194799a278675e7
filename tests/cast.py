"""An actor database made of the portraits in the shared test material."""

from __future__ import annotations

import shutil
from pathlib import Path

from facerec.actors.database import ActorDatabase

PORTRAITS = {
    "nm0592135": ("Lin-Manuel Miranda", ["lin-manuel-miranda.png"]),
    "nm2059236": (
        "Alex Lacamoire",
        [
            "alex-lacamoire.png",
            "knn_examples_test_alex_lacamoire1.jpg",
            "knn_examples_train_alex_lacamoire_img1.jpg",
        ],
    ),
    "nm1682433": ("Barack Obama", ["obama.jpg", "obama2.jpg", "knn_examples_test_obama1.jpg"]),
    "nm0081182": ("Joe Biden", ["biden.jpg", "knn_examples_train_biden_biden2.jpg"]),
    "nm3592338": (
        "Rose Leslie",
        ["knn_examples_train_rose_leslie_img1.jpg", "knn_examples_train_rose_leslie_img2.jpg"],
    ),
    "nm3229685": ("Kit Harington", ["knn_examples_test_johnsnow_test1.jpg"]),
}
SEVERAL_PEOPLE = (
    "two_people.jpg",
    "knn_examples_test_obama_and_biden.jpg",
    "knn_examples_test_kit_with_rose.jpg",
)


def make_database(folder: Path, people: Path, movie_id: int) -> ActorDatabase:
    """Write an actor database with the portraits in `people` as the cast of `movie_id`, not yet embedded."""
    database = ActorDatabase(folder)
    database.pictures.mkdir(parents=True)
    actors = ["movie_id,movie_name,movie_year,id,name,role,birthday,birthplace"]
    images = ["actor_id,movie_id,filename,n_detections"]
    for actor, (name, files) in PORTRAITS.items():
        actors.append(f"{movie_id},A film,2016,{actor},{name},Self,1970,Somewhere")
        for file in files:
            shutil.copyfile(people / file, database.pictures / file)
            images.append(f"{actor},{movie_id},{file},")
    database.actors.write_text("\n".join(actors) + "\n")
    database.images.write_text("\n".join(images) + "\n")
    return database
