"""Analyses that are shipped: what the program shows of a sample before any network is loaded.

    assets/prepared/SAMPLE.npz    numbers as JSON, arrays beside them, and the key that it was computed under

A key stands for everything that an analysis depends on: the pixels, the weights and settings of the backbones, and the
request. Whatever changes, the key is another, and the shipped analysis is passed over, never shown for something else.
`python -m vitdemo prepare` writes them again.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vitdemo.backbones import Backbone
from vitdemo.errors import VitdemoError
from vitdemo.faithfulness import Curve, Floor, Pair, Trust
from vitdemo.fusion.records import fingerprint
from vitdemo.models import labels_of
from vitdemo.pipeline import Analysis, Request
from vitdemo.types import Fused, Heat, NotOffered, Prediction, View

FOLDER = Path(__file__).parent.parent / "assets" / "prepared"
VERSION = 1  # of the file, and of how analyses are computed: goes up when the same key would have another answer
KINDS = {kind.__name__: kind for kind in (Prediction, Fused, Heat, NotOffered, View, Trust, Pair, Curve, Floor)}
GIVEN = ("request", "picture", "backbones", "labels")  # of an analysis: who asks has them


def key_of(picture: Image.Image, rows: Sequence[Backbone], request: Request) -> str:
    """A SHA-256 of all that an analysis depends on.

    Args:
        picture: upright RGB; its pixels count, not its file or its name.
        rows: the backbones that the request names, with their weights.
        request: what is asked for.
    """
    asked = json.dumps([VERSION, picture.size, asdict(request), [fingerprint(row) for row in rows]], sort_keys=True)
    return hashlib.sha256(asked.encode() + picture.tobytes()).hexdigest()


class Prepared:
    """The shipped analyses of a folder, by key. Files are opened when they are asked for.

    Args:
        folder: where they lie; one that is not there holds none.
    """

    def __init__(self, folder: Path = FOLDER):
        self._paths = {_key(path): path for path in sorted(folder.glob("*.npz"))}

    def __len__(self) -> int:
        return len(self._paths)

    def find(self, picture: Image.Image, rows: Sequence[Backbone], request: Request) -> Analysis | None:
        """The analysis of exactly this, or None."""
        return self.get(key_of(picture, rows, request), picture, rows, request)

    def get(self, key: str, picture: Image.Image, rows: Sequence[Backbone], request: Request) -> Analysis | None:
        """As `find`, for who has the key of this already."""
        path = self._paths.get(key)
        return None if path is None else read(path, picture, rows, request)


def write(analysis: Analysis, path: Path) -> Path:
    """One analysis as a file; see `read`."""
    arrays: list[np.ndarray] = []
    known = {field.name: getattr(analysis, field.name) for field in fields(analysis) if field.name not in GIVEN}
    content = json.dumps({name: _packed(value, arrays) for name, value in known.items()}, allow_nan=False)
    buffer = io.BytesIO()
    key = key_of(analysis.picture, analysis.backbones, analysis.request)
    named = {str(index): array for index, array in enumerate(arrays)}
    np.savez_compressed(buffer, key=np.array(key), content=np.array(content), **named)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return path


def read(path: Path, picture: Image.Image, rows: Sequence[Backbone], request: Request) -> Analysis:
    """The analysis that `write` wrote, with what the caller has of it.

    Raises:
        VitdemoError: the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            known = {name: _unpacked(value, file) for name, value in json.loads(str(file["content"])).items()}
        return Analysis(request=request, picture=picture, backbones=tuple(rows), labels=labels_of(rows[0]), **known)
    except Exception as error:  # zipfile, zlib, NumPy and JSON each have errors of their own for a damaged file
        raise VitdemoError(
            f"The prepared analysis {path.name} is damaged ({error}); write it again with python -m vitdemo prepare."
        ) from None


def _key(path: Path) -> str:
    try:
        with np.load(path, allow_pickle=False) as file:
            return str(file["key"])
    except Exception:  # damaged: it is never found, and the sample is analysed as any picture
        return f"damaged {path.name}"


def _packed(value: object, arrays: list[np.ndarray]) -> object:
    """Plain JSON; arrays are put into the list and referred to by their number."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if is_dataclass(value):
        known = {each.name: _packed(getattr(value, each.name), arrays) for each in fields(value)}
        return {"kind": type(value).__name__, "of": known}
    if isinstance(value, tuple):
        return {"tuple": [_packed(each, arrays) for each in value]}
    if isinstance(value, Mapping):
        return {"by name": {name: _packed(each, arrays) for name, each in value.items()}}
    return value


def _unpacked(value: object, file: Mapping[str, np.ndarray]) -> object:
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return file[str(value["array"])]
    if "kind" in value:
        return KINDS[value["kind"]](**{name: _unpacked(each, file) for name, each in value["of"].items()})
    if "tuple" in value:
        return tuple(_unpacked(each, file) for each in value["tuple"])
    return {name: _unpacked(each, file) for name, each in value["by name"].items()}
