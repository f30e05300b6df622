"""What the attention of the bundled transformer that has seen much is worth looking at for: it lies on the flowers."""

from dataclasses import replace

import numpy as np
import pytest

from vitdemo import images
from vitdemo.backbones import default_catalogue
from vitdemo.explain import Options, explain
from vitdemo.faithfulness import energy
from vitdemo.models import Models
from vitdemo.pipeline import Request, look, subjects_of
from vitdemo.samples.files import masks_of, shipped

HEADS = 6


@pytest.fixture(scope="module")
def gains() -> np.ndarray:
    """(samples, 1 + heads): the class token's attention on the flower in the last layer, as a multiple of what an even
    map would put there; the mean of the heads first, then each head."""
    rows = default_catalogue().get("flowers", ["dino"])
    request, found = Request("flowers", ("dino",), "mean", ("attention",)), []
    with Models("cpu").use(rows) as loaded:
        for sample in shipped():
            picture = images.load(sample.file)
            mask = np.any(list(masks_of(sample).values()), axis=0)
            seen = [look(loaded[0], loaded[0].pixels([picture]), request)]
            subject = subjects_of(loaded, seen, picture, "mean", np.ones(1, np.float32), 0)["dino"]
            heats = [explain("attention", subject, Options(layer=-1, head=head, query=-1)) for head in range(-1, HEADS)]
            even = replace(heats[0], values=np.ones_like(heats[0].values))
            found.append([energy(heat, mask) / energy(even, mask) for heat in heats])
    return np.array(found)


def test_the_last_layer_looks_at_the_flowers(gains):
    assert gains[:, 0].mean() >= 2


def test_one_of_its_heads_does_so_more(gains):
    assert gains[:, 1:].mean(0).max() >= 3
