"""The thin layer between a row of the catalogue and a model that answers.

`Models` keeps loaded backbones in a cache bounded in bytes and shared by all visitors: it holds weights only, never
anything about a picture. A backbone takes pixels in 0..1 and normalises them itself, so that explanations speak of
pixels and baselines such as "black" mean what they say.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import nn

from vitdemo.backbones import Backbone
from vitdemo.errors import NotOfferedError, VitdemoError, WeightsError
from vitdemo.labels import imagenet_labels
from vitdemo.sources import Hub
from vitdemo.stages import has_stages, pooled
from vitdemo.types import View
from vitdemo.views import crop_to, view_of
from vitdemo.weights import Fetcher

DEVICES = ("auto", "cpu", "cuda", "mps")
Progress = Callable[[str, int, int], None]  # backbone's name, bytes so far, bytes in all; ("", 0, 0) while it waits
PATIENCE = 0.2  # seconds of waiting after which a visitor is told, and may give up


def autocast(device: torch.device) -> AbstractContextManager:
    """bf16 (fp16 where the GPU has no bf16) on a GPU, fp32 elsewhere."""
    if device.type != "cuda":
        return nullcontext()
    return torch.autocast("cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)


class Network(nn.Module):
    """A timm model that takes pixels in 0..1 and normalises them itself. Predictions and explanations both run through
    it, and so in the same precision.

    Args:
        body: any timm classifier.
        mean, std: of its own transform, three numbers each.
    """

    def __init__(self, body: nn.Module, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.body = body
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) in 0..1 to logits (B, K), fp32."""
        with autocast(pixels.device):
            return self.body((pixels - self.mean) / self.std).float()

    def embed(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same logits (B, K), and the pooled features (B, D) that the head was given."""
        with autocast(pixels.device):
            tokens = self.body.forward_features((pixels - self.mean) / self.std)
            return self.body.forward_head(tokens).float(), self.body.forward_head(tokens, pre_logits=True).float()

    def embed_stages(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits and features as `embed` gives them, and the pooled maps (B, S) of the stages, in one pass.

        Raises:
            NotOfferedError: the architecture does not show its maps.
        """
        if not has_stages(self.body):
            raise NotOfferedError(
                f"{type(self.body).__name__} does not show the maps of its stages; choose a fusion that needs none."
            )
        with autocast(pixels.device):
            tokens, maps = self.body.forward_intermediates((pixels - self.mean) / self.std, output_fmt="NCHW")
            logits, features = self.body.forward_head(tokens), self.body.forward_head(tokens, pre_logits=True)
        return logits.float(), features.float(), pooled(maps)


@dataclass(frozen=True)
class Model:
    """A loaded backbone, ready to answer."""

    backbone: Backbone
    network: Network  # in eval mode, without parameter gradients
    device: torch.device
    labels: tuple[str, ...]  # K
    transform: Mapping  # timm's data configuration: input_size, mean, std, interpolation, crop_pct, crop_mode
    resize: Callable[[Image.Image], torch.Tensor] = field(repr=False)  # PIL to (3, h, w) uint8

    def pixels(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """What the backbone sees of upright RGB pictures: (B, 3, h, w) in 0..1 on its device."""
        seen = [self.resize(crop_to(picture, self.transform)) for picture in pictures]
        return (torch.stack(seen).float() / 255).to(self.device)

    def view(self, picture: Image.Image) -> View:
        """Which part of the picture that is."""
        return view_of(picture.size, self.transform)


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is the GPU where there is one.

    Raises:
        VitdemoError: an unknown name, or a device that this machine does not have.
    """
    if name not in DEVICES:
        raise VitdemoError(f"Unknown device {name!r}; allowed: {', '.join(DEVICES)}.")
    if name == "cpu":  # where a GPU is lent for single calls, nobody may ask for it outside of one
        return torch.device("cpu")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    if not there[name]:
        raise VitdemoError(
            f"This machine has no {name} device; allowed: auto, {', '.join(kind for kind in there if there[kind])}."
        )
    return torch.device(name)


def default_memory(device: torch.device) -> int:
    """Bytes that the cache of weights may hold: 60 % of a GPU, 2 GiB elsewhere."""
    if device.type == "cuda":
        return int(0.6 * torch.cuda.get_device_properties(device).total_memory)
    return 2 << 30


@dataclass
class _Entry:
    """A place in the cache: reserved first, filled under its own lock, held while somebody uses it."""

    bytes: int
    users: int = 0
    model: Model | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Models:
    """Loaded backbones, in no more than `memory` bytes of weights.

    Args:
        device: "auto", "cpu", "cuda" or "mps".
        memory: bytes of weights to hold at most; None asks `default_memory`.
        fetcher: where hub weights come from.
    """

    def __init__(self, device: str = "auto", memory: int | None = None, fetcher: Fetcher | None = None):
        self.device = pick_device(device)
        self.memory = default_memory(self.device) if memory is None else memory
        self.fetcher = fetcher or Fetcher()
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()  # least recently used first
        self._changed = threading.Condition()

    @property
    def held(self) -> int:
        """Bytes of weights that are loaded or being loaded."""
        with self._changed:
            return sum(entry.bytes for entry in self._entries.values())

    @contextmanager
    def use(self, backbones: Sequence[Backbone], progress: Progress | None = None) -> Iterator[list[Model]]:
        """The loaded models, kept until the `with` block ends.

        All are reserved at once, so that two visitors can never wait for each other's half. What is least recently
        used and not in use makes room; where everything is in use, the call waits.

        Args:
            backbones: rows of the catalogue.
            progress: called while a file is fetched or somebody else is waited for; may raise to stop.

        Raises:
            VitdemoError: together they need more than the cache may hold.
            WeightsError: weights are missing, damaged or cannot be fetched.
        """
        entries = self._reserve(backbones, progress)
        try:
            yield [self._load(row, entry, progress) for row, entry in zip(backbones, entries, strict=True)]
        finally:
            self._release(backbones)

    def _reserve(self, backbones: Sequence[Backbone], progress: Progress | None) -> list[_Entry]:
        mine = {_key(row): row.bytes for row in backbones}
        need = sum(mine.values())
        if need > self.memory:
            raise VitdemoError(
                f"{', '.join(row.name for row in backbones)} need {_size(need)} of weights together, but the cache may "
                f"hold {_size(self.memory)}; choose fewer or smaller backbones, or start with a larger --memory."
            )
        while True:
            with self._changed:
                if need + self._in_use(besides=mine) <= self.memory:
                    for key, size in mine.items():
                        self._entries.setdefault(key, _Entry(size)).users += 1
                        self._entries.move_to_end(key)
                    self._make_room()
                    return [self._entries[_key(row)] for row in backbones]
                self._changed.wait(timeout=PATIENCE)
            if progress:
                progress("", 0, 0)

    def _in_use(self, besides: Mapping) -> int:
        return sum(entry.bytes for key, entry in self._entries.items() if entry.users and key not in besides)

    def _make_room(self) -> None:
        idle = [key for key, entry in self._entries.items() if not entry.users]
        held = sum(entry.bytes for entry in self._entries.values())
        for key in idle:
            if held <= self.memory:
                return
            held -= self._entries.pop(key).bytes

    def _load(self, row: Backbone, entry: _Entry, progress: Progress | None) -> Model:
        while not entry.lock.acquire(timeout=PATIENCE):  # somebody else loads it
            if progress:
                progress("", 0, 0)
        try:
            if entry.model is None:
                entry.model = load(row, self.device, self.fetcher, progress)
            return entry.model
        finally:
            entry.lock.release()

    def _release(self, backbones: Sequence[Backbone]) -> None:
        with self._changed:
            for key in {_key(row) for row in backbones}:
                entry = self._entries[key]
                entry.users -= 1
                if not entry.users and entry.model is None:  # loading failed
                    del self._entries[key]
            self._changed.notify_all()


def _key(row: Backbone) -> tuple[str, str]:
    return row.collection, row.name


def _size(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"


def load(row: Backbone, device: torch.device, fetcher: Fetcher, progress: Progress | None = None) -> Model:
    """Makes one backbone from its row, without any cache.

    Raises:
        WeightsError: the weights are missing, damaged, cannot be fetched or do not fit the architecture.
    """
    body, transform = _fill(row, fetcher, progress and (lambda done, total: progress(row.name, done, total)))
    network = Network(body, transform["mean"], transform["std"]).eval().requires_grad_(False).to(device)
    labels = labels_of(row)
    if body.num_classes != len(labels):
        raise WeightsError(
            f"{row.name} has {body.num_classes} outputs for {len(labels)} labels; they have to be equal."
        )
    return Model(row, network, device, labels, transform, _resize(transform))


def _fill(row: Backbone, fetcher: Fetcher, progress) -> tuple[nn.Module, Mapping]:
    """The architecture with the source's tensors in it, and the transform that belongs to them."""
    import timm

    import vitdemo.architectures  # noqa: F401  registers our own assemblies of timm's parts with timm

    timms_own = row.transform is None and isinstance(row.source, Hub)
    file = row.source.paths(fetcher, progress)[0] if timms_own else None
    try:
        if timms_own:  # some files of timm's repositories have their authors' names, which timm translates
            body = timm.create_model(
                row.architecture,
                pretrained=True,
                pretrained_cfg_overlay={"file": str(file), "custom_load": False},
                **row.arguments,
            )
        else:
            body = timm.create_model(row.architecture, num_classes=len(labels_of(row)), **row.arguments)
            tensors = row.source.tensors(fetcher, progress, body.state_dict())
            body.load_state_dict({name: value.float() for name, value in tensors.items()})
        return body, row.transform or timm.data.resolve_model_data_config(body)
    except VitdemoError:
        raise
    except Exception as error:  # timm, safetensors and torch each have errors of their own for a file that does not fit
        reason = str(error).strip().removeprefix("Error(s) in loading state_dict for ").splitlines()
        reason = [" ".join(line.strip() for line in reason[:2])] if reason else [type(error).__name__]
        raise WeightsError(
            f"The weights of {row.name} do not fit the architecture {row.architecture}: {reason[0][:200]}"
        ) from error


def _resize(transform: Mapping) -> Callable[[Image.Image], torch.Tensor]:
    from timm.data import create_transform
    from timm.data.transforms import ResizeKeepRatio

    keys = ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std")
    settings = {key: transform[key] for key in keys if key in transform}
    pipeline = create_transform(**settings, is_training=False, normalize=False)
    for step in pipeline.transforms:
        if isinstance(step, ResizeKeepRatio):  # which rounds the short side of a very long picture down to nothing
            step.get_params = lambda *given: [max(1, side) for side in ResizeKeepRatio.get_params(*given)]

    def resize(picture: Image.Image) -> torch.Tensor:
        seen = pipeline(picture)
        return seen if isinstance(seen, torch.Tensor) else torch.from_numpy(np.array(seen)).permute(2, 0, 1)

    return resize


def is_here(row: Backbone, fetcher: Fetcher) -> bool:
    """Whether a backbone's weights are on this machine; nothing is fetched to find out."""
    return row.source.is_here(fetcher)


def labels_of(row: Backbone) -> tuple[str, ...]:
    """The names of a backbone's classes, in the order of its outputs."""
    return row.labels or imagenet_labels()
