"""Which pictures are measured, and which fusions learn from; how they are read is told in `vitdemo.folders`."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from PIL import Image

from vitdemo.errors import VitdemoError
from vitdemo.folders import Broken, list_pictures, readable

__all__ = ["batches", "fitting_folder", "list_pictures", "measured_folder", "thinned"]


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


def batches(paths: Sequence[Path], batch: int, broken: list[Broken]) -> Iterator[tuple[list[int], list[Image.Image]]]:
    """(numbers of the paths, as many upright RGB pictures), up to `batch` at a time; `broken` gets what is none."""
    each = readable(paths, broken)
    while part := list(islice(each, batch)):
        numbers, pictures = zip(*part, strict=True)
        yield list(numbers), list(pictures)
