"""Tiny backbones with random weights, written and loaded in the same way as the bundled ones."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.layers import use_fused_attn
from torch import nn
from torch.nn import functional as F

from tests.oracles import KEY, Agreement, compare, summed_up
from vitdemo.attention import HEAD_FUSIONS, Recorder
from vitdemo.backbones import Backbone, Catalogue, read_sidecar
from vitdemo.errors import Cancelled
from vitdemo.explain import Subject, fused_subject
from vitdemo.fusion import FUSIONS, FusedModel, evidence_of, fuse
from vitdemo.fusion.records import path_of, record_of, save
from vitdemo.models import Model, Models
from vitdemo.predict import predict

torch.set_num_threads(1)  # tiny backbones are quicker that way, above all on a busy machine
LABELS = ("ant", "bee", "cat", "dog")
VIT = {"patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2}

# name: timm entry point, its arguments, (h, w) of the input
TINY = {
    "vit": ("vit_tiny_patch16_224", VIT | {"img_size": 32}, (32, 32)),
    "wide": ("vit_tiny_patch16_224", VIT | {"img_size": (32, 48)}, (32, 48)),
    "pooled": ("vit_tiny_patch16_224", VIT | {"img_size": 32, "global_pool": "avg", "class_token": False}, (32, 32)),
    "registers": ("vit_tiny_patch16_224", VIT | {"img_size": 32, "reg_tokens": 4}, (32, 32)),
    "distilled": ("deit_tiny_distilled_patch16_224", VIT | {"img_size": 32}, (32, 32)),
    "beit": ("beit_base_patch16_224", VIT | {"img_size": 32}, (32, 32)),
    "resnet": ("resnet10t", {"channels": (8, 8, 16, 16), "stem_width": 8}, (32, 32)),
}
TRANSFORM = {
    "mean": [0.5, 0.4, 0.45],
    "std": [0.25, 0.2, 0.3],
    "interpolation": "bicubic",
    "crop_pct": 0.9,
    "crop_mode": "center",
}


def write_backbone(folder: Path, name: str, labels=LABELS, collection: str = "tiny", accuracy: float = 0.5) -> Backbone:
    """Writes a tiny backbone as the bundled ones are written, and reads its row."""
    architecture, arguments, size = TINY[name]
    torch.manual_seed(sorted(TINY).index(name))
    body = timm.create_model(architecture, num_classes=len(labels), **arguments)
    for part, parameter in body.named_parameters():  # timm starts heads near zero, and attention near uniform
        if part.startswith(("head", "fc")) or "qkv" in part or "relative_position" in part:
            torch.nn.init.normal_(parameter, std=0.5 if "qkv" in part else 0.3)
    save_file(
        {key: value.half().contiguous() for key, value in body.state_dict().items()}, folder / f"{name}.safetensors"
    )
    sidecar = {
        "name": name,
        "collection": collection,
        "family": "test",
        "architecture": architecture,
        "arguments": arguments,
        "labels": list(labels),
        "transform": TRANSFORM | {"input_size": [3, *size]},
        "temperature": 1.5,
        "validation_accuracy": accuracy,
        "test_accuracy": accuracy,
        "parameters": sum(p.numel() for p in body.parameters()),
        "recipe": {},
        "trained_on": "noise",
        "licence": "Apache-2.0",
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(sidecar))
    return read_sidecar(path)


@pytest.fixture
def oracle(pytestconfig) -> Callable[..., Agreement]:
    """`tests.oracles.compare`, for an explanation and what another source says of it; the summary tells how far they
    differ."""

    def agrees(*arguments, **bounds) -> Agreement:
        agreement = compare(*arguments, **bounds)
        pytestconfig.stash.setdefault(KEY, []).append(agreement)
        return agreement

    return agrees


def pytest_terminal_summary(terminalreporter) -> None:
    """The greatest difference from every oracle."""
    lines = summed_up(terminalreporter.config.stash.get(KEY, ()))
    if not lines:
        return
    heads = ("what", "against", "compared", "differs by", "allowed", "relative")
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]
    terminalreporter.section("explanations against their oracles, at most")
    for line in (heads, *lines):
        terminalreporter.line("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


@pytest.fixture(scope="session")
def rows(tmp_path_factory) -> dict[str, Backbone]:
    folder = tmp_path_factory.mktemp("assets") / "backbones"
    folder.mkdir()
    made = {name: write_backbone(folder, name, accuracy=0.5 + 0.05 * index) for index, name in enumerate(TINY)}
    write_record(list(made.values()))
    return made


def write_record(made: Sequence[Backbone], count: int = 24) -> Path:
    """What the backbones say of noise; the right class is what the first two think more likely than usual, mostly."""
    pixels = [paint(60, 50, seed=1000 + index) for index in range(count)]
    with Models("cpu", memory=1 << 30).use(made) as loaded:
        said = [predict(model, model.pixels(pixels), stages=True) for model in loaded]
    relative = sum(np.log(one.probabilities) for one in said[:2])
    targets = (relative - relative.mean(0)).argmax(1)  # so that every class occurs
    targets[: 2 * len(LABELS)] = np.arange(2 * len(LABELS)) % len(LABELS)
    record = replace(record_of(made, said, targets), strengths=dict.fromkeys(FUSIONS.names(), 0.03))
    return save(record, path_of(made[0]))


@pytest.fixture(scope="session")
def catalogue(rows) -> Catalogue:
    return Catalogue(rows.values())


@pytest.fixture
def models() -> Models:
    return Models("cpu", memory=1 << 30)


@pytest.fixture(scope="session")
def tiny(rows) -> dict[str, Model]:
    """Every tiny backbone, loaded."""
    with Models("cpu", memory=1 << 30).use(list(rows.values())) as loaded:
        return {model.backbone.name: model for model in loaded}


def paint(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth random picture."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def picture() -> Image.Image:
    return paint(80, 60)


def subject_of(models: Sequence[Model], picture: Image.Image, strategy: str = "mean", target: int = 1) -> Subject:
    """What the pipeline makes of one model, or of several fused ones: with attention recorded."""
    subjects, said = [], []
    stages = FUSIONS.get(strategy).needs == "stages"
    for model in models:
        pixels = model.pixels([picture])
        with Recorder(HEAD_FUSIONS["mean"]) as recorder:
            said.append(predict(model, pixels, stages))
        subjects.append(
            Subject(
                models=(model,),
                scorer=FusedModel([model], "mean"),
                pixels=(pixels,),
                views=(model.view(picture),),
                weights=np.ones(1),
                recordings=(recorder.matrices,),
                target=target,
            )
        )
    if len(models) == 1 and strategy == "mean":
        return subjects[0]
    weights = fuse(strategy, said, evidence_of([model.backbone for model in models]))[0].weights
    return fused_subject(subjects, strategy, weights)


def stopping_after(count: int) -> Callable[[object], None]:
    """A report that raises `Cancelled` when it is called once more than `count` times."""
    left = [count]

    def report(progress: object) -> None:
        if not left[0]:
            raise Cancelled("stopped")
        left[0] -= 1

    return report


def everything_on(module: nn.Module) -> list:
    """Whatever a recorder or an explanation might leave on a module, or in the process."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [
        *(tuple(getattr(part, kind)) for part in module.modules() for kind in hooks),
        *((part.training, sorted(vars(part)), getattr(part, "fused_attn", None)) for part in module.modules()),
        *((p.requires_grad, p.grad, p.sum().item()) for p in module.parameters()),
        F.scaled_dot_product_attention,
        torch.softmax,
        torch.Tensor.softmax,
        torch._C._len_torch_function_stack(),
        torch.is_grad_enabled(),
        torch.random.initial_seed(),
        use_fused_attn(),
    ]
