"""How good the backbones and their fusions are on a folder of pictures: the measured tables.

The folder has one folder per class, named as the label: FOLDER/CLASS/*.jpg. Probabilities are (N, K), targets (N,).
Every picture is decoded once and shown to all backbones; times are per picture, of the transform and the forward pass
in batches, without reading the file. A fusion's time is that of its members and its own.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vitdemo.backbones import Backbone
from vitdemo.errors import PictureError, VitdemoError
from vitdemo.fusion import FUSIONS, evidence_of, fuse
from vitdemo.images import load
from vitdemo.models import Models, labels_of
from vitdemo.predict import predict

BINS = 15  # of the expected calibration error, as in Guo et al., 2017
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}  # what `images` reads; other files are passed over
MOST = 1024  # pictures in a batch


@dataclass(frozen=True)
class Scores:
    """One line of the table."""

    top1: float  # share of pictures whose most probable class is right, 0..1
    nll: float  # negative log-likelihood, nats per picture
    ece: float  # expected calibration error, 0..1
    milliseconds: float  # per picture


@dataclass(frozen=True)
class Table:
    """What was measured, on what."""

    collection: str
    pictures: int
    device: str
    batch: int
    backbones: dict[str, Scores]
    fusions: dict[str, Scores]  # of all these backbones


def top1(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Share of the N pictures whose most probable class is the target; of equals the first class counts."""
    return float(np.mean(probabilities.argmax(-1) == targets))


def nll(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean of -log p(target), in nats. A probability of 0 counts as 2.2e-16, the smallest step above 1 in float64."""
    given = np.asarray(probabilities, dtype=np.float64)[np.arange(len(targets)), targets]
    return float(-np.mean(np.log(np.maximum(given, np.finfo(np.float64).eps))))


def ece(probabilities: np.ndarray, targets: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: how far confidence is from accuracy (Guo et al., 2017, arXiv 1706.04599, equation 3).

        ECE = Σ_b |B_b| / N · |acc(B_b) − conf(B_b)|

    Args:
        probabilities: (N, K).
        targets: (N,).
        bins: of equal width; bin b holds confidences in ((b − 1) / bins, b / bins].
    """
    confidence = np.asarray(probabilities, dtype=np.float64).max(-1)
    right = probabilities.argmax(-1) == targets
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(index, weights=right - confidence, minlength=bins)  # |B| (acc - conf)
    return float(np.abs(gaps).sum() / len(targets))


def list_pictures(folder: Path, labels: Sequence[str]) -> list[tuple[Path, int]]:
    """The pictures of FOLDER/CLASS/* with the class's number, in the order of the classes and names.

    Raises:
        VitdemoError: the folder is not there, or its folders are not the classes.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise VitdemoError(
            f"There is no folder {str(folder)!r}; expected one with a folder per class: {_some(labels)}."
        )
    there = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    if unknown := sorted(there - set(labels)):
        raise VitdemoError(f"{str(folder)!r} has a folder {unknown[0]!r}, which is no class; allowed: {_some(labels)}.")
    if missing := [label for label in labels if label not in there]:
        raise VitdemoError(f"{str(folder)!r} has no folder {missing[0]!r}; expected one per class: {_some(labels)}.")
    found = [
        (path, index)
        for index, label in enumerate(labels)
        for path in sorted((folder / label).iterdir())
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]
    if not found:
        raise VitdemoError(f"The folders of {str(folder)!r} hold no picture; allowed: {', '.join(sorted(SUFFIXES))}.")
    return found


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:10]) + (f", … ({len(labels)} in all)" if len(labels) > 10 else "")


def thinned(pictures: Sequence, limit: int | None) -> list:
    """At most `limit` of them, evenly spaced, so that every class keeps its share.

    Raises:
        VitdemoError: the limit is below 1.
    """
    if limit is None:
        return list(pictures)
    if limit < 1:
        raise VitdemoError(f"limit is {limit}; allowed: 1 or more.")
    count = min(limit, len(pictures))
    return [pictures[(2 * index + 1) * len(pictures) // (2 * count)] for index in range(count)]


def evaluate(
    folder: Path,
    rows: Sequence[Backbone],
    fusions: Sequence[str],
    models: Models,
    batch: int = 32,
    report: Callable[[int, int], None] = lambda done, total: None,
    limit: int | None = None,
) -> Table:
    """Measures every backbone and every fusion of all of them.

    Args:
        folder: one folder per class.
        rows: backbones of one collection.
        fusions: names in `FUSIONS`.
        models: where they are loaded.
        batch: pictures in one forward pass, 1 to 1024.
        report: called with (pictures done, pictures in all); may raise to stop.
        limit: measure at most so many pictures, spread over the classes.

    Raises:
        VitdemoError: the folder, a name or a number is not allowed, or the weights do not fit into memory together.
        PictureError: a file cannot be read, named.
    """
    for name in fusions:
        FUSIONS.get(name)
    if not 1 <= batch <= MOST:
        raise VitdemoError(f"batch is {batch}; allowed: 1 to {MOST}.")
    found = thinned(list_pictures(folder, labels_of(rows[0])), limit)
    targets = np.array([target for _, target in found])
    said: list[list[np.ndarray]] = [[] for _ in rows]
    seconds = np.zeros(len(rows))
    with models.use(rows) as loaded:
        for model in loaded:  # the first pass of a model is slower than all others
            predict(model, model.pixels([load(found[0][0])]))
        for done, pictures in _batches([path for path, _ in found], batch):
            report(done, len(found))
            for index, model in enumerate(loaded):
                began = time.perf_counter()
                said[index].append(predict(model, model.pixels(pictures)).probabilities)
                seconds[index] += time.perf_counter() - began
    report(len(found), len(found))
    probabilities = np.stack([np.concatenate(each) for each in said])  # (M, N, K)
    lines = zip(rows, probabilities, seconds, strict=True)
    return Table(
        collection=rows[0].collection,
        pictures=len(found),
        device=str(models.device),
        batch=batch,
        backbones={row.name: _scores(p, targets, spent) for row, p, spent in lines},
        fusions={name: _fused(name, probabilities, targets, rows, float(seconds.sum())) for name in fusions},
    )


def _batches(paths: Sequence[Path], batch: int) -> Iterator[tuple[int, list[Image.Image]]]:
    for first in range(0, len(paths), batch):
        yield first, [_read(path) for path in paths[first : first + batch]]


def _read(path: Path) -> Image.Image:
    try:
        return load(path)
    except PictureError as error:
        raise PictureError(f"In the folder {path.parent.name!r}: {error}") from None


def _scores(probabilities: np.ndarray, targets: np.ndarray, seconds: float) -> Scores:
    return Scores(
        top1(probabilities, targets),
        nll(probabilities, targets),
        ece(probabilities, targets),
        1000 * seconds / len(targets),
    )


def _fused(
    name: str, probabilities: np.ndarray, targets: np.ndarray, rows: Sequence[Backbone], members: float
) -> Scores:
    began = time.perf_counter()
    fused = np.stack([each.probabilities for each in fuse(name, probabilities, evidence_of(rows))])  # (N, K)
    return _scores(fused, targets, members + time.perf_counter() - began)


def to_json(table: Table) -> dict:
    """The table with stable keys."""
    return {"version": 1, **asdict(table)}
