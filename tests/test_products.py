"""Rows that travel against whole matrices, for every family: each layer written out in NumPy, and all multiplied.

The references share nothing with the package but what was recorded. They place each entry by its own arithmetic: token
(y, x) of a grid w wide is number y w + x, behind the prefix.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import timm
import torch

from tests.families import body, every_family, pixels
from vitdemo.attention import HEAD_FUSIONS, Recorder, gradients_of, layout_of, relevance, rollout

WHOLE = "product of whole matrices in NumPy"
Weights = np.ndarray  # (heads, W, n, m) of one picture


def dense(weights: Weights, size: int, rows=None, columns=None) -> np.ndarray:
    """One window's (heads, n, m) put into (heads, size, size)."""
    rows = np.arange(size) if rows is None else np.asarray(rows)
    columns = np.arange(size) if columns is None else np.asarray(columns)
    placed = np.zeros((len(weights), size, size))
    placed[:, rows[:, None], columns[None]] = weights[:, 0]
    return placed


def swin_window(weights: Weights, h: int, w: int, side: int, shift: int) -> np.ndarray:
    """Entry (i, j) of window (a, b) belongs to the tokens that a roll by -shift brought there."""
    placed = np.zeros((len(weights), h * w, h * w))
    across = -(-w // side)
    for window in range(weights.shape[1]):
        a, b = divmod(window, across)
        tokens = []
        for inner in range(side * side):
            y, x = a * side + inner // side, b * side + inner % side
            tokens.append(((y + shift) % h) * w + (x + shift) % w if y < h and x < w else None)
        for i, row in enumerate(tokens):
            for j, column in enumerate(tokens):
                if row is not None and column is not None:
                    placed[:, row, column] += weights[:, window, i, j]
    return placed


def grid_window(weights: Weights, h: int, w: int, side: int) -> np.ndarray:
    """MaxViT's grid: token (p, q) of window (a, b) is (p h / side + a, q w / side + b)."""
    placed = np.zeros((len(weights), h * w, h * w))
    dy, dx = h // side, w // side
    for window in range(weights.shape[1]):
        a, b = divmod(window, dx)
        tokens = [(p * dy + a) * w + q * dx + b for p in range(side) for q in range(side)]
        placed[:, np.array(tokens)[:, None], np.array(tokens)[None]] = weights[:, window]
    return placed


def means(h: int, w: int, kernel: int, prefix: int = 0) -> np.ndarray:
    """Each second token is the mean of those under a kernel of 2 from it on, or of 3 around it."""
    rows = [np.eye(prefix + h * w)[p] for p in range(prefix)]
    low, high = (0, 1) if kernel == 2 else (-1, 1)
    for y in range(0, h, 2):
        for x in range(0, w, 2):
            row = np.zeros(prefix + h * w)
            for i in range(max(0, y + low), min(h - 1, y + high) + 1):
                for j in range(max(0, x + low), min(w - 1, x + high) + 1):
                    row[prefix + i * w + j] = 1
            rows.append(row / row.sum())
    return np.stack(rows)


# A layer is (heads, N, N) or (heads, N', N), which rows ask, and whether a skip connection runs beside it; a merge is
# a matrix alone.
Layer = tuple[np.ndarray, np.ndarray | None, bool]


def stack_of(count: int):
    def layers(matrices) -> Iterator[Layer]:
        for weights in matrices:
            yield dense(weights, count), None, True

    return layers


def vit_map_layers(matrices) -> Iterator[Layer]:
    for weights in matrices[:-1]:
        yield dense(weights, 16), None, True
    yield matrices[-1][:, 0], None, False


def parallel_layers(matrices) -> Iterator[Layer]:
    for first, second in zip(matrices[::2], matrices[1::2], strict=True):
        yield np.concatenate([dense(first, 17), dense(second, 17)]), None, True


def swin_layers(matrices) -> Iterator[Layer]:
    yield swin_window(matrices[0], 16, 16, 4, 0), None, True
    yield swin_window(matrices[1], 16, 16, 4, 2), None, True
    yield means(16, 16, 2)
    yield swin_window(matrices[2], 8, 8, 4, 0), None, True
    yield swin_window(matrices[3], 8, 8, 4, 2), None, True


def levit_layers(matrices) -> Iterator[Layer]:
    for index, weights in enumerate(matrices):
        yield weights[:, 0], None, index not in (2, 4)


def cait_layers(matrices) -> Iterator[Layer]:
    for weights in matrices[:2]:
        yield dense(weights, 17, range(1, 17), range(1, 17)), np.arange(17) > 0, True
    for weights in matrices[2:]:
        yield dense(weights, 17, [0]), np.arange(17) == 0, True


def convit_layers(matrices) -> Iterator[Layer]:
    for block, at in ((0, 0), (1, 2)):
        gate = torch.sigmoid(body("ConViT").blocks[block].attn.gating_param).numpy()[:, None, None, None]
        mixed = (1 - gate) * matrices[at] + gate * matrices[at + 1]
        yield dense(mixed, 17, range(1, 17), range(1, 17)), np.arange(17) > 0, True
    yield dense(matrices[4], 17), None, True


def crossvit_layers(matrices) -> Iterator[Layer]:
    fine, coarse = np.arange(101), np.arange(101, 151)
    for blocks, exchange in (((0, 1, 2), (3, 4)), ((5, 6), (7, 8))):
        for index in blocks:
            own = fine if matrices[index].shape[-1] == 101 else coarse
            yield dense(matrices[index], 151, own, own), np.isin(np.arange(151), own), True
        for index, asks, others in ((exchange[0], 0, coarse), (exchange[1], 101, fine)):
            keys = np.concatenate([[asks], others[1:]])
            yield dense(matrices[index], 151, [asks], keys), np.arange(151) == asks, True


def pit_layers(matrices) -> Iterator[Layer]:
    yield dense(matrices[0], 50), None, True
    yield means(7, 7, 3, prefix=1)
    yield dense(matrices[1], 17), None, True
    yield means(4, 4, 3, prefix=1)
    yield dense(matrices[2], 5), None, True


def tiny_vit_layers(matrices) -> Iterator[Layer]:
    for weights in matrices[:2]:
        yield swin_window(weights, 8, 8, 4, 0), None, True
    yield means(8, 8, 3)
    yield swin_window(matrices[2], 4, 4, 4, 0), None, True
    yield means(4, 4, 3)
    yield swin_window(matrices[3], 2, 2, 4, 0), None, True


def coatnet_layers(matrices) -> Iterator[Layer]:
    for weights in matrices[:2]:
        yield dense(weights, 16), None, True
    yield means(4, 4, 2)
    yield dense(matrices[2], 4), None, True


def maxvit_layers(matrices) -> Iterator[Layer]:
    for stage, side in enumerate((16, 8, 4, 2)):
        if stage:
            yield means(2 * side, 2 * side, 2)
        yield swin_window(matrices[2 * stage], side, side, 2, 0), None, True
        yield grid_window(matrices[2 * stage + 1], side, side, 2), None, True


# family: its layers, the rows that the head reads, the tokens before the patches, the grid of the map
CASES = {
    "ViT": (stack_of(17), [0], 1, (4, 4)),
    "DeiT": (stack_of(18), [0, 1], 2, (4, 4)),
    "DINOv2": (stack_of(21), [0], 5, (4, 4)),
    "DINOv3": (stack_of(21), range(5, 21), 5, (4, 4)),
    "EVA-02": (stack_of(17), range(1, 17), 1, (4, 4)),
    "BEiT": (stack_of(17), range(1, 17), 1, (4, 4)),
    "hybrid": (stack_of(257), [0], 1, (16, 16)),
    "NaFlexViT": (stack_of(20), range(4, 20), 4, (4, 4)),
    "ViT, relative positions": (stack_of(16), range(16), 0, (4, 4)),
    "ViT, attention-pooled": (vit_map_layers, [0], 0, (4, 4)),
    "ViT, parallel": (parallel_layers, [0], 1, (4, 4)),
    "Swin": (swin_layers, range(64), 0, (16, 16)),
    "LeViT": (levit_layers, [0], 0, (4, 4)),
    "CaiT": (cait_layers, [0], 1, (4, 4)),
    "ConViT": (convit_layers, [0], 1, (4, 4)),
    "CrossViT": (crossvit_layers, [0, 101], None, (10, 10)),
    "PiT": (pit_layers, [0], 1, (7, 7)),
    "TinyViT": (tiny_vit_layers, range(4), 0, (8, 8)),
    "CoAtNet": (coatnet_layers, range(4), 0, (4, 4)),
    "MaxViT": (maxvit_layers, range(4), 0, (16, 16)),
}


def to_map(row: np.ndarray, prefix: int | None, grid: tuple[int, int]) -> np.ndarray:
    if prefix is not None:
        return row[prefix:].reshape(grid)
    fine, coarse = row[1:101].reshape(10, 10), row[102:151].reshape(7, 7)  # CrossViT: both cover the picture
    repeated = np.repeat(np.repeat(coarse, 10, 0), 10, 1) / 100  # a grid of 70, of which 7 x 7 make a fine patch
    return fine + repeated.reshape(10, 7, 10, 7).sum((1, 3))


def of_one_picture(matrices, picture: int, count: int) -> list[Weights]:
    """(B W, heads, n, m) to (heads, W, n, m)."""
    each = [m.double().numpy().reshape(count, -1, *m.shape[1:])[picture] for m in matrices]
    return [one.transpose(1, 0, 2, 3) for one in each]


def product(layers, fuse, residual: float | None, readout) -> np.ndarray:
    """The row of the product of all layers; without a residual weight, Chefer's R ← R + Ā R, and R - I of it."""
    result = still = None
    for layer in layers:
        if isinstance(layer, np.ndarray):
            step = rest = layer
        else:
            heads, asks, skip = layer
            step = fuse(heads)
            asks = np.ones(len(step), bool) if asks is None else asks
            rest = np.eye(len(step)) if skip else np.zeros_like(step)
            if residual is None:
                step = step + rest
            else:
                step, rest = ((1 - residual) * step, residual * rest) if skip else (step, rest)
                norm = np.where(asks, (step + rest).sum(1), 1)[:, None]
                padded = np.abs(norm - 1) > 1e-3  # rows that lose something to padding keep their share
                norm = np.where(padded & (norm < 1), 1, norm)
                step, rest = (step + rest) / norm, rest / norm
            if not asks.all():
                step[~asks], rest[~asks] = np.eye(len(step))[~asks], np.eye(len(step))[~asks]
        result = step if result is None else step @ result
        still = rest if still is None else rest @ still
    return (result if residual is not None else result - still)[list(readout)].mean(0)


@pytest.mark.parametrize("family", CASES)
def test_rollout_is_the_row_of_the_whole_product(family, oracle):
    layers, readout, prefix, grid = CASES[family]
    layout = layout_of(body(family), (every_family()[family][2],) * 2)
    with torch.no_grad(), Recorder() as recorder:
        body(family)(pixels(family))
    for how, residual in (("mean", 0.5), ("mean", 0.2), ("max", 0.5)):
        if how == "max" and family == "TinyViT":  # its padded rows do not sum to 1, see `product`
            continue
        rolled = rollout(recorder.matrices, layout, residual, head_fusion=how)
        fuse = {"mean": lambda heads: heads.mean(0), "max": lambda heads: heads.max(0)}[how]
        for picture in range(2):
            row = product(layers(of_one_picture(recorder.matrices, picture, 2)), fuse, residual, readout)
            expected = to_map(row, prefix, grid)
            oracle(
                "Attention rollout", f"{WHOLE}, {len(CASES)} families", rolled[picture], expected, rtol=1e-4, atol=1e-6
            )


@pytest.mark.parametrize("family", CASES)
def test_relevance_is_the_row_of_the_whole_matrix(family, oracle):
    layers, readout, prefix, grid = CASES[family]
    layout = layout_of(body(family), (every_family()[family][2],) * 2)
    matrices, gradients = gradients_of(lambda: body(family)(pixels(family))[:, 1].sum())
    result = relevance(matrices, gradients, layout).double().numpy()
    if family == "ConViT":  # the gradient of the mixed attention, by which both matrices' gradients were made
        gates = [torch.sigmoid(body(family).blocks[block].attn.gating_param).view(-1, 1, 1) for block in (0, 1)]
        mixed = [(1 - g) * matrices[2 * i] + g * matrices[2 * i + 1] for i, g in enumerate(gates)]
        slopes = [gradients[2 * i] / (1 - g) for i, g in enumerate(gates)]
        for i, (attention, slope) in enumerate(zip(mixed, slopes, strict=True)):
            matrices[2 * i : 2 * i + 2] = [attention * slope] * 2  # the gate of the two alike changes nothing
            gradients[2 * i : 2 * i + 2] = [torch.ones_like(slope)] * 2
    products = [matrix * gradient for matrix, gradient in zip(matrices, gradients, strict=True)]
    for picture in range(2):
        row = product(
            layers(of_one_picture(products, picture, 2)), lambda heads: np.maximum(heads, 0).mean(0), None, readout
        )
        expected = to_map(row, prefix, grid)
        atol = 1e-4 * expected.max()
        oracle("Relevance", f"{WHOLE}, {len(CASES)} families", result[picture], expected, rtol=2e-3, atol=atol)


def test_wide_pictures_keep_their_shape(oracle):
    """Windows of Swin on a grid of 6 x 10, which they do not fit."""
    arguments = {"img_size": (12, 20), "patch_size": 2, "window_size": 4, "embed_dim": 16, "depths": (2,)}
    torch.manual_seed(0)
    model = timm.create_model("swin_tiny_patch4_window7_224", num_classes=3, num_heads=(2,), **arguments).eval()
    layout = layout_of(model, (12, 20))
    with torch.no_grad(), Recorder(HEAD_FUSIONS["mean"]) as recorder:
        model(torch.randn(1, 3, 12, 20))
    rolled = rollout(recorder.matrices, layout, residual=0.0)[0]
    whole = np.eye(60)
    for matrix, shift in zip(recorder.matrices, (0, 2), strict=True):
        whole = swin_window(matrix.double().numpy()[None], 6, 10, 4, shift)[0] @ whole
    assert rolled.shape == (6, 10)
    oracle("Attention rollout", f"{WHOLE}, windows that do not fit", rolled, whole.mean(0).reshape(6, 10), rtol=1e-4)
