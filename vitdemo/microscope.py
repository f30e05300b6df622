"""One forward pass of one transformer under the microscope: every layer and head, and the arithmetic behind a weight.

Letters in shapes: L layers, H heads, K classes, (h, w) patches; a layer attends in W windows of n queries and m keys,
which are tokens by the index maps of its `Attend` step: prefix tokens first, then patches row by row. In a plain
transformer there is one window, of all N tokens. In a pyramid the grid of the patches, the windows and the number of
heads differ from layer to layer.

A page shows all of this without asking again, so `pack` makes one small document of it: numbers a person reads in JSON,
the attention in 8 bits per weight, compressed.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from vitdemo.attention import Layout, Recorder, layout_of, rollout
from vitdemo.attention.transitions import Attend, Plane
from vitdemo.errors import NotOfferedError, VitdemoError
from vitdemo.models import Model
from vitdemo.types import NotOffered, View

LEVELS = 255  # of an 8-bit weight
STRONGEST = 5  # patches whose arithmetic is shown
LARGEST = 3_000_000  # bytes of a document that a page is sent


@dataclass(frozen=True, eq=False)
class Layer:
    """What one layer did. Arrays are float32."""

    step: Attend  # which tokens the windows hold
    attention: np.ndarray  # (H, W, n, m) rows sum to 1, with what goes to padding at the edge of a window
    scores: np.ndarray  # (H, W, n, m) q·k/√d, with position bias and mask where there are such, before the softmax
    values: np.ndarray | None  # (H, W, m) length of each token's value vector; None where heads are mixed before it

    @property
    def heads(self) -> int:
        return len(self.attention)

    def place(self, token: int) -> tuple[int, int] | None:
        """The window and the place in it where a token asks; None if it asks nothing in this layer."""
        found = np.argwhere(self.step.queries == token)
        return (int(found[0, 0]), int(found[0, 1])) if len(found) else None

    def dense(self) -> np.ndarray:
        """(H, tokens after, tokens before): the windows put back where they lie, 0 outside of them."""
        step = self.step
        whole = np.zeros((self.heads, step.outputs + 1, step.inputs + 1), np.float32)  # padding, -1, goes to the end
        whole[:, step.queries[:, :, None], step.keys[:, None, :]] = self.attention
        return whole[:, :-1, :-1]


@dataclass(frozen=True, eq=False)
class Examination:
    """What one backbone did with one picture, layer by layer. Arrays are float32."""

    name: str  # of the backbone
    seen: Image.Image  # what the backbone saw: cropped and resized by its own transform
    view: View  # where that lies in the picture
    prefix: tuple[str, ...]  # names of the tokens that are no patch, such as "class"
    grid: tuple[int, int]  # (h, w) before the first layer: the finest
    readout: tuple[int, ...]  # the tokens after the last layer that the head reads
    note: str  # what rollout takes for granted
    layers: tuple[Layer, ...]  # L
    film: np.ndarray  # (L, h, w) rollout through the layers 1 to l, of what the head reads
    labels: tuple[str, ...]  # K
    depth: np.ndarray | None  # (L, K) probabilities, had the network ended behind layer l; None where it cannot


class Probe(Recorder):
    """A recorder that keeps the scores before the softmax and the lengths of the values as well."""

    def __init__(self):
        super().__init__()
        self.scores: list[torch.Tensor] = []  # each (B W, H, n, m)
        self.values: list[torch.Tensor | None] = []  # each (B W, H, m)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in _PRODUCTS and self.values and self.values[-1] is None and _weighs(self.matrices[-1], *args[:2]):
            self.values[-1] = args[1].norm(dim=-1)
        return super().__torch_function__(func, types, args, kwargs)

    def _see(self, scores: torch.Tensor, value: torch.Tensor | None) -> None:
        self.scores.append(scores)
        self.values.append(None if value is None else value.norm(dim=-1))


_PRODUCTS = {torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__}


def _weighs(attention: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether a product is attention times values: its left side is that very matrix (dropout that does nothing hands
    it on), and its right side has a vector for each key."""
    same = left.data_ptr() == attention.data_ptr() and left.shape == attention.shape
    return same and left.stride() == attention.stride() and right.shape[:-1] == left.shape[:2] + left.shape[3:]


def examine(model: Model, picture: Image.Image) -> Examination:
    """Looks at every layer and head of one backbone: two forward passes at most.

    Args:
        model: a loaded transformer whose tokens lie on one grid over the picture.
        picture: upright RGB.

    Raises:
        NotOfferedError: the backbone has no such attention; the message says why and what can be done instead.
    """
    layout = _layout(model)
    pixels = model.pixels([picture])
    layers = _layers(model, layout, pixels)
    means = [torch.from_numpy(layer.attention.mean(0)) for layer in layers]  # each (W, n, m)
    film = [rollout(means[:count], layout.first(count))[0].numpy() for count in range(1, len(layers) + 1)]
    return Examination(
        name=model.backbone.name,
        seen=_picture(pixels[0]),
        view=model.view(picture),
        prefix=prefix_names(layout.prefix, len(layout.readout) == 2),
        grid=layout.grid,
        readout=layout.readout,
        note=layout.note,
        layers=layers,
        film=np.stack(film),
        labels=model.labels,
        depth=depth_of(model, pixels) if layout.plain else None,
    )


def look(model: Model, picture: Image.Image) -> tuple[Layer, ...]:
    """Every layer alone, for those who need neither film nor depth: one forward pass. Arguments as for `examine`."""
    return _layers(model, _layout(model), model.pixels([picture]))


def offered(model: Model) -> Layout | NotOffered:
    """Where the tokens lie, or why this backbone cannot be examined."""
    layout = layout_of(model.network.body, tuple(model.transform["input_size"][-2:]))
    if isinstance(layout, NotOffered):
        return layout
    if len(layout.planes) > 1:
        return NotOffered("it sees the picture in two grids at once, so a place in it has no one token")
    if layout.whole:
        return NotOffered("it mixes attention by content with attention by position, so a share has no one score")
    if any(step.matrices > 1 for step in layout.attentions):
        return NotOffered("several attentions run side by side in its layers, so its heads have no common numbers")
    if any(step.asked is None and not step.residual for step in layout.attentions):
        return NotOffered("its patches are read by a query of its own in the end, which is no token")
    return layout


def _layout(model: Model) -> Layout:
    layout = offered(model)
    if isinstance(layout, NotOffered):
        raise NotOfferedError(f"{model.backbone.name} cannot be examined token by token: {layout.reason}.")
    return layout


def _layers(model: Model, layout: Layout, pixels: torch.Tensor) -> tuple[Layer, ...]:
    with torch.inference_mode(), Probe() as probe:
        model.network(pixels.to(model.device))
    shapes = [(len(matrix), *matrix.shape[2:]) for matrix in probe.matrices]
    if shapes != [step.shape for step in layout.attentions] or len(probe.scores) != len(shapes):
        raise NotOfferedError(
            f"{model.backbone.name} computes its attention in a way that is not seen layer by layer; "
            "integrated gradients and occlusion still work."
        )
    recorded = zip(layout.attentions, probe.matrices, probe.scores, probe.values, strict=True)
    return tuple(Layer(step, *(_by_head(each) for each in tensors)) for step, *tensors in recorded)


def _by_head(tensor: torch.Tensor | None) -> np.ndarray | None:
    """(W, H, …), as recorded of one picture, to (H, W, …)."""
    return None if tensor is None else np.ascontiguousarray(tensor.float().cpu().numpy().swapaxes(0, 1))


def prefix_names(count: int, distilled: bool = False) -> tuple[str, ...]:
    """What the tokens before the patches are called: the class token, a distillation token, registers."""
    if count and distilled:
        return ("class", "distillation", *(f"register {i}" for i in range(1, count - 1)))
    return ("class", *(f"register {i}" for i in range(1, count)))[:count]


def _picture(pixels: torch.Tensor) -> Image.Image:
    return Image.fromarray((pixels * 255).round().byte().permute(1, 2, 0).cpu().numpy())


def depth_of(model: Model, pixels: torch.Tensor) -> np.ndarray:
    """(L, K): what the head would say of the tokens behind each layer of a plain stack, through the final norm.

    The "logit lens" (nostalgebraist, 2020; for vision transformers Vilas et al., 2023, arXiv 2310.18969). The head was
    trained for the last layer alone, so early rows say what is there already *in the last layer's language*. In a
    pyramid the layers have other widths than the last, which the head cannot read.

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
    value: float | None  # length of the value vector, where it is seen
    product: float | None  # weight times length


def row_of(layers: Sequence[Layer], layer: int, head: int | None, query: int) -> np.ndarray:
    """(tokens before the layer,): the share that a token takes from each; 0 outside its window.

    Args:
        layer, query: counted from 0; tokens as that layer numbers them.
        head: counted from 0; None for the mean of all.

    Raises:
        VitdemoError: there is no such layer, head or token, or the token asks nothing in that layer.
    """
    one, window, place = _asking(layers, layer, head or 0, query)
    weights = one.attention[:, window, place].mean(0) if head is None else one.attention[head, window, place]
    row = np.zeros(one.step.inputs + 1, np.float32)
    row[one.step.keys[window]] = weights
    return row[:-1]


def arithmetic(layers: Sequence[Layer], layer: int, head: int, query: int, count: int = STRONGEST) -> list[Term]:
    """The patches to which a token attends most, strongest first, with the numbers that lead there.

    Args:
        layer, head, query: counted from 0; tokens as that layer numbers them.

    Raises:
        VitdemoError: as for `row_of`.
    """
    one, window, place = _asking(layers, layer, head, query)
    keys, weights = one.step.keys[window], one.attention[head, window, place]
    lengths = None if one.values is None else one.values[head, window]
    order = [j for j in _ranked(one)[head, window, place] if keys[j] in one.step.seen.tokens]
    return [
        Term(
            int(keys[j]),
            float(one.scores[head, window, place, j]),
            float(weights[j]),
            None if lengths is None else float(lengths[j]),
            None if lengths is None else float(weights[j] * lengths[j]),
        )
        for j in order[:count]
    ]


def _asking(layers: Sequence[Layer], layer: int, head: int, query: int) -> tuple[Layer, int, int]:
    """The layer, and the window and place where the token asks."""
    _within("layer", layer, len(layers))
    one = layers[layer]
    _within("head", head, one.heads)
    _within("token", query, one.step.outputs)
    if (place := one.place(query)) is None:
        asking = one.step.queries[one.step.queries >= 0]
        raise VitdemoError(f"token {query} asks nothing in layer {layer}; allowed: {asking.min()} to {asking.max()}.")
    return one, *place


def _within(name: str, index: int, size: int) -> None:
    if not 0 <= index < size:
        raise VitdemoError(f"{name} is {index}; allowed: 0 to {size - 1}.")


def _ranked(one: Layer) -> np.ndarray:
    """(H, W, n, m) places of the keys in each window, the patch with the largest share first, what is no patch last."""
    patches = np.isin(one.step.keys, one.step.seen.tokens)  # (W, m)
    return np.argsort(-np.where(patches[:, None], one.attention, -1), axis=-1, kind="stable")


# -- one small document ------------------------------------------------------------------------------------------


def quantised(attention: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights in 8 bits: round(255 · A / max A), with one maximum for each head.

    Args:
        attention: (H, …) not negative.

    Returns:
        (H, …) uint8, and the maxima (H,) float32. An error is at most max / 510.
    """
    most = attention.max(tuple(range(1, attention.ndim)), keepdims=True)
    scaled = LEVELS * attention / np.where(most > 0, most, 1)
    return np.rint(scaled).astype(np.uint8), most.ravel().astype(np.float32)


def _packed(array: np.ndarray) -> str:
    """An array as base64 of its deflated little-endian bytes: what a browser's DecompressionStream reads."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(zlib.compress(np.ascontiguousarray(little).tobytes(), 6)).decode("ascii")


def unpacked(text: str, kind: str, shape: Sequence[int]) -> np.ndarray:
    """The other way round."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.dtype(kind).newbyteorder("<")).reshape(shape)


def pack(one: Examination, largest: int = LARGEST) -> dict:
    """The examination as one JSON document of at most `largest` bytes.

    Keys: `name`, `prefix`, `grid`, `readout`, `labels`, `note`, `tokens`; `view`, the box that the backbone saw as
    shares of the picture; `film` [L][patches] and `depth` [L][K] or None; and

    - `steps`: each kind of step once, with `windows`, `queries`, `keys` (W, n, m), `outputs`, `inputs`, the planes
      `asked` and `seen` as [first token, rows, columns] or None, and `maps`: the `queries` (W, n) and `keys` (W, m)
      uint16, 65535 for padding, or None where one window holds all tokens in their order;
    - `layers`: for each the number of its `step`, its `heads`, how many of the `strongest` patches are listed, and
      whether the lengths of the values are known (`valued`);
    - `attention`: (H, W, n, m) uint8 of all layers, one after the other, and `most` [L][H] with
      weight = byte / 255 · most;
    - `arithmetic`: one after the other, for each layer the places in the window of the `strongest` patches
      (H, W, n, strongest) uint16, their `scores` float32, the rows' `logsum` (H, W, n) float32 with
      weight = exp(score − logsum), and `values` (H, W, m) float32 where they are known.

    Arrays are base64 of deflated bytes. `sent` says what of the attention is there: "heads"; where that is too large
    "means", over heads (1, W, n, m); where that is too large as well "nothing". Then `arithmetic` is None, as it is
    where heads alone fit; `pack_layer` gives both for one layer.
    """
    heads = [layer.attention for layer in one.layers]
    bare = _document(one) | _weights(heads) | {"sent": "heads", "arithmetic": None}
    if _fits(bare, largest):
        whole = bare | {"arithmetic": _arithmetic(one.layers)}
        return whole if _fits(whole, largest) else bare
    means = bare | _weights([each.mean(0, keepdims=True) for each in heads]) | {"sent": "means"}
    return means if _fits(means, largest) else means | _weights([]) | {"sent": "nothing"}


def pack_layer(layer: Layer, number: int) -> dict:
    """The heads of one layer: its number as `layer`, `attention`, `most` [H] and `arithmetic`, as in `pack`."""
    weights = _weights([layer.attention])
    return {"layer": number} | weights | {"most": weights["most"][0], "arithmetic": _arithmetic([layer])}


def _fits(document: dict, largest: int) -> bool:
    return len(json.dumps(document)) <= largest


def _document(one: Examination) -> dict:
    """All but the attention."""
    (left, top, right, bottom), (width, height) = one.view.box, one.view.picture
    kinds = {_kind(layer.step): layer.step for layer in one.layers}
    return {
        "name": one.name,
        "prefix": list(one.prefix),
        "grid": list(one.grid),
        "readout": list(one.readout),
        "labels": list(one.labels),
        "note": one.note,
        "tokens": len(one.prefix) + one.grid[0] * one.grid[1],
        "view": [left / width, top / height, right / width, bottom / height],
        "steps": [_step(step) for step in kinds.values()],
        "layers": [
            {
                "step": list(kinds).index(_kind(layer.step)),
                "heads": layer.heads,
                "strongest": _listed(layer.step),
                "valued": layer.values is not None,
            }
            for layer in one.layers
        ],
        "film": [[round(float(v), 6) for v in frame.ravel()] for frame in one.film],
        "depth": None if one.depth is None else [[round(float(p), 5) for p in row] for row in one.depth],
    }


def _kind(step: Attend) -> tuple:
    """What tells one kind of step from another."""
    return step.shape, step.queries.tobytes(), step.keys.tobytes(), step.outputs, step.inputs, step.asked, step.seen


def _step(step: Attend) -> dict:
    windows, queries, keys = step.shape
    everything = np.arange(step.outputs)[None], np.arange(step.inputs)[None]
    plain = all(np.array_equal(*pair) for pair in zip((step.queries, step.keys), everything, strict=True))
    maps = {"queries": _packed(step.queries.astype(np.uint16)), "keys": _packed(step.keys.astype(np.uint16))}
    return {
        "windows": windows,
        "queries": queries,
        "keys": keys,
        "outputs": step.outputs,
        "inputs": step.inputs,
        "asked": _plane(step.asked),
        "seen": _plane(step.seen),
        "maps": None if plain else maps,
    }


def _plane(plane: Plane | None) -> list[int] | None:
    return None if plane is None else [plane.first, *plane.grid]


def _listed(step: Attend) -> int:
    """How many of the strongest patches are listed: no more than a window has."""
    return min(STRONGEST, int(np.isin(step.keys, step.seen.tokens).sum(1).max()))


def _weights(attention: Sequence[np.ndarray]) -> dict:
    parts = [quantised(each) for each in attention]
    flat = [weights.ravel() for weights, _ in parts]
    return {
        "attention": _packed(np.concatenate([np.empty(0, np.uint8), *flat])),
        "most": [m.tolist() for _, m in parts],
    }


def _arithmetic(layers: Sequence[Layer]) -> dict:
    parts: dict[str, list[np.ndarray]] = {"strongest": [], "scores": [], "logsum": [], "values": []}
    for layer in layers:
        strongest = _ranked(layer)[..., : _listed(layer.step)]
        highest = layer.scores.max(-1, keepdims=True)
        parts["strongest"].append(strongest.astype(np.uint16))
        parts["scores"].append(np.take_along_axis(layer.scores, strongest, -1))
        parts["logsum"].append(highest[..., 0] + np.log(np.exp(layer.scores - highest).sum(-1)))
        if layer.values is not None:
            parts["values"].append(layer.values)
    return {
        name: _packed(np.concatenate([np.empty(0, each[0].dtype if each else np.float32), *(a.ravel() for a in each)]))
        for name, each in parts.items()
    }
