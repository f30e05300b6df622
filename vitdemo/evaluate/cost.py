"""What a prediction costs: multiply-adds, which are counted, and milliseconds, which are measured.

Both are of the forward pass alone, from pixels at the backbone's own input size to logits, without reading, decoding
or resizing the picture.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median

import torch

from vitdemo.models import Model

BATCHES = (1, 32)
ROUNDS = 9


def input_of(model: Model, count: int = 1) -> torch.Tensor:
    """(count, 3, h, w) of noise in 0..1 on the model's device, the same on every call."""
    noise = torch.rand(count, *model.transform["input_size"], generator=torch.Generator().manual_seed(0))
    return noise.to(model.device)


def multiply_adds(network: Callable[[torch.Tensor], torch.Tensor], pixels: torch.Tensor) -> int:
    """Multiply-adds of one forward pass.

    Half of the floating-point operations that torch counts in matrix products, convolutions and attention, fused or
    not; normalisation, activation and pooling are not counted, as is usual (He et al., 2015, table 1).

    Args:
        network: of the pixels (B, 3, h, w); the count is for all B pictures.
        pixels: in 0..1.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    # fused attention on the CPU is an operation that some versions of torch count and others pass over; its two matrix
    # products by themselves are counted by all
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(pixels)
    return counter.get_total_flops() // 2


def milliseconds(models: Sequence[Model], batches: Sequence[int] = BATCHES, rounds: int = ROUNDS) -> list[list[float]]:
    """Milliseconds per picture of each model at each size of batch: the median of several rounds.

    The models take turns in every round, so that whatever else the machine does slows all of them alike.
    """
    spent = [[[] for _ in batches] for _ in models]
    with torch.inference_mode():
        for position, batch in enumerate(batches):
            inputs = [input_of(model, batch) for model in models]
            for turn in range(rounds + 1):
                for index, (model, pixels) in enumerate(zip(models, inputs, strict=True)):
                    seconds = _timed(lambda model=model, pixels=pixels: model.network(pixels), model.device)
                    if turn:  # the first pass of a model is slower than all others
                        spent[index][position].append(1000 * seconds / batch)
    return [[median(each) for each in one] for one in spent]


def timed(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Milliseconds that some work on the CPU takes: the median of several rounds after a first one."""
    return 1000 * median([_timed(work, torch.device("cpu")) for _ in range(rounds + 1)][1:])


def _timed(work: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    """A GPU answers before it is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
