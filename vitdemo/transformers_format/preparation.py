"""preprocessor_config.json of `transformers` as timm's data configuration: resize, crop, rescale, normalise."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

from vitdemo.errors import WeightsError
from vitdemo.transformers_format.names import Size

RESAMPLE = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # by Pillow's numbers
LARGEST = 2048  # pixels of a side
# Names of the class beside it, older and newer ones; the processor of each model type where no class is named.
ENDINGS = ("ImageProcessorFast", "ImageProcessorPil", "ImageProcessor", "FeatureExtractor")
USUAL = {"vit": "ViT", "swin": "ViT", "deit": "DeiT", "beit": "Beit", "dinov2": "Bit"}


@dataclass(frozen=True)
class Processor:
    """What a processor does where its file says nothing."""

    square: bool  # one number is both sides, and not the shorter one
    crops: bool
    resample: int


PROCESSORS = {
    "ViT": Processor(True, False, 2),
    "Beit": Processor(True, False, 3),
    "DeiT": Processor(True, True, 3),
    "Bit": Processor(False, True, 3),
    "CLIP": Processor(False, True, 3),
}


def prepared(given: object, where: str, model_type: str) -> dict:
    """How pictures are made ready, in timm's words.

    Args:
        given: what preprocessor_config.json holds.
        where: the repository, folder or name, for messages.
        model_type: of config.json, for a file that names no processor.

    Returns:
        input_size (3, h, w), interpolation, crop_pct, crop_mode; mean and std of pixels in 0..1.

    Raises:
        WeightsError: a field cannot be followed.
    """
    if not isinstance(given, Mapping):
        raise WeightsError(f"The preprocessor_config.json of {where} should be an object of names and values.")

    def refusal(field: str, allowed: str) -> WeightsError:
        return WeightsError(f"{field} of {where} is {str(given.get(field))[:120]}; allowed: {allowed}.")

    def flag(field: str, default: bool) -> bool:
        if not isinstance(value := given.get(field, default), bool):
            raise refusal(field, "true or false")
        return value

    processor = _processor(given, where, model_type)
    if not flag("do_resize", True):
        raise refusal("do_resize", "true, so that all pictures have one size")
    for field in ("do_pad", "do_flip_channel_order", "crop_pct", "rescale_offset", "offset"):
        if given.get(field):
            raise refusal(field, "false or nothing")
    resample = given.get("resample", processor.resample)
    if isinstance(resample, bool) or not isinstance(resample, int) or not 0 <= resample < len(RESAMPLE):
        raise refusal("resample", f"a whole number from 0 to {len(RESAMPLE) - 1}")
    crop = None
    if flag("do_center_crop", processor.crops) and (crop := _sides(given.get("crop_size"))) is None:
        raise refusal("crop_size", f"one side, or height and width, of 1 to {LARGEST} pixels")
    kept = _kept(given.get("size"), crop, processor.square)
    if kept is None:
        both = "height and width, with a crop that keeps the same share of both"
        raise refusal("size", f"{both}, or shortest_edge with a square crop inside it, in pixels")
    size, share, mode = kept
    mean, std = _colours(given, flag, refusal)
    return {"input_size": [3, *size], "interpolation": RESAMPLE[resample], "crop_pct": share, "crop_mode": mode,
            "mean": mean, "std": std}  # fmt: skip


def _processor(given: Mapping, where: str, model_type: str) -> Processor:
    """The processor that the file names; where it names none, the model's usual one."""
    named = given.get("image_processor_type") or given.get("feature_extractor_type")
    if named is None:
        return PROCESSORS[USUAL.get(model_type, "ViT")]
    kind = next((str(named).removesuffix(ending) for ending in ENDINGS if str(named).endswith(ending)), "")
    if kind not in PROCESSORS:
        allowed = ", ".join(f"{each}ImageProcessor" for each in PROCESSORS)
        raise WeightsError(f"image_processor_type of {where} is {str(named)[:120]}; allowed: {allowed}.")
    return PROCESSORS[kind]


def _kept(given: object, crop: Size | None, square: bool) -> tuple[Size, float, str] | None:
    """(height, width) of what is fed, its share of what was resized, and timm's crop mode; None if there is none."""
    if isinstance(given, Mapping) and set(given) == {"shortest_edge"}:
        given, square = given["shortest_edge"], False
    resized = _sides(given)
    if resized is None:
        return None
    if isinstance(given, Mapping) or square:
        share = _share(crop or resized, resized)
        return None if share is None else (crop or resized, share, "squash")
    if crop is None or crop[0] != crop[1]:  # the other side would be of any length
        return None
    share = _share(crop, resized)
    return None if share is None else (crop, share, "center")


def _sides(given: object) -> Size | None:
    """(height, width) of one side, or of an object of both."""
    if isinstance(given, Mapping):
        both = (given.get("height"), given.get("width")) if set(given) == {"height", "width"} else (None, None)
    else:
        both = (given, given)
    good = all(isinstance(side, int) and not isinstance(side, bool) and 1 <= side <= LARGEST for side in both)
    return both if good else None


def _share(kept: Size, resized: Size) -> float | None:
    """crop_pct, from which timm makes the resized sides again by floor(kept / crop_pct); None if there is none."""
    exact = kept[0] / resized[0]
    near = (exact, math.nextafter(exact, 0), math.nextafter(exact, 1))
    right = (share for share in near if all(math.floor(a / share) == b for a, b in zip(kept, resized, strict=True)))
    return next(right, None) if exact <= 1 else None


def _colours(given: Mapping, flag, refusal) -> tuple[list[float], list[float]]:
    """Mean and std of pixels in 0..1, from those of pixels that were multiplied by rescale_factor, or not at all."""
    factor = 1.0
    if flag("do_rescale", True):
        factor = given.get("rescale_factor", 1 / 255)
        if not _is_number(factor) or factor <= 0:
            raise refusal("rescale_factor", "a number above 0")
    reach = 255 * factor  # what 1 becomes
    if not flag("do_normalize", True):
        return [0.0] * 3, [1 / reach] * 3
    numbers = {}
    for field in ("image_mean", "image_std"):
        value = given.get(field)
        many = list(value) if isinstance(value, (list, tuple)) else [value] * 3
        if len(many) != 3 or not all(map(_is_number, many)) or (field == "image_std" and min(many) <= 0):
            raise refusal(field, "three numbers, of red, green and blue; those of image_std above 0")
        numbers[field] = [each / reach for each in many]
    return numbers["image_mean"], numbers["image_std"]


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
