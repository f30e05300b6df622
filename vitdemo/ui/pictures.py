"""Sample pictures: the flowers that the project draws, and for ImageNet photographs that Gradio's package carries."""

from pathlib import Path

import numpy as np
from gradio import media

from vitdemo.backbones import Catalogue
from vitdemo.samples import FOLDER, masks_of, shipped

PHOTOGRAPHS = ("cheetah1.jpg", "lion.jpg", "tower.jpg")


def samples(catalogue: Catalogue) -> dict[str, dict[str, Path]]:
    """Paths of sample pictures, by collection and name, for the collections that the program offers."""
    drawn = {Path(entry.file).stem: FOLDER / entry.file for entry in shipped()}
    photographs = {Path(name).stem: Path(media.get_image(name)) for name in PHOTOGRAPHS}
    every = {"flowers": drawn, "imagenet": photographs}
    return {name: every[name] for name in catalogue.collections() if name in every}


def masks(path: Path) -> dict[str, np.ndarray]:
    """Where the flowers of a drawn sample are, (H, W) bool by class; nothing is known of other pictures."""
    for entry in shipped():
        if path == entry.file:
            return masks_of(entry)
    return {}
