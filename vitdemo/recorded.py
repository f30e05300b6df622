"""What was measured once and is shipped: the documents in `assets/results`."""

import json
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "assets" / "results"
MEASURED = 2  # version of what `evaluate` writes
STUDIED = 1  # version of what `evaluate --explain` writes


def document(path: Path, version: int) -> dict | None:
    """A file of results, or None where there is none or another version of the program wrote it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) and data.get("version") == version else None


def measured(collection: str, folder: Path = FOLDER) -> dict | None:
    """The figures of a collection's backbones and fusions, or None where none were measured."""
    return document(folder / f"{collection}.json", MEASURED)


def studied(collection: str, folder: Path = FOLDER) -> dict | None:
    """The study of explanations, or None where there is none of this collection."""
    data = document(folder / "explanations.json", STUDIED)
    return data if data and data["collection"] == collection else None
