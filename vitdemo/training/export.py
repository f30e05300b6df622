"""From trained weights to the files of a backbone: NAME.safetensors (fp16), or its shards, and NAME.json.

Every figure in the JSON is measured from the rounded fp16 weights, loaded as float32, through the transform that the
JSON itself describes. Choices (size, crop, temperature) are made on `val`; `test` is read once, at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

import vitdemo.architectures  # noqa: F401 - registers the project's own architectures with timm
from vitdemo.errors import WeightsError
from vitdemo.folders import Broken, list_folder, readable, tell
from vitdemo.sources import read_files, shards
from vitdemo.training import data
from vitdemo.training.runs import write_at_once
from vitdemo.training.supervised import Recipe, logits_of

LIMIT = 10_000_000  # bytes of one weights file
HEADER = 100_000  # bytes that are kept free in it for the names and shapes
GOLDEN = (5**0.5 - 1) / 2


def transform_of(card: dict) -> Callable:
    """timm's evaluation transform for the `transform` entry of a backbone's JSON."""
    return timm.data.create_transform(**{**card["transform"], "input_size": tuple(card["transform"]["input_size"])})


def read_split(folder: Path, card: dict, broken: list[Broken] | None = None) -> tuple[Tensor, Tensor]:
    """A split as a backbone sees it: (N, 3, S, S) float32 and targets (N,) of the pictures that can be read.

    Args:
        broken: gets those that cannot.

    Raises:
        VitdemoError: there is no picture, or none of a class can be read.
    """
    broken = [] if broken is None else broken
    paths, targets, labels = list_folder(folder)
    transform = transform_of(card)
    seen = {index: transform(picture) for index, picture in readable(paths, broken)}
    kept = torch.tensor([targets[index] for index in seen], dtype=torch.int64)
    data.check_classes(kept, labels, folder, broken)
    return torch.stack(list(seen.values())), kept


def read_backbone(path: Path) -> tuple[nn.Module, dict]:
    """The model (float32, eval mode) and the card of FOLDER/NAME.json, with its weights beside it."""
    weights = shards(path.parent, path.stem)
    if not (weights and path.with_suffix(".json").is_file()):
        raise WeightsError(
            f"Expected an exported backbone, got {path}; allowed: a .json with its .safetensors beside it."
        )
    card = json.loads(path.with_suffix(".json").read_text())
    return model_of(card, read_files(weights)), card


def model_of(card: dict, weights: dict[str, Tensor]) -> nn.Module:
    """The card's architecture with these weights, float32, eval mode."""
    model = timm.create_model(card["architecture"], num_classes=len(card["labels"]), **card["arguments"])
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()}, strict=True)
    return model.eval()


def rounded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Floating-point tensors as fp16; integers as they are."""
    return {k: v.detach().cpu().half().contiguous() if v.is_floating_point() else v.cpu() for k, v in weights.items()}


def at_size(card: dict, weights: dict[str, Tensor], size: int) -> tuple[dict, dict[str, Tensor]]:
    """The same backbone for another input size; position embeddings are resampled by timm where there are any."""
    card = {**card, "transform": {**card["transform"], "input_size": [3, size, size]}}
    if card["arguments"].get("img_size", size) == size:
        return card, weights
    model = model_of(card, weights)
    model.set_input_size(img_size=size)
    return {**card, "arguments": {**card["arguments"], "img_size": size}}, rounded(model.state_dict())


def nll_at(logits: Tensor, targets: Tensor, temperature: float) -> float:
    """Mean negative log-likelihood of softmax(logits / temperature)."""
    return F.cross_entropy(logits.double() / temperature, targets).item()


def fit_temperature(logits: Tensor, targets: Tensor, low: float = 0.05, high: float = 20.0) -> float:
    """The temperature with the least NLL (Guo et al. 2017), by golden section on its logarithm.

    The NLL is convex in 1 / T, so it has one minimum in log T as well, which is all the search needs.

    Args:
        logits: (N, K). targets: (N,) int64.
    """
    a, b = np.log(low), np.log(high)
    while b - a > 1e-5:
        left, right = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
        if nll_at(logits, targets, np.exp(left)) < nll_at(logits, targets, np.exp(right)):
            b = right
        else:
            a = left
    return float(np.exp((a + b) / 2))


def accuracy(logits: Tensor, targets: Tensor) -> float:
    """Share of pictures whose largest logit is their label's."""
    return (logits.argmax(1) == targets).double().mean().item()


def choose(card: dict, weights: dict[str, Tensor], recipe: Recipe, val: Path) -> tuple[dict, dict[str, Tensor]]:
    """The input size and crop with the greatest accuracy on val, then the least NLL at its own best temperature."""
    best = None
    for size in recipe.evaluation_sizes:
        for crop in recipe.crops:
            sized, tensors = at_size(card, weights, size)
            sized = {**sized, "transform": {**sized["transform"], "crop_pct": crop}}
            x, targets = read_split(val, sized)
            logits = logits_of(model_of(sized, tensors), x)
            temperature = fit_temperature(logits, targets)
            nll = nll_at(logits, targets, temperature)
            found = {
                "temperature": round(temperature, 4),
                "validation_accuracy": round(accuracy(logits, targets), 4),
            }
            print(f"{card['name']} at {size} px, crop {crop}: val NLL {nll:.4f}, {found}")
            rank = (found["validation_accuracy"], -nll)
            if best is None or rank > best[0]:
                best = rank, sized | found, tensors
    return best[1], best[2]


def card_of(recipe: Recipe, labels: tuple[str, ...]) -> dict:
    """The part of the JSON that is known before training."""
    return {
        "name": recipe.name,
        "collection": "flowers",
        "family": recipe.family,
        "architecture": recipe.architecture,
        "arguments": recipe.arguments,
        "labels": list(labels),
        "transform": {
            "input_size": [3, recipe.evaluation_sizes[0], recipe.evaluation_sizes[0]],
            "mean": list(recipe.mean),
            "std": list(recipe.std),
            "interpolation": "bicubic",
            "crop_pct": 0.9,  # measured; until a choice on val says otherwise
            "crop_mode": "center",
        },
    }


def write_backbone(
    recipe: Recipe,
    weights: dict[str, Tensor],
    pictures: Path,
    out: Path,
    epochs: int,
    best_epoch: int,
    provenance: Sequence[Mapping[str, str]] = (),
) -> Path:
    """Write the weights of out/NAME and out/NAME.json, each at once, and return the path of the second.

    Args:
        weights: the state dict to export, of timm.create_model(recipe.architecture, **recipe.arguments).
        pictures: folder with train/, val/ and test/, each CLASS/*.jpg.
        epochs: length of the schedule. best_epoch: the epoch whose EMA this is.
        provenance: whose weights it began with, as in `starts.ORIGINS`.
    """
    _, train_targets, labels = list_folder(pictures / "train")
    card = card_of(recipe, labels)
    card, tensors = choose(card, rounded(weights), recipe, pictures / "val")
    model = model_of(card, tensors)
    broken: list[Broken] = []
    x, targets = read_split(pictures / "test", card, broken)
    tell(broken)
    card |= {
        "test_accuracy": round(accuracy(logits_of(model, x), targets), 4),
        "parameters": sum(p.numel() for p in model.parameters()),
        "recipe": describe(recipe, epochs, best_epoch, len(train_targets)),
        "trained_on": "Trained on TensorFlow flower_photos (CC-BY 2.0)",
        "licence": "Apache-2.0 (weights)",
        "provenance": list(provenance),
    }
    if len(recipe.teacher) > 1:
        card["student_of"] = list(recipe.teacher)
    out.mkdir(parents=True, exist_ok=True)
    write_weights(tensors, out, recipe.name)
    path = out / f"{recipe.name}.json"
    write_at_once(path, lambda partial: partial.write_text(json.dumps(card, indent=1) + "\n"))
    return path


def write_weights(tensors: dict[str, Tensor], out: Path, name: str, limit: int = LIMIT) -> tuple[Path, ...]:
    """Write out/NAME.safetensors, or its shards NAME-00001-of-0000N.safetensors where it would exceed `limit` bytes.

    The parts are the state dict's own order, cut where the next tensor would not fit. Files of an earlier export are
    removed when the new ones are there.

    Raises:
        WeightsError: one tensor alone is larger than a file may be.
    """
    parts, room = [{}], limit - HEADER
    for key, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        if size > room:
            raise WeightsError(f"Expected tensors of at most {room} bytes, got {size} in {key} of {name}.")
        if sum(each.numel() * each.element_size() for each in parts[-1].values()) + size > room:
            parts.append({})
        parts[-1][key] = tensor
    count = len(parts)
    names = [f"{name}-{index:05d}-of-{count:05d}" for index in range(1, count + 1)] if count > 1 else [name]
    paths = tuple(out / f"{each}.safetensors" for each in names)
    for path, part in zip(paths, parts, strict=True):
        write_at_once(path, lambda partial, part=part: save_file(part, partial))
    earlier = [out / f"{name}.safetensors", *out.glob(f"{name}-?????-of-?????.safetensors")]
    for path in set(earlier) - set(paths):
        path.unlink(missing_ok=True)
    return paths


def describe(recipe: Recipe, epochs: int, best_epoch: int, pictures: int) -> dict:
    """The `recipe` entry of the JSON: what was run, in words and numbers."""
    return {
        "command": f"python -m vitdemo train {recipe.name} --data flowers",
        "seed": recipe.seed,
        "epochs": epochs,
        "best_epoch": best_epoch,
        "resolution": [{"from_epoch": round(start * epochs), "pixels": size} for start, size in recipe.resolutions],
        "batch": recipe.batch,
        "accumulation": recipe.accumulation,
        "optimiser": {
            "name": "AdamW",
            "learning_rate": recipe.learning_rate,
            "weight_decay": recipe.weight_decay,
            "layer_decay": recipe.layer_decay,
            "thaw": recipe.thaw,
            "warmup_epochs": recipe.warmup_epochs,
            "schedule": "cosine",
            "restart": None
            if recipe.restart == 1
            else {"epoch": round(recipe.restart * epochs), "learning_rate": recipe.restart_rate},
            "ema": recipe.ema,
            "clip": recipe.clip,
        },
        "augmentation": asdict(recipe.augmentation),
        "teacher": {
            "names": list(recipe.teacher),
            "distillation": recipe.distillation,
            "weight": recipe.teacher_weight,
            "temperature": recipe.teacher_temperature,
            "guide_weight": recipe.guide_weight,
        }
        if recipe.teacher
        else None,
        "start": recipe.start,
        "pictures": pictures,
        "torch": torch.__version__,
        "timm": timm.__version__,
    }
