"""What the program knows of the picture in front of a visitor, told from its pixels and nothing that is sent along.

A picture is a sample where its decoded pixels are those of a sample: nobody's own picture can be taken for one, and
nothing that is kept for all visitors can come from somebody's own.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from vitdemo import images
from vitdemo.naming import name_of


@dataclass(frozen=True)
class Known:
    """A picture, and what is known of it."""

    picture: Image.Image  # upright RGB
    name: str  # its file's name, never a path
    sample: str  # the sample's name in its collection, "" where it is none


def digest(picture: Image.Image) -> str:
    """A SHA-256 of a picture's size and pixels."""
    return hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).hexdigest()


class Samples:
    """The sample pictures of a program, by name and by their pixels.

    Args:
        paths: of the pictures, by collection and name.
    """

    def __init__(self, paths: Mapping[str, Mapping[str, Path]]):
        self.paths = paths

    @cached_property
    def _by_pixels(self) -> dict[tuple[str, str], str]:
        return {
            (collection, digest(images.load(path))): name
            for collection, each in self.paths.items()
            for name, path in each.items()
        }

    def know(self, file: str | Path, collection: str) -> Known:
        """What a file shows, and whether that is a sample of the collection.

        Raises:
            PictureError: it is no picture that can be used.
        """
        picture = images.load(file)
        sample = self._by_pixels.get((collection, digest(picture)), "")
        return Known(picture, name_of(str(self.paths[collection][sample] if sample else file)), sample)

    def file_of(self, picture: Image.Image, collection: str) -> Path | None:
        """The file of the sample that has these pixels; None where there is none."""
        sample = self._by_pixels.get((collection, digest(picture)))
        return None if sample is None else self.paths[collection][sample]
