"""The one training loop: labels, and where a recipe names them, what one or several teachers say.

AdamW, linear warm-up and cosine decay, MixUp and CutMix, an exponential moving average (EMA) of the weights, growing
resolution. A checkpoint is written after every epoch; what is exported is the EMA of the epoch that was best on `val`.
Same seed, same machine, same number of threads: same weights, resumed or not. Forward passes run in bf16 where the
machine is faster in it: its exponents are those of fp32, so no loss has to be scaled, as fp16 would need.

A teacher sees the same augmented and mixed view as the student (Beyer et al. 2022, "Knowledge distillation: a good
teacher is patient and consistent", arXiv 2106.05237). It gives soft labels, and several teachers the mean of theirs
(`Ensemble`); or it gives its first choice as a hard label to a distillation token (Touvron et al. 2021, "Training
data-efficient image transformers & distillation through attention", arXiv 2012.12877). Where the recipe says so, it is
also a guide for the patch tokens in the middle of the student: through one linear map they shall predict the feature
map of a convolutional teacher at the same places (Li et al. 2022, "Locality guidance for improving vision transformers
on tiny datasets", arXiv 2207.10026).
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from timm.layers import resample_abs_pos_embed
from timm.optim import param_groups_layer_decay
from torch import Tensor, nn
from tqdm import tqdm

import vitdemo.architectures  # noqa: F401 - registers the project's own architectures with timm
from vitdemo.errors import VitdemoError, WeightsError
from vitdemo.training import data
from vitdemo.training.data import Augmentation, Pictures
from vitdemo.training.initial import mimetic_
from vitdemo.training.machine import precision
from vitdemo.training.runs import write_at_once

DISTILLATIONS = ("soft", "hard")
SHORT = 12  # epochs of a training that is measured on val after every one


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights of one backbone."""

    name: str
    family: str
    architecture: str  # timm entry point
    arguments: dict  # of timm.create_model, besides num_classes; part of the exported file
    training_arguments: dict = field(default_factory=dict)  # such as drop_path_rate; not exported
    epochs: int = 100
    resolutions: tuple[tuple[float, int], ...] = ((0.0, 128),)  # (from this fraction of the epochs, pixels)
    short_side: int = 176  # of the pictures in memory
    batch: int = 32  # pictures of one step
    accumulation: int = 1  # a batch is computed in so many parts, whose gradients add up: less memory, the same step
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    layer_decay: float = 1.0  # the learning rate of each layer is that of the one above it times this
    thaw: tuple[float, float] | None = None  # the head alone until this fraction of the epochs, all from that one
    warmup_epochs: int = 5
    restart: float = 1.0  # at this fraction of the epochs the learning rate goes up again, once; 1 for never
    restart_rate: float = 7e-4
    ema: float = 0.998
    clip: float = 1.0  # largest norm of the gradient
    seed: int = 0
    mean: tuple[float, ...] = data.MEAN  # of the pixels that the network is given, in 0..1
    std: tuple[float, ...] = data.STD
    augmentation: Augmentation = field(default_factory=Augmentation)
    teacher: tuple[str, ...] = ()  # names of exported backbones; several teach with one voice: see `Ensemble`
    teacher_weight: float = 0.9  # share of what the teacher says in the loss
    teacher_temperature: float = 2.0  # of soft labels
    distillation: str = "soft"  # of DISTILLATIONS; "hard" for a student with a distillation token
    guide_weight: float = 0.0  # of the teacher's feature map in the loss
    guide_block: int = 3  # index of the student's block whose patch tokens are guided
    guide_stage: int = 3  # index in timm's forward_intermediates of the teacher; 3 has stride 16 in a ResNet
    mimetic: bool = False  # start from vitdemo.training.initial.mimetic_
    start: str | None = None  # an exported backbone or a pre-training whose tensors come first: see `warm_start`
    evaluation_sizes: tuple[int, ...] = (128,)  # tried on val, the best is exported
    crops: tuple[float, ...] = (0.9, 1.0)  # likewise

    def __post_init__(self):
        if not 1 <= self.accumulation <= self.batch:
            raise VitdemoError(f"Expected parts of a batch, got {self.accumulation}; allowed: 1 to {self.batch}.")
        if self.thaw is not None and not (0 <= self.thaw[0] < self.thaw[1] <= 1 and 0 < self.layer_decay < 1):
            raise VitdemoError(
                f"Expected layers to thaw one by one, got {self.thaw} with layer_decay {self.layer_decay}; allowed: "
                "two rising fractions of the epochs, with a layer_decay between 0 and 1, which tells the layers apart."
            )
        if self.distillation not in DISTILLATIONS:
            raise VitdemoError(f"Expected a distillation, got {self.distillation!r}; allowed: {DISTILLATIONS}.")
        if self.guide_weight and len(self.teacher) != 1:
            raise VitdemoError(f"Expected one teacher that guides, got {self.teacher}; allowed: exactly one.")


class Ensemble(nn.Module):
    """Several teachers with one voice: the mean of their calibrated probabilities, as its logarithm.

    The soft label of a view x is p(x) = 1/M Σ softmax(z_m(x) / T_m), with z_m the logits and T_m the fitted temperature
    of teacher m (Guo et al. 2017). What `forward` gives is log p(x): softmax(log p) = p, so it is used as logits are.

    Args:
        members: M classifiers with the same K classes.
        temperatures: M positive numbers.
    """

    def __init__(self, members: Sequence[nn.Module], temperatures: Sequence[float]):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.temperatures = tuple(temperatures)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) to (B, K) float32, the logarithm of the mean probabilities."""
        pairs = zip(self.members, self.temperatures, strict=True)
        each = torch.stack([F.log_softmax(member(x).float() / t, 1) for member, t in pairs])  # (M, B, K)
        return each.logsumexp(0) - math.log(len(each))


class Renormalised(nn.Module):
    """A teacher that is given views normalised for its student: what it sees is what it was trained on.

    Args:
        body: any classifier of pictures normalised by `own`.
        own, given: (mean, standard deviation) of the pixels in 0..1, three numbers each.
    """

    def __init__(self, body: nn.Module, own: tuple, given: tuple):
        super().__init__()
        self.body = body
        (mean, std), (given_mean, given_std) = (
            [torch.tensor(each).view(1, 3, 1, 1) for each in pair] for pair in (own, given)
        )
        self.register_buffer("scale", given_std / std)
        self.register_buffer("shift", (given_mean - mean) / std)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) to (B, K)."""
        return self.body(x * self.scale + self.shift)


@dataclass
class State:
    """What a checkpoint holds."""

    model: nn.Module
    ema: nn.Module
    guide: nn.Module  # linear, from student tokens to teacher channels; an Identity if unused
    optimiser: torch.optim.Optimizer
    epoch: int = 0  # epochs done
    best: dict | None = None  # {"accuracy", "nll", "epoch", "weights"}: the EMA that was best on val
    seconds: float = 0.0
    seed: int = 0


def resolution(recipe: Recipe, epoch: int, epochs: int) -> int:
    """Pixels of a training view in this epoch."""
    return [size for start, size in recipe.resolutions if epoch >= start * epochs][-1]


def learning_rate(recipe: Recipe, progress: float, epochs: int) -> float:
    """Linear warm-up, then half a cosine down to a hundredth, and again after a restart; `progress` in epochs.

    Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", arXiv 1608.03983.
    """
    warm, turn = min(recipe.warmup_epochs, epochs / 5), recipe.restart * epochs
    if progress < warm:
        return recipe.learning_rate * (progress + 1e-3) / warm
    begin, end, peak = warm, turn, recipe.learning_rate
    if turn <= progress and turn < epochs:
        begin, end, peak = turn, epochs, recipe.restart_rate
    share = (progress - begin) / (end - begin)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def new_state(
    recipe: Recipe,
    classes: int,
    device: str,
    teacher: nn.Module | None = None,
    start: Mapping[str, Tensor] | None = None,
) -> State:
    """The state before the first epoch; `start` is as `warm_start` takes it."""
    torch.manual_seed(recipe.seed)
    model = timm.create_model(
        recipe.architecture, num_classes=classes, **{**recipe.arguments, **recipe.training_arguments}
    )
    if recipe.mimetic:
        mimetic_(model)
    if start is not None:
        warm_start(model, start)
    guide = nn.Identity()
    if teacher is not None and recipe.guide_weight:
        channels = [
            m.feature_info[i]["num_chs"] for m, i in ((model, recipe.guide_block), (teacher, recipe.guide_stage))
        ]
        guide = nn.Linear(*channels).to(device)
    if torch.device(device).type == "cpu":  # backwards through PyTorch's fused attention is slow there: see LOG.md
        for module in model.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = False
    model = model.to(device, memory_format=torch.channels_last)
    ema = copy.deepcopy(model).eval().requires_grad_(False)  # in eval mode both heads of a DeiT are averaged
    if recipe.distillation == "hard" and hasattr(model, "set_distilled_training"):
        model.set_distilled_training(True)  # (class logits, token logits) in training mode
    groups = parameter_groups(model, guide, recipe.weight_decay, recipe.layer_decay)
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)
    return State(model, ema, guide, optimiser, seed=recipe.seed)


def parameter_groups(model: nn.Module, guide: nn.Module, weight_decay: float, layer_decay: float = 1.0) -> list[dict]:
    """The optimiser's groups: no weight decay for vectors, and a share of the learning rate for each layer.

    Layer n of N learns at layer_decay^(N - n) times the learning rate (Bao et al. 2022, "BEiT", arXiv 2106.08254): that
    share is the group's "lr_scale". Layers are timm's; the head and the guide are the uppermost.
    """
    groups = [] if layer_decay == 1 else param_groups_layer_decay(model, weight_decay, layer_decay=layer_decay)
    uppermost = [*guide.parameters()] if groups else [*model.parameters(), *guide.parameters()]
    decayed = [p for p in uppermost if p.ndim > 1]
    rest = [p for p in uppermost if p.ndim <= 1]
    return [*groups, {"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def open_layers(recipe: Recipe, epoch: int, epochs: int, layers: int) -> int:
    """How many layers learn in this epoch, counted from the top: 1 is the head alone, `layers` is all."""
    if recipe.thaw is None:
        return layers
    begin, end = (fraction * epochs for fraction in recipe.thaw)
    if epoch < begin:
        return 1
    return 1 + math.ceil((layers - 1) * min(1.0, (epoch + 1 - begin) / (end - begin)))


def set_training(state: State, recipe: Recipe, epochs: int) -> None:
    """Put the model in training mode; layers that do not learn yet are frozen, running statistics included."""
    groups = state.optimiser.param_groups
    scales = sorted({group.get("lr_scale", 1.0) for group in groups}, reverse=True)  # one for each layer
    least = scales[open_layers(recipe, state.epoch, epochs, len(scales)) - 1]
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(group.get("lr_scale", 1.0) >= least)
    state.model.train()
    for module in state.model.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()


def warm_start(model: nn.Module, start: Mapping[str, Tensor]) -> list[str]:
    """Copy the tensors of `start` that fit by name and shape.

    A ResNet also fits the ResNet stem of a hybrid. What a plain ViT says of its class token and head, a DeiT takes for
    its distillation token as well.

    Args:
        start: a state dict with timm's names, whole or without a head.

    Returns:
        The names of the tensors in `model` that were set.

    Raises:
        WeightsError: nothing fits.
    """
    own, stem = model.state_dict(), "patch_embed.backbone."
    given = dict(start) | {stem + name: tensor for name, tensor in start.items()}
    if "dist_token" in own and "dist_token" not in start:
        given |= _with_distillation_token(start, model.patch_embed.num_patches)
    given |= _resampled_positions(model, given)
    fitting = {name: t for name, t in given.items() if name in own and own[name].shape == t.shape}
    if not fitting:
        raise WeightsError(
            f"Expected a start with tensors of {type(model).__name__}, got {sorted(start)[:3]} and others; "
            "allowed: the same architecture, or a ResNet for a hybrid."
        )
    model.load_state_dict(fitting, strict=False)
    return sorted(fitting)


def _resampled_positions(model: nn.Module, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Position embeddings (1, N, D) of a larger or smaller square grid, brought to the model's own by timm."""
    own, position = getattr(model, "pos_embed", None), given.get("pos_embed")
    if own is None or position is None or own.shape == position.shape or own.shape[2] != position.shape[2]:
        return {}
    prefix = model.num_prefix_tokens
    if round((position.shape[1] - prefix) ** 0.5) ** 2 != position.shape[1] - prefix:
        return {}
    grid = list(model.patch_embed.grid_size)
    return {"pos_embed": resample_abs_pos_embed(position, grid, num_prefix_tokens=prefix)}


def _with_distillation_token(start: Mapping[str, Tensor], patches: int) -> dict[str, Tensor]:
    """The tensors that a plain ViT has no names for, from those of its class token."""
    twins = {"dist_token": "cls_token", "head_dist.weight": "head.weight", "head_dist.bias": "head.bias"}
    found = {name: start[twin] for name, twin in twins.items() if twin in start}
    position = start.get("pos_embed")
    if position is not None and position.shape[1] == 1 + patches:
        found["pos_embed"] = torch.cat([position[:, :1], position], 1)  # (1, 2 + N, D)
    return found


@torch.no_grad()
def update_ema(ema: nn.Module, model: nn.Module, decay: float) -> None:
    """ema ← decay · ema + (1 − decay) · model, for parameters and running statistics."""
    pairs = list(zip(ema.state_dict().values(), model.state_dict().values(), strict=True))
    floats = [(e, m) for e, m in pairs if e.is_floating_point()]
    torch._foreach_lerp_([e for e, _ in floats], [m for _, m in floats], 1 - decay)
    for e, m in pairs:
        if not e.is_floating_point():
            e.copy_(m)


def loss_of(
    logits: Tensor | tuple[Tensor, Tensor], soft: Tensor, teacher_logits: Tensor | None, recipe: Recipe
) -> Tensor:
    """(1 − α) CE(labels) + α · what the teacher adds.

    Soft: T² KL(teacher ‖ student) (Hinton et al. 2015, section 2). Hard: CE(the teacher's first choice), asked of the
    head of the distillation token; with α = ½ that is equation 3 of Touvron et al. 2021.

    Args:
        logits: (B, K), or those of the class token and of the distillation token.
        soft: (B, K) labels whose rows sum to 1.
        teacher_logits: (B, K), or None without a teacher.
    """
    own, token = logits if isinstance(logits, tuple) else (logits, logits)
    own, token = own.float(), token.float()
    labels = F.cross_entropy(own, soft)
    if teacher_logits is None:
        return labels
    teacher_logits = teacher_logits.float()
    if recipe.distillation == "hard":
        taught = F.cross_entropy(token, teacher_logits.argmax(1))
    else:
        t = recipe.teacher_temperature
        wanted = F.log_softmax(teacher_logits / t, 1)
        taught = t * t * F.kl_div(F.log_softmax(token / t, 1), wanted, reduction="batchmean", log_target=True)
    return (1 - recipe.teacher_weight) * labels + recipe.teacher_weight * taught


def batch_loss(state: State, recipe: Recipe, x: Tensor, soft: Tensor, teacher: nn.Module | None) -> Tensor:
    """The loss of one batch of mixed views x (B, 3, S, S) with soft labels (B, K)."""
    if teacher is None:
        return loss_of(state.model(x), soft, None, recipe)
    if not recipe.guide_weight:
        with torch.no_grad():
            teacher_logits = teacher(x)
        return loss_of(state.model(x), soft, teacher_logits, recipe)
    with torch.no_grad():
        teacher_logits, features = with_intermediate(teacher, x, recipe.guide_stage)
    logits, tokens = with_intermediate(state.model, x, recipe.guide_block)
    wanted = F.layer_norm(features.flatten(2).mT.float(), features.shape[1:2])  # (B, N, channels)
    guided = state.guide(tokens.flatten(2).mT).float()  # (B, N, channels)
    return loss_of(logits, soft, teacher_logits, recipe) + recipe.guide_weight * F.mse_loss(guided, wanted)


def with_intermediate(model: nn.Module, x: Tensor, index: int) -> tuple[Tensor | tuple[Tensor, Tensor], Tensor]:
    """The model's logits and the feature map (B, C, h, w) behind its stage or block `index`, in one forward pass."""
    final, (features,) = model.forward_intermediates(x, indices=[index], norm=False)
    return model.forward_head(final), features


def backward(state: State, recipe: Recipe, x: Tensor, soft: Tensor, teacher: nn.Module | None) -> float:
    """Add the gradient of the mean loss of a batch to the parameters, part by part; returns that loss."""
    total = 0.0
    for part, wanted in zip(x.chunk(recipe.accumulation), soft.chunk(recipe.accumulation), strict=True):
        part = part.contiguous(memory_format=torch.channels_last)
        with autocast(x.device):
            loss = batch_loss(state, recipe, part, wanted, teacher) * (len(part) / len(x))
        loss.backward()
        total += loss.item()
    return total


def autocast(device: torch.device) -> AbstractContextManager:
    """bf16 where that is faster on this machine (`machine.precision`), fp32 elsewhere."""
    wanted = precision(device.type)
    return nullcontext() if wanted is torch.float32 else torch.autocast(device.type, wanted)


def run_epoch(
    state: State, recipe: Recipe, epochs: int, train: Pictures, teacher: nn.Module | None, device: str
) -> float:
    """One epoch; returns its mean loss."""
    size = resolution(recipe, state.epoch, epochs)
    seed = (recipe.seed, state.epoch)
    torch.manual_seed(recipe.seed * 100003 + state.epoch)  # for stochastic depth and dropout
    generator = torch.Generator().manual_seed(recipe.seed * 100003 + state.epoch)
    rng = np.random.default_rng((*seed, 1))
    count = max(1, len(train.images) // recipe.batch)
    set_training(state, recipe, epochs)
    losses = []
    for index, (x, y) in enumerate(data.batches(train, size, recipe.batch, recipe.augmentation, seed)):
        rate = learning_rate(recipe, state.epoch + index / count, epochs)
        for group in state.optimiser.param_groups:
            group["lr"] = rate * group.get("lr_scale", 1.0)
        x = data.apply_policy(x, recipe.augmentation.policy, rng)
        x, y = x.to(device).float().div_(255), y.to(device)
        x = data.normalise(data.jitter(x, recipe.augmentation.jitter, generator), recipe.mean, recipe.std)
        x = data.erase(x, recipe.augmentation.erasing, generator)
        x, soft = data.mix(x, y, len(train.labels), recipe.augmentation, rng)
        losses.append(backward(state, recipe, x, soft, teacher))
        nn.utils.clip_grad_norm_([*state.model.parameters(), *state.guide.parameters()], recipe.clip)
        state.optimiser.step()
        state.optimiser.zero_grad()
        update_ema(state.ema, state.model, recipe.ema)
    state.epoch += 1
    return sum(losses) / len(losses)


@torch.no_grad()
def logits_of(model: nn.Module, x: Tensor, batch: int = 64) -> Tensor:
    """Logits (N, K) float32 of normalised pictures (N, 3, S, S), without autocast."""
    device = next(model.parameters()).device
    return torch.cat([model(part.to(device)).float().cpu() for part in x.split(batch)])


@torch.no_grad()
def score(model: nn.Module, x: Tensor, targets: Tensor) -> tuple[float, float]:
    """Accuracy and mean negative log-likelihood."""
    logits = logits_of(model.eval(), x)
    return (logits.argmax(1) == targets).float().mean().item(), F.cross_entropy(logits, targets).item()


def save(state: State, path: Path) -> None:
    """Write the checkpoint so that a break leaves the old one or the new one, never a half."""
    content = {
        "model": state.model.state_dict(),
        "ema": state.ema.state_dict(),
        "guide": state.guide.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "epoch": state.epoch,
        "best": state.best,
        "seconds": state.seconds,
        "seed": state.seed,
    }
    write_at_once(path, lambda partial: torch.save(content, partial))


def restore(state: State, path: Path) -> None:
    """Fill the state from a checkpoint."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    state.model.load_state_dict(content["model"])
    state.ema.load_state_dict(content["ema"])
    state.guide.load_state_dict(content["guide"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.epoch, state.best, state.seconds = content["epoch"], content["best"], content["seconds"]
    state.seed = content.get("seed", state.seed)


def fit(
    recipe: Recipe,
    train: Pictures,
    val: tuple[Tensor, Tensor],
    out: Path,
    epochs: int,
    resume: bool,
    device: str,
    teacher: nn.Module | None = None,
    start: Mapping[str, Tensor] | None = None,
) -> State:
    """Train `recipe` and return its state; writes out/NAME.ckpt after every epoch and a line per epoch to out/NAME.log.

    Args:
        val: normalised pictures (N, 3, S, S) and their targets (N,): the only ones a choice is made on.
    """
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / f"{recipe.name}.ckpt"
    state = new_state(recipe, len(train.labels), device, teacher, start)
    if resume and checkpoint.exists():
        try:
            restore(state, checkpoint)
        except (KeyError, RuntimeError, ValueError) as error:  # torch's words for tensors that do not fit
            raise VitdemoError(
                f"Expected a checkpoint of {recipe.name!r} with {len(train.labels)} classes, got {checkpoint}; "
                "allowed: to start afresh, or another folder."
            ) from error
        if state.seed != recipe.seed:
            raise VitdemoError(
                f"Expected a training with seed {recipe.seed}, got one with {state.seed} in {checkpoint}; "
                "allowed: the same seed, or to start afresh."
            )
    bar = tqdm(range(state.epoch, epochs), desc=recipe.name, initial=state.epoch, total=epochs, unit="epoch")
    for epoch in bar:
        begin = time.monotonic()
        loss = run_epoch(state, recipe, epochs, train, teacher, device)
        line = {"epoch": state.epoch, "size": resolution(recipe, epoch, epochs), "loss": round(loss, 4)}
        if epochs <= SHORT or state.epoch % 5 == 0 or state.epoch > 0.9 * epochs:
            accuracy, nll = score(state.ema, *val)
            line |= {"val": round(accuracy, 4), "nll": round(nll, 4)}
            if state.best is None or (accuracy, -nll) >= (state.best["accuracy"], -state.best["nll"]):
                weights = {k: v.detach().cpu().clone() for k, v in state.ema.state_dict().items()}
                state.best = {"accuracy": accuracy, "nll": nll, "epoch": state.epoch, "weights": weights}
        state.seconds += time.monotonic() - begin
        save(state, checkpoint)
        with (out / f"{recipe.name}.log").open("a") as log:
            log.write(json.dumps(line | {"seconds": round(time.monotonic() - begin, 1)}) + "\n")
        bar.set_postfix(line)
    return state
