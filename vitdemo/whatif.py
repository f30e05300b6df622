"""What if the picture were a little different, or another class were meant? Hidden parts, attacks, class against class.

An attack is made on a canvas: the picture shrunk to at most `SIDE` pixels on its short side, (1, 3, H, W) in 0..1.
Every member of a fusion is fed from the same canvas, cropped and resized by differentiable resampling in place of its
own transform. What counts is measured afterwards: the attacked canvas is rounded to 8 bits, becomes a picture, and goes
through each backbone's own transform like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch.nn import functional as F

from vitdemo.backbones import Catalogue
from vitdemo.errors import NotOfferedError, UnknownNameError, VitdemoError
from vitdemo.explain import EXPLANATIONS
from vitdemo.explain.attention import layout
from vitdemo.fusion import FUSIONS, FusedModel
from vitdemo.models import Model, Models
from vitdemo.pipeline import FUSED, Analysis, Progress, analyse
from vitdemo.types import Heat, NotOffered, View
from vitdemo.views import canvas_shape, place, spread

SIDE = 224  # pixels; as much as most backbones see
MOST_EPSILON = 32  # of 255
MOST_STEPS = 50
ATTACKS = ("fgsm", "pgd")
GREY = (128, 128, 128)  # of what is painted over: it says nothing of any class
MAGNIFIED = 1e6  # times the loss
LEAST = 1e-12  # probability under which its logarithm is not followed further

PLAIN = "plain"  # the name of the grid that belongs to no backbone
CELLS = 8  # of that grid, on each side
CANVAS = 112  # cells on the long side of the grid on which two maps are compared

Tick = Callable[[], None]
Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Grid:
    """Patches that can be hidden."""

    name: str  # `PLAIN`, or the backbone's whose tokens they are
    shape: tuple[int, int]  # (rows, columns)
    view: View  # where they lie in the picture


@dataclass(frozen=True)
class Contrast:
    """One picture explained for two classes, and for the difference of their probabilities."""

    method: str  # a class-specific one; rollout stands beside it
    first: Analysis
    second: Analysis
    between: Analysis  # p(first) − p(second)


@dataclass(frozen=True)
class Attack:
    """A picture that was changed to mislead, and how much."""

    picture: Image.Image  # as it was, on the canvas
    attacked: Image.Image
    perturbation: np.ndarray  # (H, W, 3) int16, attacked − picture in 8-bit steps
    epsilon: int  # the most that any value may change, in 8-bit steps
    method: str  # in `ATTACKS`

    @property
    def largest(self) -> int:
        """The largest change of any value, in 8-bit steps."""
        return int(np.abs(self.perturbation).max(initial=0))


def canvas_of(picture: Image.Image, side: int = SIDE) -> Image.Image:
    """The picture, shrunk (never enlarged) so that its short side has at most `side` pixels."""
    factor = side / min(picture.size)
    if factor >= 1:
        return picture
    return picture.resize(tuple(max(1, round(length * factor)) for length in picture.size), Image.Resampling.BICUBIC)


def fed(canvas: torch.Tensor, view: View, size: Sequence[int], fill: torch.Tensor) -> torch.Tensor:
    """What a backbone is fed of a canvas, differentiably: its view, resampled to its input size.

    Args:
        canvas: (B, 3, H, W) in 0..1, the whole picture.
        view: the box of the canvas that the backbone's own transform keeps.
        size: (h, w) of the backbone's input.
        fill: (3, 1, 1), the colour outside the picture where the view reaches beyond it: timm pads with the mean.

    Returns:
        (B, 3, h, w): bicubic with anti-aliasing, as timm's transforms resample.
    """
    left, top, right, bottom = (round(edge) for edge in view.box)
    height, width = canvas.shape[-2:]
    padding = (max(0, -left), max(0, right - width), max(0, -top), max(0, bottom - height))
    whole = F.pad(canvas - fill, padding) + fill if any(padding) else canvas
    left, top = left + padding[0], top + padding[2]
    box = whole[..., top : max(top + 1, bottom + padding[2]), left : max(left + 1, right + padding[0])]
    return F.interpolate(box, tuple(size), mode="bicubic", antialias=True).clamp(0, 1)


def attack(
    picture: Image.Image,
    models: Sequence[Model],
    strategy: str,
    target: int,
    epsilon: int,
    method: str = "pgd",
    steps: int = 10,
    tick: Tick = lambda: None,
) -> Attack:
    """Changes no value of the picture by more than `epsilon` so that the class `target` becomes improbable.

    FGSM: one step along the sign of the gradient (Goodfellow et al., 2015, arXiv 1412.6572, section 4); PGD: several
    small steps, each followed by the way back into the ball (Madry et al., 2018, arXiv 1706.06083, section 2.1). By
    Captum, with the cross-entropy −log p(target) as the loss that the steps raise.

    Args:
        picture: upright RGB.
        models: one backbone, or the members of a fusion that are attacked together.
        strategy: a name in `FUSIONS`; it has to be differentiable.
        target: the class to make improbable, usually the one that is right.
        epsilon: 0 to 32, in steps of 8 bits (4 means 4 / 255).
        method: "fgsm" or "pgd".
        steps: of PGD, 1 to 50; each moves by 2.5 · epsilon / steps, as in Madry's published code.
        tick: called before each forward pass; whatever it raises stops the work.

    Raises:
        VitdemoError: a name or number that is not allowed, or a fusion without a gradient.
    """
    from captum.robust import FGSM, PGD  # here, because it is slow to import

    if method not in ATTACKS:
        raise UnknownNameError("attack", method, list(ATTACKS))
    for name, value, low, high in (("epsilon", epsilon, 0, MOST_EPSILON), ("steps", steps, 1, MOST_STEPS)):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise VitdemoError(f"{name} is {str(value)[:80]!r}; allowed: a whole number from {low} to {high}.")
    fusion = FUSIONS.get(strategy)
    if len(models) > 1 and not fusion.differentiable:
        raise NotOfferedError(
            f"{fusion.title} jumps from class to class, so no gradient leads to a mistake; allowed: another fusion."
        )
    canvas = canvas_of(picture)
    views = [model.view(canvas) for model in models]
    scorer = FusedModel(list(models), strategy if len(models) > 1 else "mean")
    sizes = [model.transform["input_size"][-2:] for model in models]

    def log_probabilities(x: torch.Tensor) -> torch.Tensor:
        tick()
        inputs = [
            fed(x, view, size, model.network.mean) for model, view, size in zip(models, views, sizes, strict=True)
        ]
        return scorer(*inputs).clamp_min(LEAST).log()

    def loss(said: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        # both methods follow the sign alone, but Captum takes a gradient below 1e-6 for none: a sure backbone's is
        return MAGNIFIED * F.nll_loss(said, wanted, reduction="none")

    x = _tensor(canvas).to(models[0].device).requires_grad_()
    radius = epsilon / 255
    made: FGSM | PGD = FGSM(log_probabilities, loss, lower_bound=0.0, upper_bound=1.0)
    arguments: dict = {"epsilon": radius}
    if method == "pgd":
        made = PGD(log_probabilities, loss, lower_bound=0.0, upper_bound=1.0)
        arguments = {"radius": radius, "step_size": 2.5 * radius / steps, "step_num": steps, "norm": "Linf"}
    changed = made.perturb(x, target=torch.tensor([target], device=x.device), **arguments) if epsilon else x
    before = np.asarray(canvas)
    # rounding may not leave the ball
    step = (changed.detach()[0].permute(1, 2, 0).cpu().numpy() * 255 - before).round().astype(np.int16)
    after = (before + step.clip(-epsilon, epsilon)).clip(0, 255).astype(np.uint8)
    return Attack(canvas, Image.fromarray(after), after.astype(np.int16) - before, epsilon, method)


def _tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255


def magnified(perturbation: np.ndarray, epsilon: int) -> Image.Image:
    """The perturbation made visible: grey is no change, black and white are −epsilon and +epsilon.

    Args:
        perturbation: (H, W, 3) in 8-bit steps, each within ± epsilon.
    """
    scaled = 127.5 + perturbation * (127.5 / max(epsilon, 1))
    return Image.fromarray(scaled.round().clip(0, 255).astype(np.uint8))


def grids_of(models: Sequence[Model], picture: Image.Image) -> list[Grid]:
    """A plain grid over the whole picture, then the patches of each backbone whose tokens lie on one."""
    found = [Grid(PLAIN, (CELLS, CELLS), View((0.0, 0.0, *map(float, picture.size)), picture.size))]
    for model in models:
        tokens = layout(model)
        if not isinstance(tokens, NotOffered):
            found.append(Grid(model.backbone.name, tokens.grid, model.view(picture)))
    return found


def ranked(heat: Heat, grid: Grid) -> list[int]:
    """The patches of a grid by how much of a map falls on them, the most first; those it does not reach are left out.

    Args:
        heat: of the grid's picture. Where it is signed, what speaks against the class comes last.
    """
    totals = spread(heat.values, heat.view, grid.shape, grid.view).ravel()
    reached = spread(np.ones_like(heat.values), heat.view, grid.shape, grid.view).ravel()
    order = np.argsort(-totals, kind="stable")
    return [int(patch) for patch in order if reached[patch] > reached.max() / 2]


def ask_again(
    analysis: Analysis,
    picture: Image.Image,
    catalogue: Catalogue,
    models: Models,
    methods: Sequence[str] = (),
    report: Report = lambda progress: None,
) -> Analysis:
    """What the same backbones, fused in the same way, say of another picture; maps are for the class as before.

    Args:
        analysis: as it was.
        picture: upright RGB.
        methods: names in `EXPLANATIONS`, of the maps to make of it.
        report: as for `pipeline.analyse`.
    """
    label = analysis.labels[analysis.target]
    wanted = replace(analysis.request, explanations=tuple(methods), target=label, against=None, trust=False)
    return analyse(picture, wanted, catalogue, models, report)


def first_choices(analysis: Analysis) -> dict[str, int]:
    """The most probable class for the fused model, where there is more than one backbone, and for each backbone."""
    names = [row.name for row in analysis.backbones]
    subjects = [FUSED, *names] if len(names) > 1 else names
    return {name: int(analysis.probabilities(name).argmax()) for name in subjects}


def contrast(
    analysis: Analysis,
    first: str,
    second: str,
    method: str,
    catalogue: Catalogue,
    models: Models,
    report: Report = lambda progress: None,
) -> Contrast:
    """Explains the picture of an analysis for two of its classes, and for the difference p(first) − p(second).

    Args:
        first, second: labels, or whatever `pipeline.find_target` takes for one.
        method: a class-specific name in `EXPLANATIONS`.
        report: as for `pipeline.analyse`; its `done` runs over all three.

    Raises:
        VitdemoError: the classes are the same or not known, or the method is the same for every class.
    """
    if not EXPLANATIONS.get(method).class_specific:
        allowed = ", ".join(each.name for each in EXPLANATIONS if each.class_specific)
        raise VitdemoError(f"{method} is the same for every class, so it compares none; allowed: {allowed}.")
    both = replace(analysis.request, explanations=("rollout", method), trust=False, against=None)

    def part(number: int) -> Report:
        return lambda now: report(replace(now, done=(number + now.done) / 3, analysis=None))

    against = replace(both, explanations=(method,), target=first, against=second)
    wanted = (against, replace(both, target=first), replace(both, target=second))  # what is not allowed shows at once
    between, one, two = (
        analyse(analysis.picture, each, catalogue, models, part(number)) for number, each in enumerate(wanted)
    )
    return Contrast(method, one, two, between)


def likeness(one: Heat, other: Heat) -> float:
    """Pearson's correlation of two maps of one picture over what both saw: 1 is the same map up to its scale.

    A map without variation is like no other: 0, unless both are the same.
    """
    shape = canvas_shape(one.view.picture, CANVAS)
    (a, saw_a), (b, saw_b) = (place(heat.values, heat.view, shape) for heat in (one, other))
    a, b = a[saw_a & saw_b].astype(float), b[saw_a & saw_b].astype(float)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    if not size:
        return float(np.array_equal(a, b))
    return float(np.clip(a @ b / size, -1, 1))


def hidden_share(mask: Image.Image) -> float:
    """How much of a picture that was white before parts of it were hidden is grey, 0 to 1."""
    return float((np.asarray(mask)[..., 0] == GREY[0]).mean())


def hide_patches(picture: Image.Image, hidden: Sequence[int], grid: tuple[int, int], view: View) -> Image.Image:
    """The picture with some of a backbone's patches painted over in grey.

    Args:
        hidden: numbers of patches, row by row from the top left.
        grid: (h, w) patches.
        view: where the grid lies in the picture.

    Raises:
        VitdemoError: a number that is no patch.
    """
    rows, columns = grid
    if wrong := [number for number in hidden if not 0 <= number < rows * columns]:
        raise VitdemoError(f"There is no patch {wrong[0]}; allowed: 0 to {rows * columns - 1}.")
    left, top, right, bottom = view.box
    x = np.linspace(left, right, columns + 1).round().astype(int)
    y = np.linspace(top, bottom, rows + 1).round().astype(int)
    painted = picture.copy()
    draw = ImageDraw.Draw(painted)
    for number in hidden:
        row, column = divmod(number, columns)
        draw.rectangle((x[column], y[row], x[column + 1] - 1, y[row + 1] - 1), fill=GREY)
    return painted


def paint_over(picture: Image.Image, mask: np.ndarray) -> Image.Image:
    """The picture, grey where a mask says so.

    Args:
        mask: (h, w) of any size, stretched over the whole picture; true or above half its type's range means hidden.
    """
    if mask.dtype != bool:
        mask = mask > (np.iinfo(mask.dtype).max / 2 if np.issubdtype(mask.dtype, np.integer) else 0.5)
    stretched = Image.fromarray(mask.astype(np.uint8) * 255).resize(picture.size, Image.Resampling.NEAREST)
    return Image.composite(Image.new("RGB", picture.size, GREY), picture, stretched)


def verdict(before: Mapping[str, int], after: Mapping[str, int], fused: str) -> str:
    """Whether the fusion "resists" where members fall, or "falls"; "nobody" where nothing changed.

    Args:
        before, after: the first choice of each backbone and of the fused model, by name.
        fused: the fused model's name among them.
    """
    fallen = {name for name in before if before[name] != after[name]}
    if not fallen:
        return "nobody"
    return "falls" if fused in fallen else "resists"
