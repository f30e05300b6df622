"""A layer as a transition: which of its input tokens each output token is made of.

Every layer of a transformer is a matrix T (tokens after it, tokens before it) whose rows sum to 1, and a row r that
speaks of the tokens after the layer becomes r T, which speaks of those before it. T is never written out: windows,
merged patches and second branches are index maps, and the row costs as many numbers as there are tokens.

Index maps are NumPy arrays of token numbers, -1 where a window sticks out over the edge (what such padding gets is
lost, as it holds no part of the picture).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch


@dataclass(frozen=True)
class Plane:
    """Tokens that lie in rows and columns over the picture."""

    first: int  # number of the token at the top left
    grid: tuple[int, int]  # (h, w)
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)  # left, top, right, bottom, as shares of the input

    @property
    def tokens(self) -> range:
        return range(self.first, self.first + self.grid[0] * self.grid[1])


@dataclass(frozen=True, eq=False)
class Attend:
    """Attention in W windows of n queries and m keys. Tokens that ask nothing stay as they are."""

    queries: np.ndarray  # (W, n) numbers of tokens after the layer
    keys: np.ndarray  # (W, m) numbers of tokens before the layer
    outputs: int  # tokens after the layer
    inputs: int  # tokens before the layer
    residual: bool = True  # whether a skip connection runs beside it
    parallel: int = 1  # attentions side by side on the same tokens: their heads count as the heads of one
    gate: torch.Tensor | None = None  # (heads,) share of a second, positional matrix in the attention: two are recorded
    spared: tuple[int, ...] = ()  # tokens whose rows, and columns, no discarding may touch
    asked: Plane | None = None  # where the queries lie
    seen: Plane | None = None  # where the keys lie

    @property
    def matrices(self) -> int:
        """How many matrices a forward pass records for it."""
        return self.parallel * (1 if self.gate is None else 2)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(W, n, m)."""
        return *self.queries.shape, self.keys.shape[1]

    @cached_property
    def idle(self) -> np.ndarray:
        """The tokens that ask nothing."""
        return np.setdiff1d(np.arange(self.outputs), self.queries)

    def carry(self, row: torch.Tensor, attention: torch.Tensor, kept: torch.Tensor | float | None) -> torch.Tensor:
        """The row before the layer: what queries take from keys, and what they keep.

        Args:
            row: (B, outputs).
            attention: (B, W, n, m) what each query takes from each key.
            kept: (B, W, n) what each query keeps of itself through the skip connection; None for nothing.

        Returns:
            (B, inputs).
        """
        return self.take(row, attention) + self.keep(row, kept)

    def take(self, row: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        """(B, inputs) of what comes by attention."""
        taken = (self._asking(row).unsqueeze(-2) @ attention).flatten(1)  # (B, W m)
        before = row.new_zeros(len(row), self.inputs + 1)  # the last is a place for padding
        return before.index_add(1, self._index(self.keys, self.inputs, row), taken)[:, : self.inputs]

    def keep(self, row: torch.Tensor, kept: torch.Tensor | float | None) -> torch.Tensor:
        """(B, inputs) of what stays at its token: through skip connections, and at tokens that ask nothing."""
        before = row.new_zeros(len(row), self.inputs + 1)
        if kept is not None:
            stays = (self._asking(row) * kept).flatten(1)
            before = before.index_add(1, self._index(self.queries, self.inputs, row), stays)
        if len(self.idle):
            idle = torch.as_tensor(self.idle, device=row.device)
            before = before.index_add(1, idle, row[:, idle])
        return before[:, : self.inputs]

    def _asking(self, row: torch.Tensor) -> torch.Tensor:
        """(B, W, n): the part of the row that each query has; 0 at padding."""
        padded = torch.cat([row, row.new_zeros(len(row), 1)], 1)
        return padded[:, self._index(self.queries, self.outputs, row)].unflatten(1, self.queries.shape)

    def _index(self, tokens: np.ndarray, padding: int, like: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(np.where(tokens < 0, padding, tokens).ravel(), device=like.device)


@dataclass(frozen=True, eq=False)
class Merge:
    """Each token after it is the mean of some before it."""

    sources: np.ndarray  # (outputs, k) numbers of tokens before it, -1 for none
    inputs: int

    @property
    def outputs(self) -> int:
        return len(self.sources)

    def carry(self, row: torch.Tensor) -> torch.Tensor:
        """(B, outputs) to (B, inputs)."""
        there = self.sources >= 0
        share = torch.as_tensor(there / there.sum(1, keepdims=True), device=row.device, dtype=row.dtype)
        index = torch.as_tensor(np.where(there, self.sources, self.inputs).ravel(), device=row.device)
        before = row.new_zeros(len(row), self.inputs + 1).index_add(1, index, (row.unsqueeze(-1) * share).flatten(1))
        return before[:, : self.inputs]


Step = Attend | Merge


# -- index maps ----------------------------------------------------------------------------------------------


def numbers(grid: tuple[int, int], first: int = 0) -> np.ndarray:
    """(h, w) token numbers, row by row."""
    return np.arange(first, first + grid[0] * grid[1]).reshape(grid)


def windows(grid: tuple[int, int], size: tuple[int, int], shift: tuple[int, int] = (0, 0)) -> np.ndarray:
    """(W, n) tokens of the windows of Swin (Liu et al. 2021, section 3.2): rolled by `shift`, padded, cut up."""
    rolled = np.roll(numbers(grid), (-shift[0], -shift[1]), (0, 1))
    return tiles(
        np.pad(rolled, [(0, -side % one) for side, one in zip(grid, size, strict=True)], constant_values=-1), size
    )


def tiles(tokens: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(W, n): an (h, w) array cut into tiles of `size`, tiles and the tokens in them row by row."""
    h, w = tokens.shape
    cut = tokens.reshape(h // size[0], size[0], w // size[1], size[1])
    return cut.transpose(0, 2, 1, 3).reshape(-1, size[0] * size[1])


def strides(grid: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """(W, n) tokens of the grid attention of MaxViT (Tu et al. 2022, section 3.1): `size` tokens spread evenly."""
    apart = (grid[0] // size[0], grid[1] // size[1])
    spread = numbers(grid).reshape(size[0], apart[0], size[1], apart[1])
    return spread.transpose(1, 3, 0, 2).reshape(-1, size[0] * size[1])


def halved(grid: tuple[int, int]) -> tuple[int, int]:
    """The grid after a stride of 2, rounded up."""
    return -(-grid[0] // 2), -(-grid[1] // 2)


def merge(grid: tuple[int, int], kernel: int = 2, prefix: int = 0) -> Merge:
    """Halves a grid behind `prefix` tokens that stay: the mean of 2 x 2 tokens, or of the 3 x 3 around each second."""
    offsets = range(2) if kernel == 2 else range(-1, 2)
    padded = np.pad(numbers(grid, prefix), 2, constant_values=-1)
    h, w = halved(grid)
    patches = np.stack(
        [padded[2 + i : 2 + i + 2 * h : 2, 2 + j : 2 + j + 2 * w : 2].ravel() for i in offsets for j in offsets], 1
    )
    stay = np.full((prefix, kernel * kernel), -1)
    stay[:, :1] = np.arange(prefix)[:, None]
    return Merge(np.concatenate([stay, patches]), prefix + grid[0] * grid[1])


def overlap(source: Plane, target: Plane) -> np.ndarray:
    """(source tokens, target tokens) the share of each source token's area that lies in each target token; rows sum to
    1 where the target covers the source."""
    return np.kron(
        _overlap(source.grid[0], source.box[1::2], target.grid[0], target.box[1::2]),
        _overlap(source.grid[1], source.box[0::2], target.grid[1], target.box[0::2]),
    )


def _overlap(count: int, span: tuple[float, float], others: int, other: tuple[float, float]) -> np.ndarray:
    edges, marks = np.linspace(*span, count + 1), np.linspace(*other, others + 1)
    common = np.minimum(edges[1:, None], marks[1:]) - np.maximum(edges[:-1, None], marks[:-1])
    return common.clip(0) / (edges[1] - edges[0])
