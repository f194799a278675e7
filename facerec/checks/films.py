"""Rules for the folder of films beside movie folders: which file the labeling backend takes for a movie.

It reads the number before the first `-` of every file name there, also of subtitles and proxies, and takes
the last file of a movie in the order of their names.
"""

from __future__ import annotations

from pathlib import Path

from facerec.checks.violations import Violations
from facerec.folder.plan import Plan
from facerec.video.identity import probe_sha256


def backend_movie_id(name: str) -> int | None:
    """Return the movie id that the labeling backend reads in a file name; None if it reads none."""
    try:
        return int(name.partition("-")[0])
    except ValueError:
        return None


class FilmsFolder:
    """The folder of films; a folder that cannot be listed is reported once."""

    def __init__(self, folder: Path, violations: Violations) -> None:
        self._folder = folder
        self._films: dict[int, list[Path]] = {}
        if not folder.is_dir():
            rule = "this folder of films must exist; the labeling backend does not start without it"
            violations.add(folder, rule, fatal=True)
            return
        for path in sorted(folder.iterdir(), key=lambda path: path.name):
            movie_id = None if path.is_dir() else backend_movie_id(path.name)
            if movie_id is not None:
                self._films.setdefault(movie_id, []).append(path)

    def check_movie(self, movie_id: int, plan: Plan | None, violations: Violations) -> Path | None:
        """Check the film of a movie; returns the file that the labeling backend takes, None if there is none.

        Args:
            plan: the movie's plan, which names the film; None if there is none.
        """
        found = self._films.get(movie_id, [])
        if not found:
            if self._folder.is_dir():
                rule = f"no film of movie {movie_id} here: annotators see no full frames"
                violations.add(self._folder, rule, fatal=False)
            return None
        taken = found[-1]
        if len(found) > 1:
            others = ", ".join(repr(path.name) for path in found[:-1])
            rule = (
                f"the labeling backend takes this file as the film of movie {movie_id}, and not {others}; "
                "keep only the film that was extracted here"
            )
            violations.add(taken, rule, fatal=True)
        if plan is None:
            return taken
        recorded = plan.film.get("name")
        try:
            same = "probe" not in plan.film or probe_sha256(taken) == plan.film["probe"]
        except OSError as error:
            violations.add(taken, f"the film cannot be read: {error.strerror}", fatal=False)
            return taken
        if not same:
            rule = f"is not the film that was extracted, {recorded!r}: full frames would not match the boxes"
            violations.add(taken, rule, fatal=False)
        elif recorded != taken.name and len(found) == 1:
            violations.warn(taken, f"was named {recorded!r} when it was extracted")
        return taken
