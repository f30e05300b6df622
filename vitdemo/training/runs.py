"""What every training asks before it begins, and how it leaves files behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch

from vitdemo.errors import VitdemoError


def check_run(epochs: int, device: str) -> None:
    """Raises VitdemoError for fewer than one epoch, or a GPU that this machine does not have."""
    if epochs < 1:
        raise VitdemoError(f"Expected a number of epochs, got {epochs}; allowed: 1 and more.")
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise VitdemoError(f"Expected a device of this machine, got {device!r}; allowed here: 'cpu'.")


def write_at_once(path: Path, write: Callable[[Path], object]) -> None:
    """Write to a temporary name and move it there, so that a reader never sees half a file."""
    partial = path.with_name(f".{path.name}.partial")
    write(partial)
    partial.chmod(0o644)  # safetensors makes its files unreadable to others
    os.replace(partial, path)
