"""Pre-training: first weights for a recipe, from pictures without their labels.

    python -m vitdemo.training.pretrain mae --data flowers --out out

writes out/NAME.safetensors: the encoder's tensors under timm's names, float32, without a head; and
out/NAME.decoder.safetensors: what predicted from it. A recipe whose `start` is NAME begins with the encoder's tensors,
and so does another pre-training.

| method | learned from | predicted | file |
|---|---|---|---|
| mae, simmim | train/ | hidden patches | `masked` |
| instance | train/ | which of the pictures it is | `instance` |
| formula | nothing but formulas | which of the formulas drew it | `formula`, `instance` |

With `--figure FILE`, what came of it is drawn afterwards; `--samples` takes the project's drawings for that in place of
pictures of val/. The page shows one, assets/results/mae.webp. A pre-training that has ended is only exported again.

One loop for all of them: AdamW, linear warm-up and cosine decay, random views. Checkpoint and log as in `supervised`;
all randomness comes from (seed, epoch), so a resumed training is that of an uninterrupted one.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.layers import build_sincos2d_pos_embed
from torch import Tensor, nn
from tqdm import tqdm

from vitdemo.errors import UnknownNameError, VitdemoError, WeightsError
from vitdemo.folders import tell
from vitdemo.samples import shipped
from vitdemo.training import data, formula, instance, masked
from vitdemo.training.data import Augmentation, Pictures
from vitdemo.training.recipes import VIT
from vitdemo.training.runs import check_run, write_at_once
from vitdemo.training.supervised import autocast

MEASURED_EVERY = 10  # epochs
MEASURED = 400  # pictures, at most, on which a classifier of instances or formulas is measured
HELD_OUT = 10**6  # number of the first instance of a formula that is measured on: no epoch gets as far
FORMATS = {  # of figures: Pillow's settings; at this quality a colour is off by 1.3 of 255 on average
    ".png": {"format": "PNG"},
    ".webp": {"format": "WEBP", "quality": 95, "method": 6},
}
MILD = Augmentation(
    scale=(0.3, 1.0), rotation_probability=0.0, jitter=0.2, erasing=0.0, mixing_probability=0.0, smoothing=0.0
)


@dataclass(frozen=True)
class Pretraining:
    """Everything that decides the weights of one pre-trained encoder."""

    name: str
    method: str  # "mae", "simmim", "instance" or "formula"
    architecture: str = VIT.architecture  # timm entry point of a VisionTransformer with a class token
    arguments: dict = field(default_factory=lambda: dict(VIT.arguments))
    start: str | None = None  # another pre-training of the same architecture, whose tensors are the first weights
    epochs: int = 200
    mask_ratio: float = 0.75  # of the two masked methods
    classes: int = 100  # formulas
    per_class: int = 20  # pictures of each formula in an epoch, new ones every time
    short_side: int = 176  # of the pictures in memory
    batch: int = 64
    learning_rate: float = 1.5e-3
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.05
    warmup_epochs: int = 10
    clip: float = 1.0  # largest norm of the gradient
    seed: int = 0
    augmentation: Augmentation = MILD


# python -m vitdemo.training.pretrain mae --data flowers --out out
MAE = Pretraining(name="mae", method="mae", epochs=60)

# python -m vitdemo.training.pretrain simmim --data flowers --out out
SIMMIM = Pretraining(name="simmim", method="simmim", mask_ratio=0.6)

# python -m vitdemo.training.pretrain instance --data flowers --out out
INSTANCE = Pretraining(
    name="instance",
    method="instance",
    learning_rate=1e-3,
    betas=(0.9, 0.999),
    augmentation=Augmentation(scale=(0.2, 1.0), jitter=0.4, mixup=0.0, mixing_probability=0.5),
)

# python -m vitdemo.training.pretrain formula --data flowers --out out
FORMULA = Pretraining(
    name="formula",
    method="formula",
    epochs=100,
    learning_rate=1e-3,
    betas=(0.9, 0.999),
    augmentation=replace(MILD, scale=(0.6, 1.0)),
)

PRETRAININGS = {one.name: one for one in (MAE, SIMMIM, INSTANCE, FORMULA)}


@dataclass
class State:
    """What a checkpoint holds."""

    encoder: nn.Module  # timm's, without a head
    decoder: nn.Module  # what predicts from it: masked.DECODERS or instance.Classifier
    optimiser: torch.optim.Optimizer
    epoch: int = 0  # epochs done
    seconds: float = 0.0
    seed: int = 0


def pretrain(
    name: str,
    data: Path,
    out: Path,
    epochs: int | None = None,
    resume: bool = True,
    device: str = "cpu",
    seed: int | None = None,
) -> Path:
    """Run one of the pre-trainings and export its encoder.

    Args:
        name: of one in `PRETRAININGS`.
        data: folder with train/ and val/, each CLASS/*.jpg; the classes are not used. Formulas need no folder.
        out: where NAME.ckpt, NAME.log, NAME.safetensors and NAME.decoder.safetensors go.
        epochs: length of the schedule; None for the pre-training's own.
        resume: go on from out/NAME.ckpt if it is there; one that is far enough is only exported.
        device: "cpu", "cuda", "cuda:1" and so on.
        seed: of everything random; None for the pre-training's own.

    Returns:
        out/NAME.safetensors.

    Raises:
        UnknownNameError: no such pre-training.
        VitdemoError: a split without pictures, no such device, fewer than one epoch, or a checkpoint of another seed.
        WeightsError: it starts from another pre-training that is not in `out`.
    """
    if name not in PRETRAININGS:
        raise UnknownNameError("pre-training", name, sorted(PRETRAININGS))
    chosen, out = PRETRAININGS[name], Path(out)
    chosen = chosen if seed is None else replace(chosen, seed=seed)
    epochs = chosen.epochs if epochs is None else epochs
    check_run(epochs, device)
    sources = read_sources(chosen, Path(data))
    return write(chosen, fit(chosen, sources, out, epochs, resume, device), out)


@dataclass(frozen=True)
class Sources:
    """What a pre-training learns from and is measured on."""

    train: Callable[[int], Pictures]  # of an epoch, counted from 0
    views: Tensor  # (N, 3, S, S) uint8, never changed; nothing is chosen on them
    targets: Tensor  # (N,) int64; zeros where there are none
    classes: int


def read_sources(chosen: Pretraining, folder: Path) -> Sources:
    """Pictures of the folder, or of the formulas.

    The masked methods are measured on val/; a classifier of instances on some of its own pictures as they are; one of
    formulas on pictures by the same formulas that it never sees.
    """
    size = chosen.arguments["img_size"]
    if chosen.method == "formula":
        drawn = [formula.formula(chosen.seed, number) for number in range(chosen.classes)]

        def pictures(first: int, each: int) -> Pictures:
            targets = torch.arange(len(drawn) * each) % len(drawn)
            images = formula.Formulas(drawn, each, first, size, chosen.seed)
            return Pictures(images, targets, tuple(str(number) for number in range(len(drawn))))

        held_out = pictures(HELD_OUT, max(1, min(chosen.per_class, MEASURED // len(drawn))))
        return Sources(
            lambda epoch: pictures(epoch * chosen.per_class, chosen.per_class),
            centre_views(list(held_out.images), size),
            held_out.targets,
            len(drawn),
        )
    train = data.read_folder(folder / "train", chosen.short_side)
    tell(train.broken)
    if chosen.method == "instance":
        train = instance.instances(train)
        some = torch.linspace(0, len(train.images) - 1, min(MEASURED, len(train.images))).long()
        views = centre_views([train.images[i] for i in some], size)
        return Sources(lambda epoch: train, views, some, len(train.images))
    views = centre_views(data.read_folder(folder / "val", chosen.short_side).images, size)
    return Sources(lambda epoch: train, views, torch.zeros(len(views), dtype=torch.int64), len(train.labels))


def centre_views(images: Sequence[np.ndarray], size: int) -> Tensor:
    """The largest square in the middle of each picture, (N, 3, size, size) uint8."""
    squares = []
    for image in images:
        h, w = image.shape[:2]
        side = min(h, w)
        box = ((w - side) / 2, (h - side) / 2, (w + side) / 2, (h + side) / 2)
        squares.append(np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC, box=box)))
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)


def learning_rate(chosen: Pretraining, progress: float, epochs: int) -> float:
    """Linear warm-up, then half a cosine down to a hundredth; `progress` in epochs."""
    warm = min(chosen.warmup_epochs, epochs / 5)
    if progress < warm:
        return chosen.learning_rate * (progress + 1e-3) / warm
    share = (progress - warm) / (epochs - warm)
    return chosen.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def new_encoder(chosen: Pretraining) -> nn.Module:
    """The architecture without its head, with sinusoidal position embeddings to begin with, which are then learned."""
    encoder = timm.create_model(chosen.architecture, num_classes=0, **chosen.arguments)
    places = build_sincos2d_pos_embed(list(encoder.patch_embed.grid_size), encoder.embed_dim)  # (N, D)
    with torch.no_grad():
        encoder.pos_embed.zero_()
        encoder.pos_embed[:, encoder.num_prefix_tokens :] = places
    return encoder


def new_decoder(chosen: Pretraining, encoder: nn.Module, classes: int) -> nn.Module:
    """What predicts from this encoder."""
    if chosen.method in masked.DECODERS:
        return masked.DECODERS[chosen.method](encoder)
    return instance.Classifier(encoder, classes)


def new_state(chosen: Pretraining, classes: int, device: str, start: dict[str, Tensor] | None = None) -> State:
    """The state before the first epoch.

    Args:
        start: the tensors of an encoder of this architecture, as `write` exports them.
    """
    torch.manual_seed(chosen.seed)
    encoder = new_encoder(chosen)
    if start is not None:
        encoder.load_state_dict(start)
    decoder = new_decoder(chosen, encoder, classes)
    if torch.device(device).type == "cpu":  # backwards through PyTorch's fused attention is slow there: see LOG.md
        for module in (*encoder.modules(), *decoder.modules()):
            if hasattr(module, "fused_attn"):
                module.fused_attn = False
    encoder, decoder = encoder.to(device), decoder.to(device)
    named = [*encoder.named_parameters(), *decoder.named_parameters()]
    decayed = [p for name, p in named if p.ndim > 1 and name not in encoder.no_weight_decay()]
    rest = [p for name, p in named if p.ndim <= 1 or name in encoder.no_weight_decay()]
    groups = [{"params": decayed, "weight_decay": chosen.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=chosen.learning_rate, betas=chosen.betas, fused=True)
    return State(encoder, decoder, optimiser, seed=chosen.seed)


def mask_for(chosen: Pretraining, encoder: nn.Module, pictures: int, generator: torch.Generator) -> Tensor:
    """A mask (pictures, N) for the patches of this encoder."""
    return masked.random_mask(pictures, encoder.patch_embed.num_patches, chosen.mask_ratio, generator)


def batch_loss(state: State, chosen: Pretraining, x: Tensor, soft: Tensor, generator: torch.Generator) -> Tensor:
    """The loss of views x (B, 3, S, S) with targets (B, classes), which the masked methods ignore."""
    if chosen.method in masked.DECODERS:
        mask = mask_for(chosen, state.encoder, len(x), generator).to(x.device)
        return masked.loss(state.encoder, state.decoder, x, mask)
    return instance.loss(state.encoder, state.decoder, x, soft)


def run_epoch(state: State, chosen: Pretraining, epochs: int, sources: Sources, device: str) -> float:
    """One epoch; returns its mean loss."""
    torch.manual_seed(chosen.seed * 100003 + state.epoch)  # for stochastic depth and dropout, where there are any
    generator = torch.Generator().manual_seed(chosen.seed * 100003 + state.epoch)
    seed, how, train = (chosen.seed, state.epoch), chosen.augmentation, sources.train(state.epoch)
    rng = np.random.default_rng((*seed, 1))
    count = max(1, len(train.images) // chosen.batch)
    state.encoder.train(), state.decoder.train()
    losses = []
    for index, (x, y) in enumerate(data.batches(train, chosen.arguments["img_size"], chosen.batch, how, seed)):
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(chosen, state.epoch + index / count, epochs)
        x = data.apply_policy(x, how.policy, rng)
        x = data.normalise(data.jitter(x.to(device).float().div_(255), how.jitter, generator))
        x, soft = data.mix(data.erase(x, how.erasing, generator), y.to(device), sources.classes, how, rng)
        with autocast(x.device):
            loss = batch_loss(state, chosen, x.contiguous(), soft, generator)
        loss.backward()
        nn.utils.clip_grad_norm_([*state.encoder.parameters(), *state.decoder.parameters()], chosen.clip)
        state.optimiser.step()
        state.optimiser.zero_grad()
        losses.append(loss.item())
    state.epoch += 1
    return sum(losses) / len(losses)


@torch.no_grad()
def measure(state: State, chosen: Pretraining, sources: Sources) -> dict[str, float]:
    """On the pictures that are not learned from, or not changed: see `read_sources`.

    Returns:
        {"val": loss on the hidden patches, under masks that are the same at every call}, or {"accuracy": …}.
    """
    state.encoder.eval(), state.decoder.eval()
    device, generator = next(state.encoder.parameters()).device, torch.Generator().manual_seed(0)
    total = 0.0
    parts = zip(sources.views.split(chosen.batch), sources.targets.split(chosen.batch), strict=True)
    for x, y in ((data.normalise(x.to(device).float() / 255), y.to(device)) for x, y in parts):
        if chosen.method in masked.DECODERS:
            total += len(x) * batch_loss(state, chosen, x, y, generator).item()
        else:
            total += (state.decoder(state.encoder, x).argmax(1) == y).sum().item()
    return {"val" if chosen.method in masked.DECODERS else "accuracy": round(total / len(sources.views), 4)}


def save(state: State, path: Path) -> None:
    """Write the checkpoint so that a break leaves the old one or the new one, never a half."""
    content = {
        "encoder": state.encoder.state_dict(),
        "decoder": state.decoder.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "epoch": state.epoch,
        "seconds": state.seconds,
        "seed": state.seed,
    }
    write_at_once(path, partial(torch.save, content))


def restore(state: State, path: Path) -> None:
    """Fill the state from a checkpoint."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    state.encoder.load_state_dict(content["encoder"])
    state.decoder.load_state_dict(content["decoder"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.epoch, state.seconds = content["epoch"], content["seconds"]
    state.seed = content.get("seed", state.seed)


def fit(chosen: Pretraining, sources: Sources, out: Path, epochs: int, resume: bool, device: str) -> State:
    """Run `chosen` and return its state; writes out/NAME.ckpt and a line of out/NAME.log after every epoch."""
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / f"{chosen.name}.ckpt"
    resume = resume and checkpoint.exists()
    start = read_tensors(chosen.start, out) if chosen.start and not resume else None
    state = new_state(chosen, sources.classes, device, start)
    if resume:
        restore(state, checkpoint)
        if state.seed != chosen.seed:
            raise VitdemoError(
                f"Expected a pre-training with seed {chosen.seed}, got one with {state.seed} in {checkpoint}; "
                "allowed: the same seed, or to start afresh."
            )
    bar = tqdm(range(state.epoch, epochs), desc=chosen.name, initial=state.epoch, total=epochs, unit="epoch")
    for _ in bar:
        begin = time.monotonic()
        loss = run_epoch(state, chosen, epochs, sources, device)
        line = {"epoch": state.epoch, "loss": round(loss, 4)}
        if state.epoch % MEASURED_EVERY == 0 or state.epoch == epochs:
            line |= measure(state, chosen, sources)
        seconds = time.monotonic() - begin
        state.seconds += seconds
        save(state, checkpoint)
        with (out / f"{chosen.name}.log").open("a") as log:
            log.write(json.dumps(line | {"seconds": round(seconds, 1)}) + "\n")
        bar.set_postfix(line)
    return state


def write(chosen: Pretraining, state: State, out: Path) -> Path:
    """Export the encoder, and what predicts from it, as float32; returns the encoder's path."""
    for name, module in ((f"{chosen.name}.decoder", state.decoder), (chosen.name, state.encoder)):
        tensors = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
        write_at_once(out / f"{name}.safetensors", partial(save_file, tensors))
    return out / f"{chosen.name}.safetensors"


def read_tensors(name: str, out: Path) -> dict[str, Tensor]:
    """The tensors of out/NAME.safetensors."""
    path = out / f"{name}.safetensors"
    if not path.is_file():
        raise WeightsError(f"Expected the pre-training {name!r} in {out}, got none; run {name!r} first.")
    return load_file(path)


def read_pair(chosen: Pretraining, out: Path) -> tuple[nn.Module, nn.Module]:
    """The exported encoder and decoder of a masked pre-training, in eval mode."""
    encoder = new_encoder(chosen)
    encoder.load_state_dict(read_tensors(chosen.name, out))
    decoder = masked.DECODERS[chosen.method](encoder)
    decoder.load_state_dict(read_tensors(f"{chosen.name}.decoder", out))
    return encoder.eval(), decoder.eval()


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0, or 2 if the person has something to put right."""
    parser = argparse.ArgumentParser(prog="python -m vitdemo.training.pretrain", description="Learn without labels.")
    parser.add_argument("name", metavar="NAME", help=", ".join(PRETRAININGS))
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="train/ and val/ in it, each CLASS/*")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where checkpoint, log and weights go")
    parser.add_argument("--epochs", type=int, metavar="N", help="length of the schedule; the pre-training's own")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda; cpu")
    parser.add_argument("--seed", type=int, metavar="N", help="of everything random; the pre-training's own")
    parser.add_argument("--fresh", action="store_true", help="start over, even if a checkpoint is in --out")
    parser.add_argument(
        "--figure", type=Path, metavar="FILE", help="afterwards: a PNG or WebP of reconstructions, or of formulas"
    )
    parser.add_argument(
        "--samples", action="store_true", help="the figure is of the project's drawn samples, not of pictures of val/"
    )
    args = parser.parse_args(argv)
    try:
        if args.figure:
            check_figure(args.name, args.figure)  # now, and not after the training
        print(pretrain(args.name, args.data, args.out, args.epochs, not args.fresh, args.device, args.seed))
        if args.figure:
            sheet = figure(PRETRAININGS[args.name], None if args.samples else args.data, args.out)
            sheet.save(args.figure, **FORMATS[args.figure.suffix.lower()])
    except VitdemoError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def check_figure(name: str, path: Path) -> None:
    """Raises VitdemoError where a pre-training has nothing to draw, or for a file of another kind than `FORMATS`."""
    drawn = sorted(one.name for one in PRETRAININGS.values() if one.method in (*masked.DECODERS, "formula"))
    if name in PRETRAININGS and name not in drawn:
        raise VitdemoError(f"Expected a pre-training that can be drawn, got {name!r}; allowed: {drawn}.")
    if path.suffix.lower() not in FORMATS:
        raise VitdemoError(f"Expected the name of a picture, got {str(path)!r}; allowed: {', '.join(FORMATS)}.")


def figure(chosen: Pretraining, folder: Path | None, out: Path, rows: int = 4) -> Image.Image:
    """What a pre-training is about, as a sheet.

    Args:
        folder: pictures are taken from FOLDER/val; None for the drawn samples with one kind of flower, all of them.
        out: where the exported pair of a masked pre-training is.
        rows: of pictures from a folder, or of formulas.

    Returns:
        For a masked one, what the exported pair makes of the pictures, which are evenly spread over FOLDER/val; for
        formulas, pictures by some of them.

    Raises:
        VitdemoError: there is nothing to draw.
    """
    check_figure(chosen.name, Path("figure.png"))
    if chosen.method == "formula":
        return formula.formula_figure(chosen.seed, rows=rows)
    pair = read_pair(chosen, out)
    images = sample_pictures() if folder is None else data.read_folder(folder / "val", chosen.short_side).images
    some = range(len(images)) if folder is None else np.linspace(0, len(images) - 1, rows + 2).astype(int)[1:-1]
    views = data.normalise(centre_views([images[i] for i in some], chosen.arguments["img_size"]).float() / 255)
    return masked.reconstruction_figure(*pair, views, ratio=chosen.mask_ratio, scale=2)


def sample_pictures() -> list[np.ndarray]:
    """The shipped drawings with one kind of flower, each (H, W, 3) uint8."""
    pictures = []
    for sample in shipped():
        if len(sample.flowers) == 1:
            with Image.open(sample.file) as picture:
                pictures.append(np.asarray(picture.convert("RGB")))
    return pictures


if __name__ == "__main__":
    sys.exit(main())
