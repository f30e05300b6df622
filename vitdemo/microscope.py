"""One forward pass of one transformer under the microscope: every layer and head, and the arithmetic behind a weight.

Letters in shapes: L layers, H heads, N tokens (prefix tokens first, then patches row by row), K classes, (h, w)
patches.

A page shows all of this without asking again, so `pack` makes one small document of it: numbers a person reads in JSON,
the attention in 8 bits per weight, compressed.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from vitdemo.attention import Layout, Recorder, layout_of, rollout
from vitdemo.errors import NotOfferedError, VitdemoError
from vitdemo.models import Model
from vitdemo.types import NotOffered, View

LEVELS = 255  # of an 8-bit weight
STRONGEST = 5  # patches whose arithmetic is shown
LARGEST = 3_000_000  # bytes of a document that a page is sent


@dataclass(frozen=True)
class Examination:
    """What one backbone did with one picture, layer by layer. Arrays are float32."""

    name: str  # of the backbone
    seen: Image.Image  # what the backbone saw: cropped and resized by its own transform
    view: View  # where that lies in the picture
    prefix: tuple[str, ...]  # names of the tokens that are no patch, such as "class"
    grid: tuple[int, int]  # (h, w)
    readout: tuple[int, ...]  # the tokens that the head reads
    attention: np.ndarray  # (L, H, N, N) rows sum to 1
    scores: np.ndarray  # (L, H, N, N) q·k/√d, with the position bias where the architecture has one, before the softmax
    values: np.ndarray  # (L, H, N) length of each token's value vector
    film: np.ndarray  # (L, h, w) rollout through the layers 1 to l, of what the head reads
    labels: tuple[str, ...]  # K
    depth: np.ndarray  # (L, K) probabilities, had the network ended behind layer l

    @property
    def heads(self) -> int:
        return self.attention.shape[1]


class Probe(Recorder):
    """A recorder that keeps the scores before the softmax and the lengths of the values as well."""

    def __init__(self):
        super().__init__()
        self.scores: list[torch.Tensor] = []  # each (B, H, N, N)
        self.values: list[torch.Tensor] = []  # each (B, H, N)

    def _see(self, scores: torch.Tensor, value: torch.Tensor) -> None:
        self.scores.append(scores)
        self.values.append(value.norm(dim=-1))


def examine(model: Model, picture: Image.Image) -> Examination:
    """Looks at every layer and head of one backbone: two forward passes.

    Args:
        model: a loaded transformer in which every layer attends from all tokens to all tokens.
        picture: upright RGB.

    Raises:
        NotOfferedError: the backbone has no such attention; the message says why and what can be done instead.
    """
    layout = offered(model)
    if isinstance(layout, NotOffered):
        raise NotOfferedError(f"{model.backbone.name} cannot be examined token by token: {layout.reason}.")
    pixels = model.pixels([picture])
    with torch.inference_mode(), Probe() as probe:
        model.network(pixels.to(model.device))
    if not probe.scores or len(probe.scores) != len(probe.matrices):
        raise NotOfferedError(
            f"{model.backbone.name} computes its attention in a way whose scores are not seen; rollout still works."
        )
    rolled = [
        rollout([m.mean(1) for m in probe.matrices[:count]], layout.first(count))[0]
        for count in range(1, layout.layers + 1)
    ]
    return Examination(
        name=model.backbone.name,
        seen=_picture(pixels[0]),
        view=model.view(picture),
        prefix=prefix_names(layout.prefix, len(layout.readout) == 2),
        grid=layout.grid,
        readout=layout.readout,
        attention=_stacked(probe.matrices),
        scores=_stacked(probe.scores),
        values=_stacked(probe.values),
        film=torch.stack(rolled).float().cpu().numpy(),
        labels=model.labels,
        depth=depth_of(model, pixels),
    )


def offered(model: Model) -> Layout | NotOffered:
    """Where the tokens lie, or why this backbone cannot be examined."""
    layout = layout_of(model.network.body, tuple(model.transform["input_size"][-2:]))
    if isinstance(layout, Layout) and not layout.plain:
        return NotOffered("its layers do not all attend from all tokens to all, so its tokens have no common numbers")
    return layout


def prefix_names(count: int, distilled: bool = False) -> tuple[str, ...]:
    """What the tokens before the patches are called: the class token, a distillation token, registers."""
    if count and distilled:
        return ("class", "distillation", *(f"register {i}" for i in range(1, count - 1)))
    return ("class", *(f"register {i}" for i in range(1, count)))[:count]


def _stacked(tensors: Sequence[torch.Tensor]) -> np.ndarray:
    return torch.stack([t[0].float().cpu() for t in tensors]).numpy()


def _picture(pixels: torch.Tensor) -> Image.Image:
    return Image.fromarray((pixels * 255).round().byte().permute(1, 2, 0).cpu().numpy())


def depth_of(model: Model, pixels: torch.Tensor) -> np.ndarray:
    """(L, K): what the head would say of the tokens behind each layer, through the final norm.

    The "logit lens" (nostalgebraist, 2020; for vision transformers Vilas et al., 2023, arXiv 2310.18969). The head was
    trained for the last layer alone, so early rows say what is there already *in the last layer's language*.

    Args:
        pixels: (1, 3, h, w) in 0..1.
    """
    network, body = model.network, model.network.body
    with torch.inference_mode():
        behind = body.forward_intermediates(
            (pixels.to(model.device) - network.mean) / network.std,
            return_prefix_tokens=True,
            output_fmt="NLC",
            intermediates_only=True,
        )
        logits = [body.forward_head(body.norm(_joined(each))).float() for each in behind]
    return torch.softmax(torch.cat(logits) / model.backbone.temperature, dim=-1).cpu().numpy()


def _joined(tokens) -> torch.Tensor:
    """(B, N, D): timm gives (patches, prefix tokens), or the patches alone where there is no prefix."""
    if not isinstance(tokens, (tuple, list)):
        return tokens
    patches, prefix = tokens
    return torch.cat([prefix, patches], dim=1)


@dataclass(frozen=True)
class Term:
    """One patch's part in what a token takes in: softmax(q·k/√d) times the patch's value."""

    token: int
    score: float  # q·k/√d
    weight: float  # after the softmax, 0..1
    value: float  # length of the value vector
    product: float  # weight times length


def arithmetic(one: Examination, layer: int, head: int, query: int, count: int = STRONGEST) -> list[Term]:
    """The patches to which a token attends most, strongest first, with the numbers that lead there.

    Args:
        layer, head, query: counted from 0.

    Raises:
        VitdemoError: there is no such layer, head or token.
    """
    for name, index, size in zip(("layer", "head", "token"), (layer, head, query), one.attention.shape, strict=False):
        if not 0 <= index < size:
            raise VitdemoError(f"{name} is {index}; allowed: 0 to {size - 1}.")
    weights, first = one.attention[layer, head, query], len(one.prefix)
    order = first + np.argsort(-weights[first:], kind="stable")[:count]
    lengths = one.values[layer, head]
    return [
        Term(
            int(j),
            float(one.scores[layer, head, query, j]),
            float(weights[j]),
            float(lengths[j]),
            float(weights[j] * lengths[j]),
        )
        for j in order
    ]


# -- one small document ------------------------------------------------------------------------------------------


def quantised(attention: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights in 8 bits: round(255 · A / max A), with one maximum for each map.

    Args:
        attention: (..., N, N) not negative.

    Returns:
        (..., N, N) uint8, and the maxima (...,) float32. An error is at most max / 510.
    """
    most = attention.max((-2, -1))
    scaled = LEVELS * attention / np.where(most > 0, most, 1)[..., None, None]
    return np.rint(scaled).astype(np.uint8), most.astype(np.float32)


def _packed(array: np.ndarray) -> str:
    """An array as base64 of its deflated little-endian bytes: what a browser's DecompressionStream reads."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(zlib.compress(np.ascontiguousarray(little).tobytes(), 6)).decode("ascii")


def unpacked(text: str, kind: str, shape: Sequence[int]) -> np.ndarray:
    """The other way round."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.dtype(kind).newbyteorder("<")).reshape(shape)


def pack(one: Examination, largest: int = LARGEST) -> dict:
    """The examination as one JSON document of at most `largest` bytes.

    Keys: `name`, `prefix`, `grid`, `readout`, `labels`, `layers`, `heads`, `tokens`; `film` [L][N patches] and `depth`
    [L][K]; `attention` (L, H, N, N) uint8 with `most` (L, H): weight = byte / 255 · most; `arithmetic`: for each
    token the `strongest` patches (L, H, N, 5) uint16, their `scores` float32, the row's `logsum` (L, H, N) float32
    with weight = exp(score − logsum), and `values` (L, H, N) float32. Arrays are base64 of deflated bytes.

    Where that is too large, `heads_sent` is false: `attention` holds the means over heads (L, 1, N, N) and `arithmetic`
    is None; `pack_layer` gives the heads of one layer.
    """
    whole = _document(one, one.attention) | {"heads_sent": True, "arithmetic": _arithmetic(one)}
    if _weight(whole) <= largest:
        return whole
    if _weight(bare := whole | {"arithmetic": None}) <= largest:
        return bare
    return _document(one, one.attention.mean(1, keepdims=True)) | {"heads_sent": False, "arithmetic": None}


def pack_layer(one: Examination, layer: int) -> dict:
    """The heads of one layer: `layer`, `attention` (H, N, N) uint8, `most` (H,) and its `arithmetic` (H, N, …)."""
    weights, most = quantised(one.attention[layer])
    return {
        "layer": layer,
        "attention": _packed(weights),
        "most": most.tolist(),
        "arithmetic": _arithmetic(
            replace(one, **{k: getattr(one, k)[layer : layer + 1] for k in ("attention", "scores", "values")})
        ),
    }


def _weight(document: dict) -> int:
    """Bytes of the long texts in it."""
    parts = [*document.values(), *(document.get("arithmetic") or {}).values()]
    return sum(len(part) for part in parts if isinstance(part, str))


def _document(one: Examination, attention: np.ndarray) -> dict:
    weights, most = quantised(attention)
    layers, _, tokens, _ = attention.shape
    return {
        "name": one.name,
        "prefix": list(one.prefix),
        "grid": list(one.grid),
        "readout": list(one.readout),
        "labels": list(one.labels),
        "layers": layers,
        "heads": one.heads,
        "tokens": tokens,
        "attention": _packed(weights),
        "most": most.tolist(),
        "film": [[round(float(v), 6) for v in frame.ravel()] for frame in one.film],
        "depth": [[round(float(p), 5) for p in row] for row in one.depth],
    }


def _arithmetic(one: Examination) -> dict:
    first = len(one.prefix)
    count = min(STRONGEST, one.attention.shape[-1] - first)
    strongest = first + np.argsort(-one.attention[..., first:], axis=-1, kind="stable")[..., :count]
    highest = one.scores.max(-1, keepdims=True)
    logsum = highest[..., 0] + np.log(np.exp(one.scores - highest).sum(-1))
    return {
        "count": count,
        "strongest": _packed(strongest.astype(np.uint16)),
        "scores": _packed(np.take_along_axis(one.scores, strongest, -1)),
        "logsum": _packed(logsum.astype(np.float32)),
        "values": _packed(one.values),
    }
