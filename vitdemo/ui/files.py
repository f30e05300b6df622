"""Files to take home: where the platform keeps temporary files, under names nobody can guess, gone after their age."""

import os
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from vitdemo.naming import file_part

PREFIX = "vitdemo-"
AGE = 7200  # seconds


def folder() -> Path:
    """Where Gradio keeps its temporary files, and may serve them from: GRADIO_TEMP_DIR, or the system's own."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio")


def write(name: str, suffix: str, content: bytes) -> str:
    """Writes a file and gives its path; those of the past are removed when they have had their time.

    Args:
        name: what it is called, in any words.
        suffix: without a dot.
    """
    place = folder()
    tidy(place)
    own = place / f"{PREFIX}{secrets.token_hex(16)}"
    own.mkdir(parents=True, mode=0o700)
    path = own / f"{file_part(name)}.{suffix}"
    path.write_bytes(content)
    return str(path)


def tidy(place: Path, age: float = AGE) -> None:
    """Removes what this program wrote there more than `age` seconds ago."""
    now = time.time()
    for old in place.glob(f"{PREFIX}*"):
        try:
            if now - old.stat().st_mtime > age:
                shutil.rmtree(old, ignore_errors=True)
        except OSError:  # somebody else removed it
            continue
