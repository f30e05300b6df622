"""The labelled pictures of a folder: FOLDER/CLASS/*.jpg, a folder per class, named as the label."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from vitdemo.errors import PictureError, VitdemoError
from vitdemo.images import load

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}  # what `images` reads; other files are passed over


def measured_folder(data: Path, labels: Sequence[str]) -> Path:
    """Where to measure: DATA/test if DATA holds splits, DATA itself if it holds classes."""
    data = Path(data)
    return data / "test" if "test" not in labels and (data / "test").is_dir() else data


def fitting_folder(data: Path, labels: Sequence[str], given: Path | None = None) -> Path:
    """Where to fit: the folder that was given, else DATA/val.

    Raises:
        VitdemoError: there is none, or it has pictures in common with the folder that is measured.
    """
    folder = Path(given) if given is not None else Path(data) / "val"
    if not folder.is_dir():
        raise VitdemoError(f"There is no folder {str(folder)!r} to fit on; expected DIR/val, or --fit DIR.")
    fitted, measured = folder.resolve(), measured_folder(data, labels).resolve()
    if fitted == measured or fitted in measured.parents or measured in fitted.parents:
        raise VitdemoError(f"{str(folder)!r} is where is measured; allowed: to fit on pictures that are not measured.")
    return folder


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


def batches(paths: Sequence[Path], batch: int) -> Iterator[tuple[int, list[Image.Image]]]:
    """(pictures before, up to `batch` upright RGB pictures).

    Raises:
        PictureError: a file cannot be read, named.
    """
    for first in range(0, len(paths), batch):
        yield first, [_read(path) for path in paths[first : first + batch]]


def _read(path: Path) -> Image.Image:
    try:
        return load(path)
    except PictureError as error:
        raise PictureError(f"In the folder {path.parent.name!r}: {error}") from None
