"""The one reader of labelled pictures: FOLDER/CLASS/**/*.jpg, a folder per class, for training and measuring alike.

What is a picture is told by its suffix; hidden files and folders ("._1.jpg" of a memory stick) are none. Folders within
a class are read too, each once, however links lead around. A file that cannot be read is left out and kept as a
`Broken` with its sentence, so that a run ends with what it had, and says what it had not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitdemo.errors import PictureError, VitdemoError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}  # what `images` reads; other files are passed over
NO_CLASSES = {"__MACOSX"}  # what programs leave beside the folders of the classes
TOLD = 20  # broken pictures that are listed by name


@dataclass(frozen=True)
class Broken:
    """A picture that could not be read."""

    path: Path
    reason: str  # one sentence


def classes(folder: Path) -> tuple[str, ...]:
    """The names of the folders in a folder, sorted; () where it is none."""
    found = folder.iterdir() if folder.is_dir() else ()
    return tuple(sorted(path.name for path in found if path.is_dir() and _is_shown(path.name)))


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of one class, those in folders within it included, in a fixed order."""
    found, seen = [], set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if _is_shown(name))
        found += [Path(place) / name for name in names if _is_shown(name) and _is_picture(name)]
    return sorted(found)


def _is_shown(name: str) -> bool:
    return not name.startswith(".") and name not in NO_CLASSES


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


def list_folder(folder: Path) -> tuple[list[Path], list[int], tuple[str, ...]]:
    """The pictures of a folder whose classes are whatever it holds: N paths, N numbers of classes, K names.

    Raises:
        VitdemoError: there is no picture.
    """
    labels = classes(folder)
    each = [pictures_in(folder / label) for label in labels]
    if not any(each):
        raise VitdemoError(
            f"Expected pictures in one folder per class, got none in {folder}; "
            f"allowed: {folder}/CLASS/*{{{','.join(sorted(SUFFIXES))}}}."
        )
    paths = [path for found in each for path in found]
    return paths, [index for index, found in enumerate(each) for _ in found], labels


def list_pictures(folder: Path, labels: Sequence[str]) -> list[tuple[Path, int]]:
    """The pictures of a folder whose classes are known, with the class's number, in the order of classes and names.

    Raises:
        VitdemoError: the folder is not there, or its folders are not the classes.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise VitdemoError(
            f"There is no folder {str(folder)!r}; expected one with a folder per class: {_some(labels)}."
        )
    there = classes(folder)
    if unknown := sorted(set(there) - set(labels)):
        raise VitdemoError(f"{str(folder)!r} has a folder {unknown[0]!r}, which is no class; allowed: {_some(labels)}.")
    if missing := [label for label in labels if label not in there]:
        raise VitdemoError(f"{str(folder)!r} has no folder {missing[0]!r}; expected one per class: {_some(labels)}.")
    found = [(path, index) for index, label in enumerate(labels) for path in pictures_in(folder / label)]
    if not found:
        raise VitdemoError(f"The folders of {str(folder)!r} hold no picture; allowed: {', '.join(sorted(SUFFIXES))}.")
    return found


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:10]) + (f", … ({len(labels)} in all)" if len(labels) > 10 else "")


def check_splits(folder: Path, splits: Sequence[str]) -> tuple[str, ...]:
    """Make sure that every split has pictures of the same two or more classes, and return these.

    Raises:
        VitdemoError: a split is missing or empty, a class has no pictures, the splits differ, or there is one class.
    """
    first = None
    for split in splits:
        _, targets, labels = list_folder(folder / split)
        empty = [label for index, label in enumerate(labels) if index not in targets]
        if empty:
            raise VitdemoError(
                f"Expected pictures of every class, got none in {folder / split / empty[0]}; allowed: "
                f"{','.join(sorted(SUFFIXES))}, or no such folder."
            )
        if len(labels) < 2:
            raise VitdemoError(f"Expected several classes, got {labels[0]!r} alone in {folder / split}; allowed: 2 up.")
        if first is not None and labels != first:
            differing = ", ".join(sorted(set(labels) ^ set(first)))
            raise VitdemoError(
                f"Expected the same classes in {splits[0]} and {split} of {folder}, got a difference in {differing}; "
                "allowed: the same folders in both."
            )
        first = labels
    return first


def readable(paths: Sequence[Path], broken: list[Broken]) -> Iterator[tuple[int, Image]]:
    """(number of the path, upright RGB picture) for every file that can be read; the others are added to `broken`."""
    from vitdemo.images import load

    for index, path in enumerate(paths):
        try:
            picture = load(path)
        except PictureError as error:
            broken.append(Broken(path, str(error)))
        else:
            yield index, picture


def tell(broken: Sequence[Broken]) -> None:
    """Says on stderr which pictures were left out, each with its sentence, and how many."""
    each = {one.path: one for one in broken}  # a folder may have been read more than once
    for one in list(each.values())[:TOLD]:
        print(f"left out: {one.path}: {one.reason}", file=sys.stderr)
    if each:
        more = f", of which {TOLD} are listed" if len(each) > TOLD else ""
        print(f"{len(each)} pictures could not be read and were left out{more}.", file=sys.stderr)
