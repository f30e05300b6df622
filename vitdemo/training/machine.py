"""What this machine computes fastest in, found by asking it once.

bf16 halves a training on processors that multiply in it (AVX512-BF16, AMX), and makes it several times slower on those
that have to imitate it: the same ViT-S/14 took 115 ms in fp32 and 870 ms in bf16 on one with AVX2 alone.
"""

from __future__ import annotations

import time
from functools import cache
from statistics import median

import torch
from torch import nn

ROUNDS = 5
WORTH = 0.8  # bf16 has to take at most this share of fp32's time: it rounds, so a tie is no reason


@cache
def precision(device: str) -> torch.dtype:
    """torch.bfloat16 where this kind of device ("cpu", "cuda", ...) computes faster in it, torch.float32 elsewhere.

    On a CPU it is measured, in a few hundredths of a second; a GPU says itself whether it has bf16.
    """
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device != "cpu":
        return torch.float32
    full, half = (seconds(precision) for precision in (torch.float32, torch.bfloat16))
    return torch.bfloat16 if half < WORTH * full else torch.float32


def seconds(precision: torch.dtype) -> float:
    """Seconds that a transformer's MLP takes forward and backward on the CPU: 1,024 tokens, width 384."""
    with torch.random.fork_rng(devices=[]):
        mlp = nn.Sequential(nn.Linear(384, 1536), nn.GELU(), nn.Linear(1536, 384))
        tokens = torch.randn(1024, 384)
    spent = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
            made = mlp(tokens).float().square().mean()
        made.backward()
        spent.append(time.perf_counter() - began)
    return median(spent[1:])  # the first pass prepares what the others use
