"""Records the attention matrices of a forward pass without touching the model.

timm computes attention by `torch.nn.functional.scaled_dot_product_attention`, which never shows its matrix, or by
`softmax`. A `TorchFunctionMode` sees both calls in the one thread where it is in force: no hooks, no flags, nothing
left behind when the `with` block ends, in whatever way it ends.

What is kept is decided while recording. Fusing the heads at once leaves one (B, N, N) matrix per layer.
"""

from collections.abc import Callable

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from vitdemo.errors import NotOfferedError

HEAD_FUSIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "mean": lambda attention: attention.mean(1),
    "max": lambda attention: attention.amax(1),
    "min": lambda attention: attention.amin(1),
}


class Recorder(TorchFunctionMode):
    """Keeps the attention of every layer in `matrices`, first layer first.

    Args:
        keep: what to keep of each matrix (B, heads, N, M), whose rows sum to 1; None keeps it whole.
        graph: whether gradients with respect to the matrices are wanted. Those that do not depend on an earlier one
            become leaves of the graph, so that neither parameters nor pixels need gradients.
    """

    def __init__(self, keep: Callable[[torch.Tensor], torch.Tensor] | None = None, graph: bool = False):
        super().__init__()
        self.keep = keep
        self.graph = graph
        self.matrices: list[torch.Tensor] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._attend(*args, **kwargs)
        result = func(*args, **kwargs)
        if func in _SOFTMAX and _is_attention(result, args, kwargs):
            self._see(args[0] if args else kwargs["input"], None)
            return self._record(result)
        return result

    def _attend(self, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
        """What the fused function computes (formula in its documentation), with the matrix in between."""
        if is_causal or enable_gqa:
            raise NotOfferedError("This backbone uses causal or grouped attention, which is not recorded here.")
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill_(~attn_mask, float("-inf"))
        scores = (query * scale) @ key.transpose(-2, -1)
        scores = scores if attn_mask is None else scores + attn_mask
        self._see(scores, value)
        attention = torch.softmax(scores, dim=-1)
        return F.dropout(self._record(attention), dropout_p) @ value

    def _see(self, scores: torch.Tensor, value: torch.Tensor | None) -> None:
        """For a recorder that keeps more than matrices: scores before the softmax (B, heads, N, M), and the values,
        None where the softmax is called alone."""

    def _record(self, attention: torch.Tensor) -> torch.Tensor:
        """Keeps what is wanted of a matrix, and returns the one with which the model goes on."""
        if self.graph and not attention.requires_grad:
            attention = attention.detach().requires_grad_()
        self.matrices.append(self.keep(attention) if self.keep else attention)
        return attention


_SOFTMAX = {torch.softmax, torch.Tensor.softmax, F.softmax}


def _is_attention(result: torch.Tensor, args: tuple, kwargs: dict) -> bool:
    """A softmax over the last of at least four axes: (B, heads, N, M). A class head's softmax has two."""
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return result.dim() >= 4 and dim in (-1, result.dim() - 1)
