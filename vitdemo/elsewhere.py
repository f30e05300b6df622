"""What a network of the thousand classes of ImageNet says of a picture that a few classes were asked of.

A classifier of five flowers calls everything a flower: its classes are all it knows. One more small forward pass, of a
backbone that needs no network, says what else the picture may be.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from vitdemo.backbones import Catalogue
from vitdemo.host import IMAGENET
from vitdemo.models import Models, is_here
from vitdemo.predict import is_finite, predict


@dataclass(frozen=True)
class Elsewhere:
    """One answer of another collection."""

    collection: str
    backbone: str
    label: str
    probability: float  # 0..1


def elsewhere(picture: Image.Image, collection: str, catalogue: Catalogue, models: Models) -> Elsewhere | None:
    """What ImageNet's first backbone that is on this machine says; None where the picture was asked of ImageNet, where
    it has no such backbone, or no finite answer.

    Args:
        picture: upright RGB.
        collection: what has been asked already.
    """
    if collection == IMAGENET or IMAGENET not in catalogue.collections():
        return None
    rows = [row for row in catalogue.get(IMAGENET, catalogue.suggested(IMAGENET)) if is_here(row, models.fetcher)]
    if not rows:
        return None
    with models.use(rows[:1]) as (model,):
        said = predict(model, model.pixels([picture]))
        if not is_finite(said):
            return None
        best = int(np.argmax(said.probabilities[0]))
        return Elsewhere(IMAGENET, rows[0].name, model.labels[best], float(said.probabilities[0, best]))
