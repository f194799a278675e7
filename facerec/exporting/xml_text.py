"""Text in XML files: names of people may contain anything."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

# what XML 1.0 has no way to write
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def element_text(text: str) -> str:
    """Return the text of an element, escaped; characters that XML forbids are left out."""
    return escape(_FORBIDDEN.sub("", text))


def attribute(text: str) -> str:
    """Return an attribute's value with its quotes, escaped; characters that XML forbids are left out."""
    return quoteattr(_FORBIDDEN.sub("", text))
