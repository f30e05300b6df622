"""Pictures of a folder in memory, and the random views of them that a training sees.

Data convention: a picture in memory is an (h, w, 3) uint8 array; a batch is (B, 3, S, S), uint8 as it leaves the crop
and float32 in [0, 1] from there on, until `normalise`. Targets are (B,) int64 before mixing and (B, K) after it.

All randomness comes from generators that are seeded from (seed, epoch) alone, so an epoch is the same whether the
training arrived at it in one run or was resumed just before it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.folders import Broken, list_folder, readable

MEAN = (0.485, 0.456, 0.406)  # timm's IMAGENET_DEFAULT_MEAN and _STD: nothing here depends on them being
STD = (0.229, 0.224, 0.225)  # those of ImageNet, but every tool knows them
POLICIES = ("", "trivial", "rand")


@dataclass(frozen=True)
class Pictures:
    """A split in memory."""

    images: list[np.ndarray]  # each (h, w, 3) uint8
    targets: Tensor  # (N,) int64, index into labels
    labels: tuple[str, ...]  # sorted folder names
    broken: tuple[Broken, ...] = ()  # what could not be read, and is not among them


@dataclass(frozen=True)
class Augmentation:
    """How far a training view may be from its picture."""

    scale: tuple[float, float] = (0.25, 1.0)  # area of the crop, as a fraction of the picture's
    ratio: tuple[float, float] = (3 / 4, 4 / 3)  # width / height of the crop
    rotation: float = 20.0  # degrees, either way
    rotation_probability: float = 0.3
    jitter: float = 0.35  # brightness, contrast and saturation are scaled by 1 ± jitter
    policy: str = ""  # of POLICIES, drawn for each picture before the jitter
    erasing: float = 0.25  # probability that a rectangle is replaced by noise
    mixup: float = 0.2  # Beta parameter, 0 switches it off
    cutmix: float = 1.0  # Beta parameter, 0 switches it off
    mixing_probability: float = 0.8  # of a batch; half of these are mixed by each of the two
    smoothing: float = 0.1


def read_folder(folder: Path, short_side: int) -> Pictures:
    """Read a split into memory, shrunk once to `short_side` pixels (never enlarged).

    Raises:
        VitdemoError: there is no picture, or none of a class can be read.
    """
    paths, targets, labels = list_folder(folder)
    broken: list[Broken] = []
    read = {index: _shrunk(picture, short_side) for index, picture in readable(paths, broken)}
    kept = torch.tensor([targets[index] for index in read], dtype=torch.int64)
    check_classes(kept, labels, folder, broken)
    return Pictures(list(read.values()), kept, labels, tuple(broken))


def check_classes(targets: Tensor, labels: Sequence[str], folder: Path, broken: Sequence[Broken]) -> None:
    """Raises VitdemoError where a class had pictures, and none of them could be read."""
    for index, label in enumerate(labels):
        lost = [one for one in broken if (folder / label) in one.path.parents]
        if lost and index not in targets:
            raise VitdemoError(
                f"Expected a picture of {label!r} that can be read, got none in {folder / label}: {lost[0].reason}"
            )


def _shrunk(image: Image.Image, short_side: int) -> np.ndarray:
    factor = short_side / min(image.size)
    if factor < 1:
        image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)
    return np.asarray(image)


def random_view(image: np.ndarray, size: int, how: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Rotated, cropped and mirrored at random: (h, w, 3) uint8 to (size, size, 3) uint8."""
    picture = Image.fromarray(image)
    if rng.random() < how.rotation_probability:
        picture = picture.rotate(rng.uniform(-how.rotation, how.rotation), Image.Resampling.BILINEAR)
    picture = picture.resize((size, size), Image.Resampling.BILINEAR, box=_random_box(*picture.size, how, rng))
    view = np.asarray(picture)
    return view[:, ::-1] if rng.random() < 0.5 else view


def _random_box(w: int, h: int, how: Augmentation, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """The box of Inception's random resized crop (Szegedy et al. 2015), as torchvision samples it."""
    for _ in range(10):
        area = w * h * rng.uniform(*how.scale)
        ratio = np.exp(rng.uniform(*np.log(how.ratio)))
        bw, bh = np.sqrt(area * ratio), np.sqrt(area / ratio)
        if bw <= w and bh <= h:
            x, y = rng.uniform(0, w - bw), rng.uniform(0, h - bh)
            return x, y, x + bw, y + bh
    side = min(w, h)
    return (w - side) / 2, (h - side) / 2, (w + side) / 2, (h + side) / 2


def batches(
    pictures: Pictures, size: int, batch: int, how: Augmentation, seed: tuple[int, int]
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of random views in random order, made by one thread ahead of their use; the rest is dropped.

    Args:
        seed: (seed of the training, epoch); the only source of randomness.

    Yields:
        (batch, 3, size, size) uint8 in channels-last memory, (batch,) int64.
    """
    ready: queue.Queue = queue.Queue(maxsize=4)
    stop = threading.Event()

    def produce() -> None:
        try:
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(pictures.images))
            count = max(1, len(order) // batch)
            for index in range(count):
                chosen = order[index * batch : (index + 1) * batch]
                views = np.stack([random_view(pictures.images[i], size, how, rng) for i in chosen])
                ready.put((torch.from_numpy(views).permute(0, 3, 1, 2), pictures.targets[chosen]))
                if stop.is_set():
                    return
            ready.put(None)
        except BaseException as error:
            ready.put(error)

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        while not ready.empty():
            ready.get_nowait()
        thread.join()


def apply_policy(x: Tensor, policy: str, rng: np.random.Generator) -> Tensor:
    """One of torchvision's policies, drawn anew for each picture.

    TrivialAugmentWide (Müller & Hutter 2021, arXiv 2103.10158) makes one random operation of random strength,
    RandAugment (Cubuk et al. 2020, arXiv 1909.13719) two of strength 9 of 31. What they uncover has the colour `MEAN`.

    Args:
        x: (B, 3, S, S) uint8 on the CPU.
        policy: of POLICIES; "" gives x back.
        rng: the only source of randomness; torch's own generator is as it was afterwards.

    Returns:
        (B, 3, S, S) uint8.

    Raises:
        UnknownNameError: no such policy.
    """
    from torchvision import transforms

    kinds = {"trivial": transforms.TrivialAugmentWide, "rand": transforms.RandAugment}
    if policy not in POLICIES:
        raise UnknownNameError("policy", policy, list(POLICIES))
    if not policy:
        return x
    made = kinds[policy](
        interpolation=transforms.InterpolationMode.BILINEAR, fill=[float(round(255 * value)) for value in MEAN]
    )
    with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's global generator
        torch.manual_seed(int(rng.integers(2**62)))
        return torch.stack([made(picture) for picture in x])


def jitter(x: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Scale brightness, contrast and saturation of each picture by factors in 1 ± amount.

    Args:
        x: (B, 3, H, W) float in [0, 1].
    """
    low, width = 1 - amount, 2 * amount
    factors = (low + width * torch.rand(3, len(x), 1, 1, 1, generator=generator)).to(x.device)
    x = x * factors[0]
    grey = _grey(x)
    x = torch.lerp(grey.mean((2, 3), keepdim=True), x, factors[1])
    return torch.lerp(_grey(x), x, factors[2]).clamp_(0, 1)


def _grey(x: Tensor) -> Tensor:
    weights = torch.tensor([0.299, 0.587, 0.114], device=x.device).view(1, 3, 1, 1)  # ITU-R BT.601
    return (x * weights).sum(1, keepdim=True)


def normalise(x: Tensor, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> Tensor:
    """Subtract the mean and divide by the standard deviation, per channel."""
    mean, std = (torch.tensor(v, device=x.device).view(1, 3, 1, 1) for v in (mean, std))
    return (x - mean) / std


def erase(x: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Random erasing (Zhong et al. 2020) with noise, in place; x is normalised, (B, 3, H, W)."""
    for i in range(len(x)):
        if torch.rand((), generator=generator) < probability:
            top, left, height, width = _random_rectangle(*x.shape[2:], 0.02, 0.3, generator)
            noise = torch.randn(x.shape[1], height, width, generator=generator)
            x[i, :, top : top + height, left : left + width] = noise.to(x.device)
    return x


def _random_rectangle(h: int, w: int, low: float, high: float, generator: torch.Generator) -> tuple[int, int, int, int]:
    area, aspect, y, x = torch.rand(4, generator=generator).tolist()
    area = h * w * (low + (high - low) * area)
    ratio = 0.5 * 4**aspect
    height, width = min(h, max(1, round((area * ratio) ** 0.5))), min(w, max(1, round((area / ratio) ** 0.5)))
    return int(y * (h - height + 1)), int(x * (w - width + 1)), height, width


def mix(x: Tensor, targets: Tensor, classes: int, how: Augmentation, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """MixUp (Zhang et al. 2018) or CutMix (Yun et al. 2019) of a batch with itself in reverse order.

    Returns:
        The mixed pictures (B, 3, H, W) and smoothed targets (B, classes) whose rows sum to 1.
    """
    soft = torch.full((len(x), classes), how.smoothing / classes, device=x.device)
    soft.scatter_(1, targets[:, None], 1 - how.smoothing + how.smoothing / classes)
    if rng.random() >= how.mixing_probability:
        return x, soft
    if how.cutmix and (not how.mixup or rng.random() < 0.5):
        h, w = x.shape[2:]
        side = (1 - rng.beta(how.cutmix, how.cutmix)) ** 0.5
        height, width = round(h * side), round(w * side)
        top, left = int(rng.integers(0, h - height + 1)), int(rng.integers(0, w - width + 1))
        x = x.clone()
        x[:, :, top : top + height, left : left + width] = x.flip(0)[:, :, top : top + height, left : left + width]
        keep = 1 - height * width / (h * w)
    elif how.mixup:
        keep = rng.beta(how.mixup, how.mixup)
        x = torch.lerp(x.flip(0), x, keep)
    else:
        return x, soft
    return x, torch.lerp(soft.flip(0), soft, keep)
