"""Find what the columns of a table of people hold, by their usual names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facerec.support.text import fold

# by field: names of its column, folded; of several columns for one field the first one wins
FIELDS: Mapping[str, tuple[str, ...]] = {
    "name": ("name", "full name", "actor name", "actor", "actors", "actress", "actor actress",
             "name of actor", "actorlabel", "person", "personlabel", "cast", "castlabel", "cast member",
             "castmember", "castmemberlabel", "performer", "performerlabel", "artist", "player",
             "primaryname", "display name", "person name", "darsteller", "darstellerin", "darsteller in",
             "schauspieler", "schauspielerin", "schauspieler in", "mitwirkende r",
             "mitwirkender", "vollstandiger name", "acteur", "acteurs",
             "actrice", "interprete", "interpretes", "nom complet", "actriz", "nombre completo", "attore",
             "attrice", "nome completo", "ator", "naam"),
    "given": ("given name", "first name", "firstname", "given names", "forename", "vorname", "prenom",
              "nombre de pila", "voornaam"),
    "family": ("family name", "last name", "lastname", "surname", "nachname", "familienname",
               "nom de famille", "apellido", "apellidos", "cognome", "sobrenome", "achternaam"),
    "role": ("role", "roles", "rolelabel", "character", "characterlabel", "character name", "characters",
             "part", "character role", "rolle", "rolle n", "rollen", "rollenname", "figur", "personnage",
             "personnages", "papel", "personaje", "personajes", "ruolo", "personaggio", "personagem", "rol"),
    "birthday": ("birthday", "birth date", "birthdate", "date of birth", "dateofbirth", "dob", "born",
                 "geburtstag", "geburtsdatum", "geboren", "geboren am", "date de naissance", "ne le",
                 "fecha de nacimiento", "data di nascita", "data de nascimento", "geboortedatum",
                 "birth year", "birthyear", "year of birth", "born in year", "geburtsjahr",
                 "annee de naissance", "ano de nacimiento", "anno di nascita"),
    "birthplace": ("birthplace", "birth place", "birthplacelabel", "place of birth", "placeofbirth",
                   "placeofbirthlabel", "birth city", "born in", "geburtsort", "lieu de naissance",
                   "lugar de nacimiento", "luogo di nascita", "local de nascimento", "geboorteplaats"),
    "id": ("id", "actor id", "actorid", "person id", "personid", "identifier", "key"),
    "imdb": ("imdb", "imdb id", "imdbid", "nconst", "imdb link", "imdb url"),
    "wikidata": ("wikidata", "wikidata id", "wikidataid", "qid", "q id", "wikidata link", "wikidata url",
                 "wikidata uri"),
    "tmdb": ("tmdb", "tmdb id", "tmdbid", "tmdb link", "tmdb url"),
    "uri": ("uri", "uris", "url", "urls", "link", "authority", "authority uri", "same as", "sameas", "viaf",
            "gnd"),
    "picture": ("picture", "pictures", "image", "images", "photo", "photos", "portrait", "portraits", "file",
                "filename", "file name", "picture file", "image file", "bild", "bilder", "bilddatei", "foto",
                "fotos", "datei", "imagen", "imagenes", "fichier", "immagine"),
    "movie_id": ("movie id", "movieid", "film id", "filmid"),
    "movie_name": ("movie name", "movie", "movielabel", "film", "filmlabel", "film title", "movie title",
                   "title", "titel", "titre", "titulo", "titolo", "filmtitel"),
    "movie_year": ("movie year", "film year", "release year", "year", "jahr", "annee", "ano", "anno",
                   "startyear"),
}  # fmt: skip
_ROLE_VERBS = ("plays", "playing", "portrays", "as")  # for the role, where no other column has it
_FIELD_OF = {alias: field for field, aliases in FIELDS.items() for alias in aliases}


def find_columns(header: Sequence[str], given: Mapping[str, str]) -> tuple[dict[str, int], list[str]]:
    """Find the column of each field.

    Args:
        given: header of the column by field, as the user named it.

    Returns:
        Index of the column by field, and a sentence for each doubt.
    """
    folded = [fold(cell) for cell in header]
    found: dict[str, list[int]] = {}
    for i, name in enumerate(folded):
        if name in _FIELD_OF:
            found.setdefault(_FIELD_OF[name], []).append(i)
    if "nom" in folded:  # French: the family name beside `prénom`, else the name
        found.setdefault("family" if "given" in found else "name", []).append(folded.index("nom"))
    if "nombre" in folded:  # Spanish: the given name beside `apellidos`, else the name
        found.setdefault("given" if "family" in found else "name", []).append(folded.index("nombre"))
    if "nome" in folded:  # Italian and Portuguese
        found.setdefault("given" if "family" in found else "name", []).append(folded.index("nome"))
    verbs = [verb for verb in _ROLE_VERBS if verb in folded]
    if verbs and "role" not in found:
        found["role"] = [folded.index(verbs[0])]
    columns: dict[str, int] = {}
    doubts = []
    for field, places in found.items():
        if field in given:
            continue
        if field == "birthday":  # a date says more than a year
            places = sorted(places, key=lambda i: FIELDS[field].index(folded[i]))[:1]
        if len(places) > 1:
            names = " and ".join(repr(header[i]) for i in places)
            doubts.append(
                f"the columns {names} may both hold the {field}; say which: --column {field}=HEADER"
            )
        columns[field] = places[0]
    for field, name in given.items():
        places = [i for i, cell in enumerate(folded) if cell == fold(name)]
        if field not in FIELDS or len(places) != 1:
            what = (
                f"there are {len(places)} columns {name!r}" if field in FIELDS else f"{field!r} is no field"
            )
            doubts.append(f"--column {field}={name}: {what}; fields: {', '.join(FIELDS)}")
        else:
            columns[field] = places[0]
    return columns, doubts
