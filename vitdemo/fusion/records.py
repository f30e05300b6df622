"""The record of a collection: what its backbones said of validation pictures, from which fusions are fitted.

It lies in `assets/fusion/COLLECTION.npz`, or for backbones of another folder in the folder `fusion` beside it. A record
names the weights and settings that it was made with, by a fingerprint of each backbone, and is refused for others. It
is written from what the caller saw; this module reads no pictures.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from vitdemo.backbones import BUNDLED, Backbone
from vitdemo.errors import VitdemoError
from vitdemo.fusion.fitted import FOLDS, choose_strengths
from vitdemo.models import labels_of
from vitdemo.sources import Files
from vitdemo.types import Prediction, Record

VERSION = 1  # of the file, and of how stages are pooled
MOST = 4096  # pictures: heads are solved in as many dimensions
KINDS = ("log_probabilities", "features", "stages", "steps")


def path_of(row: Backbone) -> Path:
    """Where the record of a backbone's collection lies, whether it is there or not."""
    folder = row.source.paths[0].parent if isinstance(row.source, Files) else BUNDLED
    return folder.parent / "fusion" / f"{row.collection}.npz"


def record_of(rows: Sequence[Backbone], predictions: Sequence[Prediction], targets: Sequence[int]) -> Record:
    """What backbones said of pictures, as a record without strengths.

    Args:
        rows: backbones of one collection.
        predictions: of each of them, on the same N pictures; with stages where the architecture has them.
        targets: (N,) the pictures' classes.

    Raises:
        VitdemoError: the numbers of backbones, pictures or classes do not fit, or a class has too few pictures.
    """
    labels, targets = labels_of(rows[0]), np.asarray(targets, dtype=np.int64)
    if len(rows) != len(predictions) or {(row.collection, labels_of(row)) for row in rows} != {
        (rows[0].collection, labels)
    }:
        raise VitdemoError(
            f"A record got {len(predictions)} predictions of {', '.join(row.name for row in rows)}; "
            "allowed: one for each, all of one collection."
        )
    if any(one.probabilities.shape != (len(targets), len(labels)) for one in predictions):
        raise VitdemoError(
            f"A record got {len(targets)} pictures of {len(labels)} classes and predictions of other shapes; "
            "allowed: each backbone's predictions of all of these pictures."
        )
    fewest = np.bincount(targets, minlength=len(labels)).min()
    if fewest < 2 or len(targets) > MOST or len(targets) < FOLDS:
        raise VitdemoError(
            f"A record got {len(targets)} pictures, {fewest} of the rarest class; "
            f"allowed: {FOLDS} to {MOST}, at least 2 of each class."
        )
    said = {row.name: one for row, one in zip(rows, predictions, strict=True)}
    coarse = {name: _coarse(_unit(one.stages)) for name, one in said.items() if one.stages is not None}
    return Record(
        collection=rows[0].collection,
        labels=tuple(labels),
        targets=targets,
        fingerprints={row.name: fingerprint(row) for row in rows},
        log_probabilities={row.name: _log_softmax(said[row.name].logits / row.temperature) for row in rows},
        features={name: _unit(one.features).astype(np.float16) for name, one in said.items()},
        stages={name: stages for name, (stages, _) in coarse.items()},
        steps={name: steps for name, (_, steps) in coarse.items()},
    )


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)


def _unit(x: np.ndarray) -> np.ndarray:
    """Rows of length 1, which fit into half precision whatever the network's scale."""
    x = x.astype(np.float64)
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), np.finfo(np.float32).tiny)


def _coarse(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, S) in whole steps of a 127th of each column's largest value, int8, and the steps (S,): half the space."""
    steps = np.maximum(np.abs(x).max(0) / 127, np.finfo(np.float32).tiny).astype(np.float32)
    return np.clip(np.round(x / steps), -127, 127).astype(np.int8), steps


def write(
    rows: Sequence[Backbone],
    predictions: Sequence[Prediction],
    targets: Sequence[int],
    path: Path | None = None,
) -> Path:
    """Makes a record, chooses its strengths by cross-validation, and saves it.

    Args:
        rows, predictions, targets: as `record_of` takes them. The pictures have to be validation pictures: what is
            fitted on them may be measured on others only.
        path: where to; None is where the program looks for it.

    Raises:
        VitdemoError: as `record_of`.
    """
    record = record_of(rows, predictions, targets)
    return save(replace(record, strengths=choose_strengths(record)), path or path_of(rows[0]))


def save(record: Record, path: Path) -> Path:
    """Writes a record; the file is there whole or not at all. Equal records make equal files."""
    header = {
        "version": VERSION,
        "collection": record.collection,
        "labels": record.labels,
        "fingerprints": dict(record.fingerprints),
        "strengths": dict(record.strengths),
    }
    arrays = {
        f"{kind}.{index}": getattr(record, kind)[name]
        for kind in KINDS
        for index, name in enumerate(record.fingerprints)
        if name in getattr(record, kind)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, header=np.array(json.dumps(header)), targets=record.targets, **arrays)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def load(path: Path) -> Record:
    """Reads a record; one that did not change since is not read again.

    Raises:
        VitdemoError: the file is damaged or of another version.
    """
    status = path.stat()
    return _load(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _load(path: Path, modified: int, size: int) -> Record:
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            if header["version"] != VERSION:
                raise ValueError(f"version {header['version']}, expected {VERSION}")
            names = list(header["fingerprints"])
            kinds = {
                kind: {name: file[f"{kind}.{m}"] for m, name in enumerate(names) if f"{kind}.{m}" in file}
                for kind in KINDS
            }
            targets = file["targets"]
        whole = set(kinds["log_probabilities"]) == set(kinds["features"]) == set(names)
        if not whole or set(kinds["stages"]) != set(kinds["steps"]):
            raise ValueError("a backbone's numbers are missing")
        if any(len(array) != len(targets) for kind in KINDS[:3] for array in kinds[kind].values()):
            raise ValueError("the numbers of pictures differ")
        return Record(
            header["collection"],
            tuple(header["labels"]),
            targets,
            header["fingerprints"],
            strengths=header["strengths"],
            **kinds,
        )
    except Exception as error:  # zipfile, zlib, NumPy and JSON each have errors of their own for a damaged file
        raise VitdemoError(f"the record {path.name} is damaged ({error}); write it again with evaluate --fit") from None


def fingerprint(row: Backbone) -> str:
    """What a backbone's answers depend on, as a SHA-256: its weights, architecture, transform, temperature, classes."""
    weights = row.source.fingerprint()
    settings = [row.architecture, dict(row.arguments), row.transform and dict(row.transform), row.temperature]
    text = json.dumps([weights, settings, labels_of(row)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
