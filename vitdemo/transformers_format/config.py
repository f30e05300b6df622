"""config.json in the format of `transformers`, as the description of a timm classifier.

Defaults are those of `transformers` 5, for a field that is not there is one that has its default.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real

from vitdemo.errors import WeightsError
from vitdemo.labels import listed
from vitdemo.transformers_format.names import Size, Translation
from vitdemo.transformers_format.preparation import prepared

MOST = 1 << 20  # of any width, depth or number of heads: far beyond every network, far below what would overflow


def is_described(config: object) -> bool:
    """Whether a config.json is in this format, whatever it describes; timm's own names one `architecture`."""
    return (
        isinstance(config, Mapping)
        and "architecture" not in config
        and not {"architectures", "model_type"}.isdisjoint(config)
    )


def describe(config: Mapping, preprocessor: object, where: str) -> tuple[dict, Translation]:
    """What timm needs to build such a classifier, and how its tensors are named.

    Args:
        config: what config.json holds, which `is_described` takes.
        preprocessor: what preprocessor_config.json holds.
        where: the repository, folder or name, for messages.

    Returns:
        A description in the form of `weights.parse_config`, with `family` besides; and the translation of the tensors.

    Raises:
        WeightsError: an architecture that is not one of `ARCHITECTURES`, or a field that cannot be followed.
    """
    named = config.get("architectures")
    name = named[0] if isinstance(named, list) and len(named) == 1 else named
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise WeightsError(
            f"architectures of {where} is {str(named)[:120]}; allowed: one of {', '.join(ARCHITECTURES)}."
        )
    fields = Fields(where, config)
    if fields.whole("num_channels", 3) != 3:
        raise fields.refusal("num_channels", "3, for red, green and blue")
    transform = prepared(preprocessor, where, str(config.get("model_type")))
    size = tuple(transform["input_size"][1:])
    made = ARCHITECTURES[name](fields, size)
    classes, names = _classes(fields)
    grid = tuple(side // patch for side, patch in zip(size, fields.pair("patch_size", made.patch), strict=True))
    description = {
        "architecture": f"{made.body}_of_transformers",
        "family": made.family,
        "num_classes": classes,
        "label_names": names,
        "label_descriptions": None,
        "problem_type": config.get("problem_type"),
        "model_args": {"img_size": list(size), **made.arguments},
        "pretrained_cfg": transform,
    }
    return description, Translation(where, name, made.body, grid)


@dataclass(frozen=True)
class Fields:
    """config.json, read field by field; every value is checked, and named in the refusal."""

    where: str
    values: Mapping

    def refusal(self, field: str, allowed: str) -> WeightsError:
        return WeightsError(f"{field} of {self.where} is {str(self.values.get(field))[:120]}; allowed: {allowed}.")

    def _get(self, field: str, default: object, good: Callable[[object], bool], allowed: str):
        value = self.values.get(field, default)
        if not good(value):
            raise self.refusal(field, allowed)
        return value

    def whole(self, field: str, default: int) -> int:
        return self._get(field, default, _is_whole, f"a whole number from 1 to {MOST}")

    def number(self, field: str, default: float) -> float:
        return float(self._get(field, default, _is_number, "a number, 0 or more"))

    def flag(self, field: str, default: bool) -> bool:
        return self._get(field, default, lambda value: isinstance(value, bool), "true or false")

    def several(self, field: str, default: tuple[int, ...]) -> tuple[int, ...]:
        good = lambda value: isinstance(value, (list, tuple)) and value and all(map(_is_whole, value))  # noqa: E731
        return tuple(self._get(field, default, good, "a list of whole numbers"))

    def pair(self, field: str, default: int) -> Size:
        """(height, width) of a field that may give one number for both."""
        value = self.values.get(field, default)
        both = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
        if len(both) != 2 or not all(map(_is_whole, both)):
            raise self.refusal(field, "one or two sides in pixels")
        return both

    def activation(self) -> str:
        from vitdemo.transformers_format.bodies import ACTIVATIONS

        allowed = ", ".join(ACTIVATIONS)
        return self._get("hidden_act", "gelu", lambda value: isinstance(value, str) and value in ACTIVATIONS, allowed)


@dataclass(frozen=True)
class Made:
    """What an architecture becomes."""

    body: str  # of `bodies`, without its ending
    family: str
    arguments: dict  # of timm.create_model, without img_size and num_classes
    patch: int = 16  # side, where config.json does not say it


def _classes(fields: Fields) -> tuple[int, list[str]]:
    """How many classes there are, and their names; where there are none `transformers` has two, LABEL_0 and LABEL_1."""
    given = fields.values.get("id2label")
    if given is not None and not isinstance(given, Mapping):
        raise fields.refusal("id2label", "an object of index and name")
    classes = fields.whole("num_labels", len(given) if given else 2)
    try:
        return classes, listed(given, classes, "id2label") or [f"LABEL_{index}" for index in range(classes)]
    except ValueError as error:
        raise WeightsError(f"The classes of {fields.where} cannot be used: {error}.") from None


def _stack(fields: Fields, epsilon: float = 1e-12, patch: int = 16) -> dict:
    """The arguments that all stacks of global attention have."""
    width, heads = fields.whole("hidden_size", 768), fields.whole("num_attention_heads", 12)
    if width % heads:
        raise fields.refusal("num_attention_heads", f"a divisor of hidden_size, {width}")
    return {
        "patch_size": list(fields.pair("patch_size", patch)),
        "embed_dim": width,
        "depth": fields.whole("num_hidden_layers", 12),
        "num_heads": heads,
        "epsilon": fields.number("layer_norm_eps", epsilon),
        "activation": fields.activation(),
    }


def _widened(fields: Fields) -> dict:
    return {"mlp_ratio": ratio(fields.whole("intermediate_size", 3072), fields.whole("hidden_size", 768))}


def ratio(hidden: int, width: int) -> float:
    """hidden / width, so that timm's int(width * ratio) is `hidden`."""
    exact = hidden / width
    return exact if int(width * exact) == hidden else math.nextafter(exact, math.inf)


def _only_at(fields: Fields, size: Size) -> None:
    """Position embeddings or tables are for one size, which has to be that of the pictures."""
    if (built := fields.pair("image_size", 224)) != size:
        raise fields.refusal("image_size", f"{size[0]} x {size[1]}, the size that preprocessor_config.json makes "
                             f"(it is {built[0]} x {built[1]} here)")  # fmt: skip


def vit(fields: Fields, size: Size) -> Made:
    """ViTForImageClassification."""
    _only_at(fields, size)
    return Made("vit", "ViT", _stack(fields) | _widened(fields) | {"qkv_bias": fields.flag("qkv_bias", True)})


def deit(fields: Fields, size: Size) -> Made:
    """DeiTForImageClassification."""
    return Made("deit", "DeiT distilled", vit(fields, size).arguments)


def deit_taught(fields: Fields, size: Size) -> Made:
    """DeiTForImageClassificationWithTeacher."""
    return Made("deit_taught", "DeiT distilled", vit(fields, size).arguments)


def beit(fields: Fields, size: Size) -> Made:
    """BeitForImageClassification."""
    _only_at(fields, size)
    arguments = {
        "init_values": 1.0 if fields.number("layer_scale_init_value", 0.1) > 0 else None,  # its numbers are in the file
        "use_abs_pos_emb": fields.flag("use_absolute_position_embeddings", False),
        "use_rel_pos_bias": fields.flag("use_relative_position_bias", False),
        "use_shared_rel_pos_bias": fields.flag("use_shared_relative_position_bias", False),
        "global_pool": "avg" if fields.flag("use_mean_pooling", True) else "token",
    }
    return Made("beit", "BEiT", _stack(fields) | _widened(fields) | arguments)


def dinov2(fields: Fields, size: Size) -> Made:
    """Dinov2ForImageClassification, whose position embeddings are resampled to the pictures' size."""
    height, width = fields.pair("image_size", 224)
    if height != width:
        raise fields.refusal("image_size", "one side, of a square")
    arguments = _stack(fields, epsilon=1e-6, patch=14)
    features, hidden = arguments["embed_dim"], int(arguments["embed_dim"] * fields.number("mlp_ratio", 4))
    gated = fields.flag("use_swiglu_ffn", False)
    if gated:  # two thirds, rounded up to a multiple of 8, twice: for the gate and for what it lets through
        hidden = 2 * ((int(hidden * 2 / 3) + 7) // 8 * 8)
        arguments["activation"] = "silu"
    arguments |= {"qkv_bias": fields.flag("qkv_bias", True), "init_values": 1.0, "gated": gated,
                  "mlp_ratio": ratio(hidden, features)}  # fmt: skip
    return Made("dinov2", "DINOv2", arguments, patch=14)


def swin(fields: Fields, size: Size) -> Made:
    """SwinForImageClassification."""
    depths, heads = fields.several("depths", (2, 2, 6, 2)), fields.several("num_heads", (3, 6, 12, 24))
    patch, width = fields.pair("patch_size", 4), fields.whole("embed_dim", 96)
    if fields.flag("use_absolute_embeddings", False):
        raise fields.refusal("use_absolute_embeddings", "false")
    if len(heads) != len(depths) or any(width * 2**stage % count for stage, count in enumerate(heads)):
        raise fields.refusal("num_heads", f"a divisor of the width for each of the {len(depths)} stages of depths")
    if size[0] != size[1] or patch[0] != patch[1] or size[0] % patch[0]:
        raise fields.refusal("patch_size", f"a divisor of the side of square pictures, which are {size[0]} x {size[1]}")
    window, grid = fields.whole("window_size", 7), size[0] // patch[0]
    grids = [-(-grid // 2**stage) for stage in range(len(depths))]  # of the stages, each half of the one before
    if any(side > window and side % window for side in grids):  # both libraries pad, but not in the same place
        raise fields.refusal("window_size", f"a divisor of every grid of the stages, {grids}, that is larger")
    arguments = {
        "patch_size": patch[0],
        "embed_dim": width,
        "depths": list(depths),
        "num_heads": list(heads),
        "window_size": window,
        "mlp_ratio": fields.number("mlp_ratio", 4.0),
        "qkv_bias": fields.flag("qkv_bias", True),
        "epsilon": fields.number("layer_norm_eps", 1e-5),
        "activation": fields.activation(),
    }
    return Made("swin", "Swin", arguments, patch=4)


ARCHITECTURES: dict[str, Callable[[Fields, Size], Made]] = {
    "ViTForImageClassification": vit,
    "DeiTForImageClassification": deit,
    "DeiTForImageClassificationWithTeacher": deit_taught,
    "BeitForImageClassification": beit,
    "Dinov2ForImageClassification": dinov2,
    "SwinForImageClassification": swin,
}


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
