"""Any small timm model as a subject to explain, the way the pipeline makes one of a loaded backbone."""

import numpy as np
import torch
from PIL import Image
from torch import nn

from tests import families
from tests.conftest import TRANSFORM, paint
from vitdemo.attention import Recorder
from vitdemo.backbones import Backbone
from vitdemo.explain import Subject
from vitdemo.explain.attention import layout
from vitdemo.fusion import FusedModel
from vitdemo.models import Model, Network
from vitdemo.types import NotOffered

CLASSES = tuple("abcde")


def model_of(body: nn.Module, size: tuple[int, int], name: str = "model", temperature: float = 1.5) -> Model:
    """A model around a classifier of five classes; its transform squashes a picture to `size`."""
    transform = TRANSFORM | {"input_size": (3, *size), "crop_pct": 1.0, "crop_mode": "squash"}
    row = Backbone(
        name=name,
        collection="families",
        family="test",
        architecture=type(body).__name__,
        parameters=1,
        accuracy=0.5,
        transform=transform,
        labels=CLASSES,
        temperature=temperature,
    )
    network = Network(body, transform["mean"], transform["std"]).eval().requires_grad_(False)

    def resize(picture: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.array(picture.resize(size[::-1]))).permute(2, 0, 1)

    return Model(row, network, torch.device("cpu"), CLASSES, transform, resize)


def alone(model: Model, picture: Image.Image, target: int = 1, against: int | None = None) -> Subject:
    """One model as a subject, with its attention recorded where it can be used."""
    pixels = model.pixels([picture])
    matrices = []
    if not isinstance(tokens := layout(model), NotOffered):
        with Recorder(tokens.keep("mean")) as recorder, torch.inference_mode():
            model.network(pixels)
        matrices = recorder.matrices
    scorer = FusedModel([model], "mean")
    return Subject((model,), scorer, (pixels,), (model.view(picture),), np.ones(1), (matrices,), target, against)


def family(name: str, target: int = 1, against: int | None = None) -> Subject:
    """A family of `tests.families` that looks at a smooth random picture."""
    size = families.pixels(name).shape[-2:]
    return alone(model_of(families.body(name), tuple(size), name), paint(60, 60), target, against)
