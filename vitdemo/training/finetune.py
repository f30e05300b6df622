"""A backbone of the catalogue learns the classes of one's own pictures: `finetune("resnet", "birds", "out")`.

    FOLDER/{train,val}/CLASS/* ──▶ new head, then layer after layer from the top ──▶ OUT/config.json, model.safetensors

A fine-tuning is a recipe like any other and runs through the one training loop. What is particular to it stands in the
recipe: the first weights are the backbone's own, only the new head learns at first and the layers below it are thawed
one after the other (Howard & Ruder 2018, "Universal language model fine-tuning for text classification", section 3.3,
arXiv 1801.06146), and each layer learns more slowly than the one above it (`supervised.parameter_groups`).

The result is what timm reads: `timm.create_model("local-dir:OUT")`, or `python app.py --backbone NAME=local-dir:OUT`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from vitdemo.backbones import Backbone, default_catalogue
from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.folders import check_splits, list_folder, tell
from vitdemo.models import Progress, load
from vitdemo.training.data import Augmentation, read_folder
from vitdemo.training.export import describe, read_split
from vitdemo.training.runs import check_run
from vitdemo.training.supervised import Recipe, fit
from vitdemo.weights import CONFIG, WEIGHTS, Fetcher

EPOCHS = 12
BATCH = 32
THAW = (0.25, 0.75)  # the head alone for a quarter of the epochs, everything in the last quarter
EMA_WINDOWS = 10  # the moving average looks back over a tenth of all steps: a new head leaves its first weights behind


def finetune(
    backbone: str | Backbone,
    data: Path,
    out: Path,
    epochs: int | None = None,
    resume: bool = True,
    device: str = "cpu",
    seed: int | None = None,
    fetcher: Fetcher | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fit a backbone to the pictures of a folder and write it in timm's local-dir format.

    All pictures are held in memory: about 3 · (1.4 · S)² bytes for each in train/, and 12 · S² for each in val/, with S
    the side of the backbone's input in pixels.

    Args:
        backbone: a row of the catalogue, or the name of one; its weights are fetched if they are not here.
        data: folder with train/ and val/, each CLASS/*, with the same classes in both.
        out: where config.json, model.safetensors, the checkpoint (NAME.ckpt) and the log (NAME.log) go.
        epochs: length of the schedule; None for `EPOCHS`.
        resume: go on from out/NAME.ckpt if it is there.
        device: "cpu", "cuda", "cuda:1" and so on.
        seed: of everything random; None for 0.
        fetcher: where hub weights come from.
        progress: called while weights are fetched.

    Returns:
        `out`.

    Raises:
        UnknownNameError: no such backbone.
        VitdemoError: a folder that cannot be learned from, a picture that cannot be read, a backbone whose input is not
            square, fewer than one epoch, or a checkpoint of another training.
        WeightsError: the backbone's weights cannot be had.
    """
    row = row_of(backbone) if isinstance(backbone, str) else backbone
    data, out, epochs = Path(data), Path(out), EPOCHS if epochs is None else epochs
    check_run(epochs, device)
    labels = check_splits(data, ("train", "val"))
    loaded = load(row, torch.device("cpu"), fetcher or Fetcher(), progress)
    steps = epochs * max(1, len(list_folder(data / "train")[0]) // BATCH)
    recipe = recipe_of(row, loaded.transform, steps, seed or 0)
    pictures = read_folder(data / "train", recipe.short_side)
    broken = [*pictures.broken]
    val = read_split(data / "val", {"transform": loaded.transform}, broken)
    tell(broken)
    state = fit(recipe, pictures, val, out, epochs, resume, device, start=without_head(loaded.network.body))
    said = describe(recipe, epochs, state.best["epoch"], len(pictures.images))
    said["command"] = f"python -m vitdemo train finetune --backbone {row.name} --data {data.name}"
    write_local_dir(row, state.best, labels, loaded.transform, said, out)
    return out


def row_of(name: str) -> Backbone:
    """The backbone of this name in the default catalogue, whatever its collection.

    Raises:
        UnknownNameError: there is none.
    """
    rows = {row.name: row for row in default_catalogue()}
    if name not in rows:
        raise UnknownNameError("backbone", name, list(rows))
    return rows[name]


def recipe_of(row: Backbone, transform: Mapping, steps: int, seed: int = 0) -> Recipe:
    """The recipe that fine-tunes a backbone.

    Args:
        transform: timm's data configuration of the backbone: input_size, mean, std.
        steps: of the whole training, which says how far back the moving average looks.
    """
    channels, height, width = transform["input_size"]
    if channels != 3 or height != width:
        raise VitdemoError(
            f"Expected a backbone with input of shape (3, S, S), got {(channels, height, width)} of {row.name!r}; "
            "allowed: any other."
        )
    return Recipe(
        name=row.name,
        family=row.family,
        architecture=row.architecture,
        arguments=dict(row.arguments),
        epochs=EPOCHS,
        resolutions=((0.0, height),),
        short_side=round(1.375 * height),  # 176 for 128, as in the recipes of the bundled backbones
        batch=BATCH,
        learning_rate=1e-3,
        layer_decay=0.75,
        thaw=THAW,
        warmup_epochs=1,
        ema=min(0.998, max(0.0, 1 - EMA_WINDOWS / steps)),
        seed=seed,
        mean=tuple(transform["mean"]),
        std=tuple(transform["std"]),
        augmentation=Augmentation(scale=(0.4, 1.0), erasing=0.1, mixing_probability=0.5),
        start=row.name,
    )


def without_head(body: nn.Module) -> dict[str, Tensor]:
    """The tensors of a timm classifier but those that give the logits, which timm's configuration names."""
    heads = body.pretrained_cfg["classifier"]
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    return {name: t for name, t in body.state_dict().items() if not name.startswith(tuple(f"{h}." for h in heads))}


def write_local_dir(
    row: Backbone, best: Mapping, labels: tuple[str, ...], transform: Mapping, said: Mapping, out: Path
) -> None:
    """Write out/model.safetensors and out/config.json as timm saves them, each at once.

    Args:
        best: {"accuracy", "weights"} of the epoch that was best on val.
        said: what was run, kept in config.json.
    """
    model = timm.create_model(row.architecture, num_classes=len(labels), **row.arguments)
    model.load_state_dict(best["weights"])
    config = {"label_names": list(labels), "license": row.licence, "finetuned_from": row.name, "recipe": dict(said)}
    if best["accuracy"] > 0:  # who is never right has no weight in a fusion, and is not offered for one
        config["validation_accuracy"] = round(best["accuracy"], 4)
    partial = out / ".partial"
    timm.models.save_for_hf(
        model,
        str(partial),
        model_config=config,
        model_args=dict(row.arguments),
        safe_serialization=True,
        data_config=dict(transform),
    )
    for name in (WEIGHTS, CONFIG):
        (partial / name).chmod(0o644)  # safetensors makes its files unreadable to others
        os.replace(partial / name, out / name)
    partial.rmdir()
