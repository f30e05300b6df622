"""A stranger's config.json and weights, weighed whole before the first picture.

Every field that timm writes is taken up here, or described by the shapes of the weights, or refused by name in one
sentence that says what came and what is allowed. The architecture is built without numbers in it, which takes no
memory, and run once on a picture without pixels.

Taken up: architecture, num_classes, model_args, global_pool, input_size, test_input_size, min_input_size,
fixed_input_size, interpolation, crop_pct, test_crop_pct, crop_mode, mean, std, label_offset, and `labels` reads
labels, label_names and label_descriptions. Descriptive, because shapes or classes already decide them: num_features,
pool_size, test_pool_size, first_conv, classifier, tag, license, and where weights were once found.
"""

import json
import math
import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vitdemo.errors import WeightsError

if TYPE_CHECKING:  # which `--help` should not wait for
    from torch import nn

CROP_MODES = ("center", "squash", "border")
MAX_CROP = 2  # above 1 the picture is smaller than what is fed, and black is around it, as VOLO has it
MAX_SIDE = 2048  # pixels of a picture's long side, as `images` gives it
SOFTMAX = {  # fields that say what the outputs mean, and what they may say
    "problem_type": ("single_label_classification",),
    "function_to_apply": ("softmax",),
    "activation": ("softmax",),
    "multi_label": (False,),
    "multilabel": (False,),
}
FLOATS = ("F64", "F32", "F16", "BF16")  # of safetensors; others are quantised, and no weights by themselves
FLEXIBLE = {"dynamic_img_size": True, "strict_img_size": False, "use_naflex": True}  # such networks take other sizes


def skeleton(architecture: str, classes: int, arguments: Mapping) -> "nn.Module":
    """A timm classifier without numbers in it: its shapes are known, and it takes no memory.

    Raises:
        WeightsError: timm cannot build it so.
    """
    import timm
    import torch

    import vitdemo.architectures  # noqa: F401  registers our own assemblies with timm

    try:
        with torch.device("meta"):
            return timm.create_model(architecture, num_classes=classes, **arguments)
    except Exception as error:  # each architecture objects in its own way
        raise WeightsError(f"timm cannot build {architecture} with {dict(arguments)}: {_first_line(error)}.") from error


def check_head(where: str, config: Mapping) -> None:
    """Raises WeightsError unless the outputs are a softmax over two or more classes, as far as the config says it.

    Args:
        where: the repository, folder or name, for the message.
        config: in the form that `weights.parse_config` gives.
    """
    inner = config["pretrained_cfg"]
    if config["num_classes"] < 2:
        raise _refusal(where, "num_classes", config["num_classes"], "2 or more, of which one is the answer")
    for field, allowed in SOFTMAX.items():
        for said in (config.get(field), inner.get(field)):
            if said is not None and said not in allowed:
                raise _refusal(where, field, said, f"{allowed[0]}, outputs that are a softmax over classes")
    if (offset := inner.get("label_offset")) not in (None, 0):
        raise _refusal(where, "label_offset", offset, "0, weights with one row for every class")


def arguments_of(where: str, config: Mapping) -> dict:
    """What `timm.create_model` gets besides architecture and num_classes: model_args, and what older fields say.

    A network of a fixed size is built for input_size, and pools as global_pool says, where model_args says nothing.

    Raises:
        WeightsError: a field cannot be followed.
    """
    architecture, classes, inner = config["architecture"], config["num_classes"], config["pretrained_cfg"]
    arguments = dict(config["model_args"])
    size = inner.get("input_size")
    if (channels := arguments.get("in_chans", 3)) != 3:
        raise _refusal(where, "in_chans", channels, "3, for red, green and blue")
    if size is not None:
        _check_size(where, "input_size", size)
    body = skeleton(architecture, classes, arguments)
    if size and inner.get("fixed_input_size") and "img_size" not in arguments and _takes_another(body, size):
        arguments["img_size"] = list(size[1:])
        body = skeleton(architecture, classes, arguments)
    pool = next((part["global_pool"] for part in (config, inner) if part.get("global_pool")), None)
    if pool is None or pool == _pool(body) or pool == arguments.get("global_pool"):
        return arguments
    if not isinstance(pool, str) or "global_pool" in arguments:
        allowed = f"{arguments.get('global_pool', 'the name of a pooling')!r}, as in model_args"
        raise _refusal(where, "global_pool", pool, allowed)
    try:
        pooling = _pool(skeleton(architecture, classes, arguments | {"global_pool": pool}))
    except WeightsError:
        pooling = None
    if pooling != pool:
        raise _refusal(where, "global_pool", pool, f"a pooling that {architecture} has, such as {_pool(body)!r}")
    return arguments | {"global_pool": pool}


def transform_of(where: str, inner: Mapping, arguments: Mapping, usual: Mapping) -> dict:
    """How pictures are made ready: timm's data configuration, every number of it checked.

    Size and crop for tests come before those of training, unless the network's size is fixed or the former were only
    taken over from the architecture while the latter were changed.

    Args:
        where: the repository, folder or name, for the message.
        inner: pretrained_cfg.
        arguments: as `arguments_of` gives them.
        usual: the architecture's own pretrained_cfg.

    Returns:
        input_size (3, h, w), interpolation, crop_pct in (0, 2], crop_mode, mean and std (three numbers each).

    Raises:
        WeightsError: a field is not what it should be.
    """
    from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
    from timm.data.transforms import _str_to_torch_interpolation as interpolations

    for field in ("input_size", "test_input_size", "min_input_size"):
        if inner.get(field) is not None:
            _check_size(where, field, inner[field])
    flexible = any(arguments.get(key) == value for key, value in FLEXIBLE.items())
    fixed = bool(inner.get("fixed_input_size")) and not flexible
    size = (224, 224) if inner.get("input_size") is None else tuple(inner["input_size"][1:])
    built = arguments.get("img_size")
    if built is not None and not (flexible and inner.get("input_size")):
        size = _pair(where, built)
    tested, crops = inner.get("test_input_size"), ("test_crop_pct", "crop_pct")
    if tested is not None and tuple(tested[1:]) != size:
        stale = tuple(tested) == usual.get("test_input_size") and size != tuple(usual["input_size"][1:])
        if fixed or built is not None or stale:
            crops = ("crop_pct",)
        else:
            size = tuple(tested[1:])
    smallest = inner.get("min_input_size")
    if smallest is not None and any(side < least for side, least in zip(size, smallest[1:], strict=True)):
        raise _refusal(where, "input_size", [3, *size], f"at least min_input_size, {list(smallest)}")
    for field in ("crop_pct", "test_crop_pct"):
        if inner.get(field) is not None and not (_is_number(inner[field]) and 0 < inner[field] <= MAX_CROP):
            raise _refusal(where, field, inner[field], f"a number above 0, up to {MAX_CROP}")
    return {
        "input_size": (3, *size),
        "interpolation": _one_of(where, inner, "interpolation", "bicubic", list(interpolations)),
        "crop_pct": next((inner[field] for field in crops if inner.get(field) is not None), 0.875),
        "crop_mode": _one_of(where, inner, "crop_mode", "center", CROP_MODES),
        "mean": _three(where, inner, "mean", IMAGENET_DEFAULT_MEAN, 0, 1),
        "std": _three(where, inner, "std", IMAGENET_DEFAULT_STD, 1e-6, 1e6),
    }


def check_outputs(where: str, body: "nn.Module", size: Sequence[int], classes: int) -> None:
    """Raises WeightsError unless one picture of this size (3, h, w) becomes `classes` numbers.

    Args:
        where: the repository, folder or name, for the message.
        body: as `skeleton` gives it.
        size: of what it is fed.
        classes: of its head.
    """
    import torch

    try:
        with torch.inference_mode():
            out = body.eval()(torch.zeros(1, *size, device="meta"))
    except NotImplementedError:  # an operation that needs numbers: nothing is known
        return
    except Exception as error:  # each architecture objects in its own way
        if "meta" in str(error).lower():
            return
        raise WeightsError(
            f"{where} cannot take pictures of input_size {list(size)}: {_first_line(error)}; allowed: a size that "
            "its architecture takes."
        ) from error
    shape = list(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
    if shape != [1, classes]:
        raise WeightsError(
            f"{where} answers one picture with {shape}; allowed: [1, {classes}], a number for each of num_classes."
        )


def check_weights(where: str, file: Path, body: "nn.Module", architecture: str) -> None:
    """Raises WeightsError unless the file has the tensors of the architecture, by name, shape and kind.

    Args:
        where: the name of the backbone, for the message.
        file: safetensors with a good header.
        body: as `skeleton` gives it.
        architecture: its name, for the message.
    """
    with file.open("rb") as stream:  # 8 bytes of length, then JSON: the safetensors format
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    header.pop("__metadata__", None)
    there = {key: tuple(entry["shape"]) for key, entry in header.items()}
    wanted = {key: tuple(value.shape) for key, value in body.state_dict().items()}
    for key in _classifiers(body):
        if key in there and key in wanted and there[key][1:] == wanted[key][1:] and there[key] != wanted[key]:
            raise WeightsError(
                f"num_classes of {where} is {wanted[key][0]}, and its weights have {there[key][0]} rows in {key!r}; "
                f"allowed: {there[key][0]}."
            )
    kinds = (
        ("missing", sorted(wanted.keys() - there.keys()), lambda key: ""),
        ("not of the architecture", sorted(there.keys() - wanted.keys()), lambda key: ""),
        (
            "of another shape",
            sorted(key for key in there.keys() & wanted.keys() if there[key] != wanted[key]),
            lambda key: f", which is {there[key]} and should be {wanted[key]}",
        ),
    )
    found = [f"{len(keys)} {kind} (such as {keys[0]!r}{more(keys[0])})" for kind, keys, more in kinds if keys]
    if found:
        raise WeightsError(
            f"The weights of {where} do not fit the architecture {architecture}, its model_args and num_classes: "
            f"of {len(wanted)} tensors, {', '.join(found)}; allowed: every tensor in its shape."
        )
    for key, value in body.state_dict().items():
        if value.is_floating_point() and header[key]["dtype"] not in FLOATS:
            kind = header[key]["dtype"]
            raise WeightsError(f"{key!r} in the weights of {where} is {kind}; allowed: {', '.join(FLOATS)}.")


def not_finite(file: Path) -> list[str]:
    """The tensors of a safetensors file that hold numbers which are not finite."""
    import torch
    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        values = ((key, tensors.get_tensor(key)) for key in list(tensors.keys()))
        return [key for key, value in values if not torch.isfinite(value.float()).all()]


def _classifiers(body: "nn.Module") -> list[str]:
    """The keys of the weights whose rows are classes."""
    names = getattr(body, "pretrained_cfg", {}).get("classifier") or ()
    return [f"{name}.weight" for name in ([names] if isinstance(names, str) else names)]


def _pool(body: "nn.Module") -> str | None:
    """What the network pools by, read as timm reads it when it saves: from the module that pools."""
    head = getattr(body, "head", None)
    places = ((head, "global_pool"), (head, "pool_type"), (body, "global_pool"))
    pools = (getattr(getattr(part, name, None), "pool_type", getattr(part, name, None)) for part, name in places)
    return next((pool for pool in pools if isinstance(pool, str)), None)


def _takes_another(body: "nn.Module", size: Sequence[int]) -> bool:
    """Whether the network is built for one size, which is not this one."""
    from timm.models import get_model_input_config

    now = get_model_input_config(body)
    return bool(now["fixed_input_size"]) and tuple(now["input_size"][1:]) != tuple(size[1:])


def _check_size(where: str, field: str, value: object) -> None:
    allowed = f"[3, height, width] with sides of 1 to {MAX_SIDE} pixels"
    sides = value if isinstance(value, (list, tuple)) else ()
    if len(sides) != 3 or not all(isinstance(side, int) and not isinstance(side, bool) for side in sides):
        raise _refusal(where, field, value, allowed)
    if sides[0] != 3:
        raise _refusal(where, field, value, f"{allowed}, 3 for red, green and blue")
    if not all(1 <= side <= MAX_SIDE for side in sides[1:]):
        raise _refusal(where, field, value, allowed)


def _pair(where: str, size: object) -> tuple[int, int]:
    """(height, width) of model_args' img_size."""
    pair = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    if len(pair) != 2 or not all(isinstance(side, int) and 1 <= side <= MAX_SIDE for side in pair):
        raise _refusal(where, "img_size", size, f"one or two sides of 1 to {MAX_SIDE} pixels")
    return pair


def _three(where: str, inner: Mapping, field: str, default: Sequence[float], low: float, high: float) -> tuple:
    """Three numbers, one for each colour; a single one stands for all three, as in timm's own transform."""
    value = inner.get(field)
    if value is None:
        return tuple(default)
    many = value if isinstance(value, (list, tuple)) else ()
    if len(many) not in (1, 3) or not all(_is_number(one) and low <= one <= high for one in many):
        raise _refusal(where, field, value, f"three numbers from {low:,g} to {high:,g} for pixels of 0 to 1")
    return tuple(float(one) for one in many) * (3 // len(many))


def _one_of(where: str, inner: Mapping, field: str, default: str, allowed: Sequence[str]) -> str:
    value = default if inner.get(field) is None else inner[field]
    if value not in allowed:
        raise _refusal(where, field, value, ", ".join(allowed))
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _refusal(where: str, field: str, value: object, allowed: str) -> WeightsError:
    shown = repr(value)
    shown = shown if len(shown) <= 120 else shown[:119] + "…"
    return WeightsError(f"{field} of {where} is {shown}; allowed: {allowed}.")


def _first_line(error: Exception) -> str:
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return reason[0][:200].rstrip(".")
