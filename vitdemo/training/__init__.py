"""Recipes that make the bundled backbones again: `train("resnet", data=Path("flowers"), out=Path("out"))`.

    FOLDER/{train,val,test}/CLASS/*.jpg ──data──▶ random views
        ──supervised──▶ EMA weights ──export──▶ NAME.safetensors, NAME.json

Weights are fitted on `train`, everything is chosen on `val`, and `test` is read once, for the figure in the JSON.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from vitdemo.errors import UnknownNameError, VitdemoError, WeightsError
from vitdemo.folders import check_splits, tell
from vitdemo.sources import read_files, shards
from vitdemo.training.data import read_folder
from vitdemo.training.export import card_of, read_backbone, read_split, write_backbone
from vitdemo.training.recipes import RECIPES
from vitdemo.training.runs import check_run
from vitdemo.training.starts import ORIGINS, STARTS
from vitdemo.training.supervised import Ensemble, Recipe, Renormalised, fit

BUNDLED = Path(__file__).parents[2] / "assets" / "backbones"


def train(
    recipe: str,
    data: Path,
    out: Path,
    epochs: int | None = None,
    resume: bool = True,
    device: str = "cpu",
    seed: int | None = None,
) -> Path:
    """Train one of the recipes and export it, or run one of the pre-trainings that recipes start from.

    Args:
        recipe: a name in `RECIPES` or in `vitdemo.training.pretrain.PRETRAININGS`.
        data: folder with train/, val/ and test/, each CLASS/*.jpg.
        out: where the checkpoint (NAME.ckpt), the log (NAME.log) and the exported files go. Teachers and a start are
            looked for here first, then among the bundled backbones.
        epochs: length of the schedule; None for the recipe's own.
        resume: go on from out/NAME.ckpt if it is there.
        device: "cpu", "cuda", "cuda:1" and so on.
        seed: of everything random; None for the recipe's own.

    Returns:
        out/NAME.json, which describes the weights beside it; of a pre-training out/NAME.safetensors.

    Raises:
        UnknownNameError: no such recipe.
        VitdemoError: splits without pictures or with different classes, a class of which nothing can be read, no such
            device, fewer than one epoch, or a checkpoint of another seed.
        WeightsError: a teacher or a start is found nowhere, or it knows other labels.
    """
    if recipe not in RECIPES:
        from vitdemo.training.pretrain import PRETRAININGS, pretrain  # here, as it is also started by itself

        if recipe in PRETRAININGS:
            return pretrain(recipe, data, out, epochs, resume, device, seed)
        raise UnknownNameError("recipe", recipe, sorted({*RECIPES, *PRETRAININGS}))
    chosen, data, out = RECIPES[recipe], Path(data), Path(out)
    chosen = chosen if seed is None else replace(chosen, seed=seed)
    epochs = chosen.epochs if epochs is None else epochs
    check_run(epochs, device)
    check_splits(data, ("train", "val", "test"))  # a missing split shows now and not after the training
    pictures = read_folder(data / "train", chosen.short_side)
    teacher = read_teacher(chosen, pictures.labels, out)
    teacher = teacher if teacher is None else teacher.to(device)
    start = read_start(chosen.start, pictures.labels, out) if chosen.start else None
    broken = [*pictures.broken]
    val = read_split(data / "val", card_of(chosen, pictures.labels), broken)
    tell(broken)
    state = fit(chosen, pictures, val, out, epochs, resume, device, teacher, start)
    return write_backbone(
        chosen, state.best["weights"], data, out, epochs, state.best["epoch"], origins_of(chosen.start)
    )


def origins_of(start: str | None) -> list[dict[str, str]]:
    """Whose weights are in a recipe that begins with `start`, followed through the recipes of ours between."""
    while start in RECIPES:
        start = RECIPES[start].start
    return [ORIGINS[start]] if start in ORIGINS else []


def read_teacher(recipe: Recipe, labels: tuple[str, ...], out: Path) -> nn.Module | None:
    """What teaches the recipe: nothing, one exported backbone, or several as an `Ensemble`.

    Raises:
        WeightsError: one is found nowhere, or it knows other labels.
        VitdemoError: one of them, or the student, takes pictures of one size, and the recipe has views of another.
    """
    found = [_exported(_find("teacher", name, out), labels) for name in recipe.teacher]
    views = sorted({size for _, size in recipe.resolutions})
    dynamic = recipe.training_arguments.get("dynamic_img_size")
    fixed = {card["name"]: card["arguments"].get("img_size") for _, card in found}
    fixed |= {recipe.name: None if dynamic else recipe.arguments.get("img_size")}
    for name, size in fixed.items():
        if size is not None and views != [size]:
            raise VitdemoError(
                f"Expected views of {size} px in the recipe {recipe.name!r}, as {name!r} takes no others, got {views}; "
                f"allowed: resolutions with {size} alone."
            )
    models = [_as_it_was_trained(model, card, recipe) for model, card in found]
    if len(found) < 2:
        return models[0] if found else None
    return Ensemble(models, [card["temperature"] for _, card in found])


def _as_it_was_trained(model: nn.Module, card: dict, recipe: Recipe) -> nn.Module:
    """The teacher, for views that are normalised as the recipe says."""
    own, given = (tuple(card["transform"]["mean"]), tuple(card["transform"]["std"])), (recipe.mean, recipe.std)
    if own == given:
        return model
    if recipe.guide_weight:
        raise VitdemoError(
            f"Expected a guide with mean and std {given}, as in the recipe {recipe.name!r}, got {own} of "
            f"{card['name']!r}; allowed: a recipe with the guide's own."
        )
    return Renormalised(model, own, given)


def read_start(name: str, labels: tuple[str, ...], out: Path) -> dict[str, Tensor]:
    """The tensors that a training begins with, by timm's names.

    NAME.json with weights beside it is an exported backbone; weights alone are a pre-training or a conversion; other
    names are those of `starts`.

    Raises:
        WeightsError: it is found nowhere, or it is a backbone that knows other labels.
    """
    if (found := _weights(name, out)) is None:
        if name in STARTS:
            return STARTS[name]()
        raise _missing("start", name, out)
    if found.with_suffix(".json").is_file():
        return _exported(found, labels)[0].state_dict()
    tensors = read_files(shards(found.parent, name))
    return {key: t.float() if t.is_floating_point() else t for key, t in tensors.items()}


def _weights(name: str, out: Path) -> Path | None:
    """FOLDER/NAME.json, there or not, of the first folder that has weights of that name; None if none has."""
    return next((folder / f"{name}.json" for folder in (out, BUNDLED) if shards(folder, name)), None)


def _find(role: str, name: str, out: Path) -> Path:
    if (found := _weights(name, out)) is None:
        raise _missing(role, name, out)
    return found


def _missing(role: str, name: str, out: Path) -> WeightsError:
    return WeightsError(f"Expected the {role} {name!r} in {out} or {BUNDLED}, got none; train {name!r} first.")


def _exported(path: Path, labels: tuple[str, ...]) -> tuple[nn.Module, dict]:
    model, card = read_backbone(path)
    if tuple(card["labels"]) != labels:
        raise WeightsError(f"Expected a backbone with the labels {list(labels)}, got {card['labels']} in {path}.")
    return model.requires_grad_(False), card
