"""Render a page from its template: one HTML file that loads nothing from a network.

Styles and scripts are inside the page, allowed by their hashes in its Content-Security-Policy, so that no
other script can run, whatever a name or a title contains. Values are escaped by the template; data is JSON in
a script element of a type that browsers do not run, without characters that could end it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import jinja2
import orjson

_HERE = Path(__file__).parent
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def render(template: str, styles: Sequence[str], scripts: Sequence[str], **values: Any) -> bytes:
    """Render `templates/<template>` with the given files of `assets/`.

    Args:
        values: for the template; it also gets `styles`, `scripts` and the Content-Security-Policy `policy`.
            `standalone` must be among them: then the page may show no file beside it.
    """
    style_texts, script_texts = [[_asset(name) for name in names] for names in (styles, scripts)]
    pictures = "data:" if values["standalone"] else "'self' file: data:"
    policy = (
        f"default-src 'none'; script-src {_hashes(script_texts)}; style-src {_hashes(style_texts)}; "
        f"img-src {pictures}; base-uri 'none'; form-action 'none'"
    )
    page = _environment().get_template(template)
    text = page.render(
        styles=style_texts,
        scripts=script_texts,
        policy=policy,
        **values,
    )
    return text.encode()


def json_block(value: object) -> str:
    """Return `value` as JSON for a script element of the type application/json; templates mark it as safe."""
    text = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return text.translate({ord(character): escape for character, escape in _ESCAPED.items()})


@cache
def _asset(name: str) -> str:
    return (_HERE / "assets" / name).read_text(encoding="utf-8")


def _hashes(texts: Sequence[str]) -> str:
    """Return the sources that allow exactly these texts."""
    digests = [b64encode(sha256(text.encode()).digest()).decode() for text in texts]
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
