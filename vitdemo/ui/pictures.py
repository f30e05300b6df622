"""Sample pictures: the flowers that the project draws, and for ImageNet photographs that Gradio's package carries."""

from pathlib import Path

from gradio import media

from vitdemo.backbones import Catalogue
from vitdemo.samples import FOLDER, shipped

PHOTOGRAPHS = ("cheetah1.jpg", "lion.jpg", "tower.jpg")


def samples(catalogue: Catalogue) -> dict[str, dict[str, Path]]:
    """Paths of sample pictures, by collection and name, for the collections that the program offers."""
    drawn = {Path(entry.file).stem: FOLDER / entry.file for entry in shipped()}
    photographs = {Path(name).stem: Path(media.get_image(name)) for name in PHOTOGRAPHS}
    every = {"flowers": drawn, "imagenet": photographs}
    return {name: every[name] for name in catalogue.collections() if name in every}
