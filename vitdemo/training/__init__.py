"""Recipes that make the bundled backbones again: `train("resnet", data=Path("flowers"), out=Path("out"))`.

    FOLDER/{train,val,test}/CLASS/*.jpg ──data──▶ random views
        ──supervised──▶ EMA weights ──export──▶ NAME.safetensors, NAME.json

Weights are fitted on `train`, everything is chosen on `val`, and `test` is read once, for the figure in the JSON.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from vitdemo.errors import UnknownNameError, VitdemoError, WeightsError
from vitdemo.training.data import list_folder, read_folder
from vitdemo.training.export import card_of, read_backbone, read_split, write_backbone
from vitdemo.training.recipes import RECIPES
from vitdemo.training.supervised import fit

BUNDLED = Path(__file__).parents[2] / "assets" / "backbones"


def train(
    recipe: str, data: Path, out: Path, epochs: int | None = None, resume: bool = True, device: str = "cpu"
) -> Path:
    """Train one of the recipes and export it.

    Args:
        recipe: a name in `RECIPES`.
        data: folder with train/, val/ and test/, each CLASS/*.jpg.
        out: where the checkpoint (NAME.ckpt), the log (NAME.log) and the exported files go. A recipe with a teacher
            looks for it here first, then among the bundled backbones.
        epochs: length of the schedule; None for the recipe's own.
        resume: go on from out/NAME.ckpt if it is there.
        device: "cpu", "cuda", "cuda:1" and so on.

    Returns:
        out/NAME.safetensors; its description is beside it as NAME.json.

    Raises:
        UnknownNameError: no such recipe.
        VitdemoError: a split without pictures, no such device, or fewer than one epoch.
        WeightsError: the recipe has a teacher and it is found nowhere, or it knows other labels.
    """
    if recipe not in RECIPES:
        raise UnknownNameError("recipe", recipe, sorted(RECIPES))
    chosen, data, out = RECIPES[recipe], Path(data), Path(out)
    epochs = chosen.epochs if epochs is None else epochs
    if epochs < 1:
        raise VitdemoError(f"Expected a number of epochs, got {epochs}; allowed: 1 and more.")
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise VitdemoError(f"Expected a device of this machine, got {device!r}; allowed here: 'cpu'.")
    for split in ("val", "test"):  # a missing split shows now and not after the training
        list_folder(data / split)
    pictures = read_folder(data / "train", chosen.short_side)
    teacher = read_teacher(chosen.teacher, pictures.labels, out).to(device) if chosen.teacher else None
    start = read_teacher(chosen.start, pictures.labels, out) if chosen.start else None
    val = read_split(data / "val", card_of(chosen, pictures.labels))
    state = fit(chosen, pictures, val, out, epochs, resume, device, teacher, start)
    return write_backbone(chosen, state.best["weights"], data, out, epochs, state.best["epoch"])


def read_teacher(name: str, labels: tuple[str, ...], out: Path) -> nn.Module:
    """The exported backbone `name` from `out` or else from the bundled ones, ready to see views of any size."""
    found = [folder / f"{name}.safetensors" for folder in (out, BUNDLED) if (folder / f"{name}.safetensors").is_file()]
    if not found:
        raise WeightsError(f"Expected the teacher {name!r} in {out} or {BUNDLED}, got none; train {name!r} first.")
    model, card = read_backbone(found[0])
    if tuple(card["labels"]) != labels:
        raise WeightsError(f"Expected a teacher with the labels {list(labels)}, got {card['labels']} in {found[0]}.")
    return model.requires_grad_(False)
