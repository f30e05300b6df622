"""Pre-training: first weights for a recipe, from pictures without their labels.

    python -m vitdemo.training.pretrain mae --data flowers --out out

writes out/NAME.safetensors: the encoder's tensors under timm's names, float32, without a head; and
out/NAME.decoder.safetensors, which shows what it learned (`vitdemo.training.masked.reconstruction_figure`). A recipe
whose `start` is NAME begins with these tensors.

One loop for all of them: AdamW, linear warm-up and cosine decay, mild random views. Checkpoint and log as in
`supervised`; all randomness comes from (seed, epoch), so a resumed training is that of an uninterrupted one.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file, save_file
from timm.layers import build_sincos2d_pos_embed
from torch import Tensor, nn
from tqdm import tqdm

from vitdemo.errors import UnknownNameError, VitdemoError, WeightsError
from vitdemo.training import data, masked
from vitdemo.training.data import Augmentation, Pictures
from vitdemo.training.export import read_split
from vitdemo.training.recipes import VIT

MEASURED_EVERY = 10  # epochs
MILD = Augmentation(
    scale=(0.3, 1.0), rotation_probability=0.0, jitter=0.2, erasing=0.0, mixing_probability=0.0, smoothing=0.0
)


@dataclass(frozen=True)
class Pretraining:
    """Everything that decides the weights of one pre-trained encoder."""

    name: str
    method: str  # a key of masked.DECODERS
    architecture: str = VIT.architecture  # timm entry point of a VisionTransformer with a class token
    arguments: dict = field(default_factory=lambda: dict(VIT.arguments))
    start: str | None = None  # another pre-training of the same architecture, whose tensors are the first weights
    epochs: int = 200
    mask_ratio: float = 0.75
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
MAE = Pretraining(name="mae", method="mae")

# python -m vitdemo.training.pretrain simmim --data flowers --out out
SIMMIM = Pretraining(name="simmim", method="simmim", mask_ratio=0.6)

PRETRAININGS = {one.name: one for one in (MAE, SIMMIM)}


@dataclass
class State:
    """What a checkpoint holds."""

    encoder: nn.Module  # timm's, without a head
    decoder: nn.Module
    optimiser: torch.optim.Optimizer
    epoch: int = 0  # epochs done
    seconds: float = 0.0


def pretrain(
    name: str, data: Path, out: Path, epochs: int | None = None, resume: bool = True, device: str = "cpu"
) -> Path:
    """Run one of the pre-trainings and export its encoder.

    Args:
        name: of one in `PRETRAININGS`.
        data: folder with train/ and val/, each CLASS/*.jpg; the classes are not used.
        out: where NAME.ckpt, NAME.log, NAME.safetensors and NAME.decoder.safetensors go.
        epochs: length of the schedule; None for the pre-training's own.
        resume: go on from out/NAME.ckpt if it is there; one that is far enough is only exported.
        device: "cpu", "cuda", "cuda:1" and so on.

    Returns:
        out/NAME.safetensors.

    Raises:
        UnknownNameError: no such pre-training.
        VitdemoError: a split without pictures, no such device, or fewer than one epoch.
        WeightsError: it starts from another pre-training that is not in `out`.
    """
    if name not in PRETRAININGS:
        raise UnknownNameError("pre-training", name, sorted(PRETRAININGS))
    chosen, out = PRETRAININGS[name], Path(out)
    epochs = chosen.epochs if epochs is None else epochs
    if epochs < 1:
        raise VitdemoError(f"Expected a number of epochs, got {epochs}; allowed: 1 and more.")
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise VitdemoError(f"Expected a device of this machine, got {device!r}; allowed here: 'cpu'.")
    val, train = read_val(chosen, Path(data)), read_train(chosen, Path(data))
    return write(chosen, fit(chosen, train, val, out, epochs, resume, device), out)


def read_train(chosen: Pretraining, folder: Path) -> Pictures:
    """The pictures that are learned from."""
    return data.read_folder(folder / "train", chosen.short_side)


def read_val(chosen: Pretraining, folder: Path) -> Tensor:
    """The pictures that are measured on, (N, 3, S, S) normalised: the centre, whole on the short side."""
    size = chosen.arguments["img_size"]
    transform = {"input_size": (3, size, size), "mean": data.MEAN, "std": data.STD, "crop_pct": 1.0}
    return read_split(folder / "val", {"transform": transform | {"interpolation": "bicubic"}})[0]


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


def new_state(chosen: Pretraining, device: str, start: dict[str, Tensor] | None = None) -> State:
    """The state before the first epoch.

    Args:
        start: the tensors of an encoder of this architecture, as `write` exports them.
    """
    torch.manual_seed(chosen.seed)
    encoder = new_encoder(chosen)
    if start is not None:
        encoder.load_state_dict(start)
    decoder = masked.DECODERS[chosen.method](encoder)
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
    return State(encoder, decoder, optimiser)


def mask_for(chosen: Pretraining, encoder: nn.Module, pictures: int, generator: torch.Generator) -> Tensor:
    """A mask (pictures, N) for the patches of this encoder."""
    return masked.random_mask(pictures, encoder.patch_embed.num_patches, chosen.mask_ratio, generator)


def run_epoch(state: State, chosen: Pretraining, epochs: int, train: Pictures, device: str) -> float:
    """One epoch; returns its mean loss."""
    torch.manual_seed(chosen.seed * 100003 + state.epoch)  # for stochastic depth and dropout, where there are any
    generator = torch.Generator().manual_seed(chosen.seed * 100003 + state.epoch)
    count = max(1, len(train.images) // chosen.batch)
    state.encoder.train(), state.decoder.train()
    losses = []
    views = data.batches(
        train, chosen.arguments["img_size"], chosen.batch, chosen.augmentation, (chosen.seed, state.epoch)
    )
    for index, (x, _) in enumerate(views):
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(chosen, state.epoch + index / count, epochs)
        x = data.jitter(x.to(device).float().div_(255), chosen.augmentation.jitter, generator)
        x = data.normalise(x).contiguous()
        mask = mask_for(chosen, state.encoder, len(x), generator).to(device)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            loss = masked.loss(state.encoder, state.decoder, x, mask)
        loss.backward()
        nn.utils.clip_grad_norm_([*state.encoder.parameters(), *state.decoder.parameters()], chosen.clip)
        state.optimiser.step()
        state.optimiser.zero_grad()
        losses.append(loss.item())
    state.epoch += 1
    return sum(losses) / len(losses)


@torch.no_grad()
def measure(state: State, chosen: Pretraining, val: Tensor) -> float:
    """The loss on the hidden patches of `val` under a mask that is the same at every call."""
    state.encoder.eval(), state.decoder.eval()
    device = next(state.encoder.parameters()).device
    mask = mask_for(chosen, state.encoder, len(val), torch.Generator().manual_seed(0))
    total = 0.0
    for x, hidden in zip(val.split(chosen.batch), mask.split(chosen.batch), strict=True):
        total += len(x) * masked.loss(state.encoder, state.decoder, x.to(device), hidden.to(device)).item()
    return total / len(val)


def save(state: State, path: Path) -> None:
    """Write the checkpoint so that a break leaves the old one or the new one, never a half."""
    content = {
        "encoder": state.encoder.state_dict(),
        "decoder": state.decoder.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "epoch": state.epoch,
        "seconds": state.seconds,
    }
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    os.replace(partial, path)


def restore(state: State, path: Path) -> None:
    """Fill the state from a checkpoint."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    state.encoder.load_state_dict(content["encoder"])
    state.decoder.load_state_dict(content["decoder"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.epoch, state.seconds = content["epoch"], content["seconds"]


def fit(chosen: Pretraining, train: Pictures, val: Tensor, out: Path, epochs: int, resume: bool, device: str) -> State:
    """Run `chosen` and return its state; writes out/NAME.ckpt after every epoch and a line per epoch to out/NAME.log.

    Args:
        val: normalised pictures (N, 3, S, S); nothing is chosen on them.
    """
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / f"{chosen.name}.ckpt"
    state = new_state(chosen, device, read_encoder(chosen.start, out) if chosen.start else None)
    if resume and checkpoint.exists():
        restore(state, checkpoint)
    bar = tqdm(range(state.epoch, epochs), desc=chosen.name, initial=state.epoch, total=epochs, unit="epoch")
    for _ in bar:
        begin = time.monotonic()
        loss = run_epoch(state, chosen, epochs, train, device)
        line = {"epoch": state.epoch, "loss": round(loss, 4)}
        if state.epoch % MEASURED_EVERY == 0 or state.epoch == epochs:
            line["val"] = round(measure(state, chosen, val), 4)
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
        partial = out / f"{name}.partial"
        save_file(tensors, partial)
        os.replace(partial, out / f"{name}.safetensors")
    return out / f"{chosen.name}.safetensors"


def read_encoder(name: str, out: Path) -> dict[str, Tensor]:
    """The tensors of out/NAME.safetensors."""
    path = out / f"{name}.safetensors"
    if not path.is_file():
        raise WeightsError(f"Expected the pre-training {name!r} in {out}, got none; run {name!r} first.")
    return load_file(path)


def read_pair(chosen: Pretraining, out: Path) -> tuple[nn.Module, nn.Module]:
    """The exported encoder and decoder of a masked pre-training, in eval mode."""
    encoder = new_encoder(chosen)
    encoder.load_state_dict(read_encoder(chosen.name, out))
    decoder = masked.DECODERS[chosen.method](encoder)
    decoder.load_state_dict(read_encoder(f"{chosen.name}.decoder", out))
    return encoder.eval(), decoder.eval()


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0, or 2 if the person has something to put right."""
    parser = argparse.ArgumentParser(prog="python -m vitdemo.training.pretrain", description="Learn without labels.")
    parser.add_argument("name", metavar="NAME", help=", ".join(PRETRAININGS))
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="train/ and val/ in it, each CLASS/*")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where checkpoint, log and weights go")
    parser.add_argument("--epochs", type=int, metavar="N", help="length of the schedule; the pre-training's own")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda; cpu")
    parser.add_argument("--restart", action="store_true", help="begin again instead of going on from the checkpoint")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="afterwards: a PNG of four reconstructions")
    args = parser.parse_args(argv)
    try:
        print(pretrain(args.name, args.data, args.out, args.epochs, not args.restart, args.device))
        if args.figure:
            write_figure(PRETRAININGS[args.name], args.data, args.out, args.figure)
    except VitdemoError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def write_figure(chosen: Pretraining, folder: Path, out: Path, path: Path, rows: int = 4) -> None:
    """Draw what the exported pair makes of pictures from FOLDER/val, evenly spread over it."""
    val = read_val(chosen, folder)
    pictures = val[torch.linspace(0, len(val) - 1, rows + 2).long()[1:-1]]
    pair = read_pair(chosen, out)
    masked.reconstruction_figure(*pair, pictures, ratio=chosen.mask_ratio, scale=2).save(path, "PNG")


if __name__ == "__main__":
    sys.exit(main())
