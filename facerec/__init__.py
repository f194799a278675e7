"""Find, track, cluster and name the actors of a feature film.

A finished movie folder as pandas tables, see `facerec.Movie`:

    import facerec
    movie = facerec.open_movie("data/12345-data")
    print(movie.people[["name", "seconds", "share"]])

The models from Python (`frame` is an RGB image, uint8, shape (height, width, 3)):

    import facerec
    detector = facerec.load_detector("mtcnn")
    embedder = facerec.load_embedder("dlib")
    faces = detector.detect([frame])[0]
    crops = [embedder.crop(frame, box, points) for box, points in zip(faces.boxes, faces.keypoints)]
    one, other = embedder.embed(crops)[:2]
    distance = float(((one - other) ** 2).sum() ** 0.5)
    print("one person" if distance < embedder.verification_threshold else "two people", distance)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facerec.models import load_detector as load_detector
    from facerec.models import load_embedder as load_embedder
    from facerec.movies.movie import Movie as Movie
    from facerec.movies.movie import open_movie as open_movie

__version__ = "0.1.0"
__all__ = ["Movie", "load_detector", "load_embedder", "open_movie"]


def __getattr__(name: str) -> Any:  # PEP 562: import models and pandas only when used
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("Movie", "open_movie"):
        import facerec.movies.movie

        return getattr(facerec.movies.movie, name)
    import facerec.models

    return getattr(facerec.models, name)
