"""A stand-in for the module `spaces` of ZeroGPU that enforces the platform's rules, for tests on any machine.

A decorated call runs in a forked process, once, and that process ends with it. What goes in and what comes out is
pickled; a tensor or device that is not the CPU's is refused. Of an error only its class comes back. Torch may not be
there before this module is, if `SPACES_STRICT` is set. `forbid` makes every question to CUDA outside of a call fail.

Written after `spaces` 0.51: `zero/decorator.py`, `zero/wrappers.py`.
"""

import functools
import inspect
import io
import multiprocessing
import os
import pickle
import sys

if os.environ.get("SPACES_STRICT") and "torch" in sys.modules:
    raise RuntimeError("torch was imported before the `spaces` package")

FORKS = multiprocessing.get_context("fork")
ASKED = (
    "init",
    "_lazy_init",
    "is_available",
    "device_count",
    "current_device",
    "get_device_properties",
    "mem_get_info",
    "is_bf16_supported",
    "synchronize",
    "empty_cache",
)
entries: list[str] = []  # what was called, in order


class Pickler(pickle.Pickler):
    """Refuses what belongs to an accelerator."""

    def reducer_override(self, thing):
        import torch

        device = thing.device if isinstance(thing, torch.Tensor) else thing
        if isinstance(device, torch.device) and device.type != "cpu":
            raise pickle.PicklingError(f"{type(thing).__name__} on {device}")
        return NotImplemented


def packed(thing) -> bytes:
    buffer = io.BytesIO()
    Pickler(buffer).dump(thing)
    return buffer.getvalue()


def forbid(monkeypatch) -> None:
    """Nobody in this process may ask CUDA anything from now on; its forks may."""
    import torch

    here = os.getpid()

    def guarded(name, asked):
        @functools.wraps(asked)
        def ask(*args, **kwargs):
            if os.getpid() == here:
                raise AssertionError(f"torch.cuda.{name} outside of a decorated call")
            return asked(*args, **kwargs)

        return ask

    for name in ASKED:
        monkeypatch.setattr(torch.cuda, name, guarded(name, getattr(torch.cuda, name)))


def GPU(task=None, *, duration=None, size=None):  # noqa: N802  the platform's name
    if task is None:
        return functools.partial(GPU, duration=duration, size=size)
    if not inspect.isgeneratorfunction(task):
        raise NotImplementedError("this stand-in knows generators alone")

    @functools.wraps(task)
    def call(*args, **kwargs):
        import gradio

        assert duration is not None and (duration(*args, **kwargs) if callable(duration) else duration) <= 120
        entries.append(task.__name__)
        given = packed((args, kwargs))
        ours, theirs = FORKS.Pipe(duplex=False)
        stop = FORKS.Event()
        process = FORKS.Process(target=_work, args=(task, given, theirs, stop), daemon=True)
        process.start()
        theirs.close()
        try:
            while True:
                try:
                    kind, value = pickle.loads(ours.recv_bytes())
                except EOFError:
                    raise gradio.Error("GPU task aborted", title="ZeroGPU worker error") from None
                if kind == "end":
                    return
                if kind == "error":
                    raise gradio.Error(value, title="ZeroGPU worker error")
                yield value
        finally:
            stop.set()
            ours.close()
            process.join(20)

    return call


def _work(task, given: bytes, theirs, stop) -> None:
    """In the forked process."""
    args, kwargs = pickle.loads(given)
    steps = task(*args, **kwargs)
    try:
        for value in steps:
            if stop.is_set():
                steps.close()
                break
            theirs.send_bytes(packed(("value", value)))
        theirs.send_bytes(packed(("end", None)))
    except BrokenPipeError:
        steps.close()
    except BaseException as error:
        theirs.send_bytes(packed(("error", type(error).__name__)))
    theirs.close()
