"""timm's bodies with the settings and the heads of `transformers`; importing this module registers them with timm.

Both libraries compute the same but for the epsilon of LayerNorm, which differs from place to place, the activation, and
two heads: that of DINOv2 reads the class token and the mean of the patches side by side, that of DeiT the class token
alone, though a distillation token is there.
"""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from timm.layers import GluMlp, Mlp, QuickGELU, SwiGLUPacked
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.beit import Beit
from timm.models.deit import VisionTransformerDistilled
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {  # by the names that `transformers` gives them
    **dict.fromkeys(("gelu", "gelu_python"), nn.GELU),
    **dict.fromkeys(("gelu_new", "gelu_fast", "gelu_pytorch_tanh"), partial(nn.GELU, approximate="tanh")),
    **dict.fromkeys(("silu", "swish"), nn.SiLU),
    "quick_gelu": QuickGELU,
    "relu": nn.ReLU,
}
OTHERS = 1e-5  # epsilon of the norms in a Swin that config.json says nothing about: PyTorch's own


class ClassAndMean(VisionTransformer):
    """A ViT whose head reads the class token and the mean of the patches, side by side."""

    def __init__(self, *args, num_classes: int = 1000, **kwargs):
        super().__init__(*args, num_classes=num_classes, **kwargs)
        self.head_hidden_size = 2 * self.embed_dim
        self.head = nn.Linear(self.head_hidden_size, num_classes)

    def pool(self, x: torch.Tensor, pool_type: str | None = None) -> torch.Tensor:
        """(B, N, D) to (B, 2 D)."""
        return torch.cat([x[:, 0], x[:, self.num_prefix_tokens :].mean(1)], 1)


class ClassAlone(VisionTransformerDistilled):
    """A DeiT with a distillation token that its head does not read."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        del self.head_dist

    def get_classifier(self) -> nn.Module:
        return self.head

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """(B, N, D) to (B, K), or to what the head is given, (B, D)."""
        x = self.head_drop(x[:, 0])
        return x if pre_logits else self.head(x)


HEADS = {"deit_taught": ("head", "head_dist"), "swin": "head.fc"}  # where it is not called "head"
default_cfgs = generate_default_cfgs(
    {
        f"{name}_of_transformers.untrained": {
            "url": "",
            "num_classes": 1000,
            "input_size": (3, 224, 224),
            "fixed_input_size": True,
            "pool_size": None,
            "crop_pct": 1.0,
            "first_conv": "patch_embed.proj",
            "classifier": HEADS.get(name, "head"),
        }
        for name in ("vit", "dinov2", "deit", "deit_taught", "beit", "swin")
    }
)


@register_model
def vit_of_transformers(pretrained: bool = False, **kwargs) -> VisionTransformer:
    """ViTForImageClassification. Of the arguments, `epsilon` and `activation` are ours, the others timm's."""
    return _made(VisionTransformer, "vit_of_transformers", pretrained, **kwargs)


@register_model
def dinov2_of_transformers(pretrained: bool = False, gated: bool = False, **kwargs) -> ClassAndMean:
    """Dinov2ForImageClassification; `gated` for the giant, whose activation is a gate (SwiGLU)."""
    mlp = {"mlp_layer": SwiGLUPacked} if gated else {}
    return _made(ClassAndMean, "dinov2_of_transformers", pretrained, **mlp, **kwargs)


@register_model
def deit_of_transformers(pretrained: bool = False, **kwargs) -> ClassAlone:
    """DeiTForImageClassification."""
    return _made(ClassAlone, "deit_of_transformers", pretrained, **kwargs)


@register_model
def deit_taught_of_transformers(pretrained: bool = False, **kwargs) -> VisionTransformerDistilled:
    """DeiTForImageClassificationWithTeacher: two heads, whose logits are averaged."""
    return _made(VisionTransformerDistilled, "deit_taught_of_transformers", pretrained, **kwargs)


@register_model
def beit_of_transformers(pretrained: bool = False, **kwargs) -> Beit:
    """BeitForImageClassification."""
    return _made(Beit, "beit_of_transformers", pretrained, **kwargs)


@register_model
def swin_of_transformers(pretrained: bool = False, epsilon: float = OTHERS, **kwargs) -> SwinTransformer:
    """SwinForImageClassification: `epsilon` is that of the blocks and the last norm."""
    body = _made(SwinTransformer, "swin_of_transformers", pretrained, epsilon=OTHERS, **kwargs)
    blocks = [block for stage in body.layers for block in stage.blocks]
    _set_epsilon([body.norm, *(norm for block in blocks for norm in (block.norm1, block.norm2))], epsilon)
    return body


def _made(kind: type[nn.Module], name: str, pretrained: bool, epsilon: float, activation: str, **kwargs) -> nn.Module:
    body = build_model_with_cfg(kind, name, pretrained, **kwargs)
    _set_epsilon(body.modules(), epsilon)
    for module in body.modules():
        if isinstance(module, (Mlp, GluMlp)):
            module.act = ACTIVATIONS[activation]()
    return body


def _set_epsilon(modules: Iterable[nn.Module], epsilon: float) -> None:
    for module in modules:
        if isinstance(module, nn.LayerNorm):
            module.eps = epsilon
