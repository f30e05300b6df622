"""Names of files that are made of what a person wrote: a class, or another file's name."""

import os
import re
import unicodedata
from pathlib import PurePath

MOST = 80  # bytes of a part of a file's name: file systems take 255 for all of it
RESERVED = {"con", "prn", "aux", "nul", *(f"{kind}{number}" for kind in ("com", "lpt") for number in range(1, 10))}


def file_part(text: str, instead: str = "unnamed") -> str:
    """A part of a file's name that is one on every system: no separators, no controls, no reserved word, not empty.

    Args:
        text: anything.
        instead: what stands where nothing is left.
    """
    text = unicodedata.normalize("NFC", readable(text))
    kept = "".join(letter if unicodedata.category(letter)[0] in "LNM" else "-" for letter in text)
    kept = re.sub("-+", "-", kept).strip("-")
    while len(kept.encode()) > MOST:
        kept = kept[:-1]
    kept = kept.strip("-")
    return f"{kept}-" if kept.casefold() in RESERVED else kept or instead


def readable(text: str) -> str:
    """Text that can be encoded: bytes of a file's name that are no UTF-8, and lone surrogates, become a mark."""
    return os.fsencode(text).decode("utf-8", "replace") if _escaped(text) else text.encode("utf-8", "replace").decode()


def _escaped(text: str) -> bool:
    try:
        os.fsencode(text)
        return True
    except UnicodeEncodeError:
        return False


def name_of(path: str) -> str:
    """A file's own name, never its folder, as text that can be encoded."""
    return readable(PurePath(path).name)
