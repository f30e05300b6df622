"""Weights that are not in the repository: fetched once from a hub, checked, used from its cache afterwards.

Only safetensors files are fetched, because a pickled file can run code when it is opened. A file counts as good
when its size and its checksum are the hub's own (sha256 for large files, the git blob's sha1 for small ones: that
is what the hub sends as an etag) and its safetensors header is consistent. A cached file is checked against the
same checksum once per `Fetcher`, since the hub's cache names a blob after its etag, and needs no network.

This is the one module of the package that reaches for the network. Whatever goes wrong is a `WeightsError`.
"""

import errno
import hashlib
import json
import logging
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import (
    HfFileMetadata,
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError, safe_open

from vitdemo.errors import VitdemoError, WeightsError
from vitdemo.labels import described, listed

Progress = Callable[[int, int], None]  # (bytes that have arrived, bytes in all); may raise to stop the download

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
INDEX = "model.safetensors.index.json"  # which shard holds which tensor
PREPROCESSOR = "preprocessor_config.json"  # of transformers: how pictures are made ready
WITHOUT = "The bundled flowers collection works without it."
POLL_SECONDS = 0.2  # how often a waiting thread reports progress, and may be cancelled
MAX_RESTARTS = 3  # a server that breaks off and cannot resume is given up after so many downloads from the start
# Keys that would make timm look for weights elsewhere, or read them as anything but a plain state dict.
FOREIGN_KEYS = ("url", "file", "state_dict", "hf_hub_id", "hf_hub_filename", "source", "custom_load")
# Arguments of timm.create_model that the caller gives, or that would read other files; the rest are the model's.
FOREIGN_ARGUMENTS = (
    "model_name",
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "pretrained_strict",
    "checkpoint_path",
    "cache_dir",
    "num_classes",
)
REVISION = re.compile(r"(?!.*\.\.)[\w][\w./-]*")
INSIDE = re.compile(r"(?!(.*/)?\.\.(/|$))[^/\\][^\\]*")  # a path that does not leave its folder


class Fetcher:
    """Fetches files of hub repositories into the hub's own cache, each file by one thread at a time.

    Args:
        cache_dir: folder of the cache; the hub's own (HF_HUB_CACHE) unless told.
        endpoint: address of the hub; the library's own (HF_ENDPOINT) unless told.
        offline: only what is cached is used.
        timeout: seconds to wait for the hub's first answer.
    """

    def __init__(
        self,
        cache_dir: Path | None = None,
        endpoint: str | None = None,
        offline: bool = False,
        timeout: float = 10.0,
    ):
        self.cache_dir = Path(cache_dir or constants.HF_HUB_CACHE)
        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self.offline = offline
        self.timeout = timeout
        self._guard = threading.Lock()
        self._flights: dict[_File, _Flight] = {}
        self._checked: dict[Path, tuple[int, int]] = {}  # files found good: (size, mtime) at that time

    def fetch(
        self,
        repo: str,
        filename: str = WEIGHTS,
        revision: str | None = None,
        progress: Progress | None = None,
    ) -> Path:
        """The path of a safetensors file, downloaded where it is not cached yet.

        Args:
            repo: "owner/name".
            filename: a file of the repository that ends with .safetensors.
            revision: branch, tag or commit; "main" unless told.
            progress: called with (bytes so far, bytes in all), never falling, while a download runs; what it
                raises stops the download and comes out here. With Xet storage it is called from another thread,
                and a transfer that it stops may run to its end first.

        Returns:
            A file whose size, checksum and header are good.

        Raises:
            WeightsError: the name is refused, or the file cannot be had; the text says why and what to do.
        """
        if not filename.endswith(".safetensors"):
            raise WeightsError(
                f"Only .safetensors files are fetched, because others can run code when they are opened; got"
                f" {filename!r} of {repo!r}."
            )
        return self._obtain(_File(repo, filename, revision or "main"), progress)

    def fetch_config(self, repo: str, revision: str | None = None) -> dict:
        """The config.json of a timm repository, in the form that `parse_config` gives.

        Raises:
            WeightsError: it cannot be had, or it does not describe a timm classifier.
        """
        return parse_config(self.fetch_json(repo, CONFIG, revision), repo)

    def fetch_json(self, repo: str, filename: str, revision: str | None = None) -> object:
        """What a JSON file of a repository holds.

        Raises:
            WeightsError: it cannot be had, or is no JSON.
        """
        return read_json(self._obtain(_File(repo, filename, revision or "main"), None), repo)

    def weights_of(self, repo: str, revision: str | None = None) -> tuple[str, ...]:
        """The names of a repository's weights: model.safetensors, or its shards where there is an index of them.

        Raises:
            WeightsError: the index cannot be used.
        """
        if self.size(repo, WEIGHTS, revision) is not None:
            return (WEIGHTS,)
        try:
            index = self.fetch_json(repo, INDEX, revision)
        except WeightsError:  # no index either: whoever fetches the weights is told why they cannot be had
            return (WEIGHTS,)
        return shards_of(index, repo)

    def is_cached(self, repo: str, filename: str = WEIGHTS, revision: str | None = None) -> bool:
        """Whether the file is there without a network. It is not checked here, only when it is fetched."""
        return self._find(_File(repo, filename, revision or "main")) is not None

    def size(self, repo: str, filename: str = WEIGHTS, revision: str | None = None) -> int | None:
        """Bytes of a file, from the cache or else asked of the hub; None where neither knows."""
        file = _File(repo, filename, revision or "main")
        found = self._find(file)
        if found is not None:
            return found.stat().st_size
        if self.offline:
            return None
        try:
            return self._ask(file).size
        except (OSError, HTTPError):  # every error of the hub is one of the two
            return None

    def _obtain(self, file: "_File", progress: Progress | None) -> Path:
        """One thread works on a file; the others wait for it, see its progress, and share how it ends."""
        progress = progress and _rising(progress)
        while True:
            with self._guard:
                flight = self._flights.get(file)
                mine = flight is None
                if mine:
                    flight = self._flights[file] = _Flight()
            if mine:
                return self._fly(file, flight, progress)
            if (path := flight.wait(progress)) is not None:
                return path
            # The other thread was cancelled by its own visitor, which says nothing about this one: try again.

    def _fly(self, file: "_File", flight: "_Flight", progress: Progress | None) -> Path:
        try:
            flight.path = self._cached(file) or self._download(file, _Meter(progress, flight))
            return flight.path
        except BaseException as error:
            flight.error = error
            raise
        finally:
            with self._guard:
                del self._flights[file]
            flight.finished.set()

    def _find(self, file: "_File") -> Path | None:
        if not REVISION.fullmatch(file.revision):
            raise WeightsError(f"{file.revision!r} is no revision of {file.repo!r}; allowed: a branch, tag or commit.")
        try:
            if not INSIDE.fullmatch(file.name):  # not every version of the hub's library looks at it
                raise ValueError(file.name)
            found = try_to_load_from_cache(
                file.repo, file.name, cache_dir=self.cache_dir, revision=file.revision, repo_type="model"
            )
        except ValueError as error:  # HFValidationError, or a file name that leaves the repository
            raise WeightsError(_sentence(file, error, self.endpoint)) from error
        return Path(found) if isinstance(found, str) else None

    def _cached(self, file: "_File") -> Path | None:
        """The cached file if it is good; a damaged one is removed, as if it had never been there."""
        path = self._find(file)
        if path is None:
            return None
        stamp = (path.stat().st_size, path.stat().st_mtime_ns)
        if self._checked.get(path) != stamp:
            fault = damage(path, etag=path.resolve().name)
            if fault is not None:
                logging.getLogger(__name__).warning("%s is removed from the cache: %s", path, fault)
                self._remove(file, path)
                return None
            self._checked[path] = stamp
        return path

    def _ask(self, file: "_File") -> HfFileMetadata:
        url = hf_hub_url(file.repo, file.name, revision=file.revision, endpoint=self.endpoint)
        known = get_hf_file_metadata(url, timeout=self.timeout, endpoint=self.endpoint)
        if known.commit_hash is None or known.etag is None:  # as a captive portal answers
            raise FileMetadataError(f"{url} answers without a commit or an etag")
        return known

    def _download(self, file: "_File", meter: "_Meter") -> Path:
        if self.offline:
            raise WeightsError(
                f"The {file} is not on this machine, and the program was started offline: start it once with"
                f" a network to fetch it. {WITHOUT}"
            )
        try:
            # Asking first finds what is wrong at once; hf_hub_download would retry for half a minute.
            known = self._ask(file)
            meter.total = known.size or 0
            self._make_sure_of_room(file, meter.total)
            path = Path(
                hf_hub_download(
                    file.repo,
                    file.name,
                    revision=file.revision,
                    cache_dir=self.cache_dir,
                    endpoint=self.endpoint,
                    etag_timeout=self.timeout,
                    tqdm_class=_bar_class(meter),
                )
            )
        except VitdemoError:
            raise
        except Exception as error:
            if meter.raised is not None:
                raise meter.raised from None
            raise WeightsError(_sentence(file, error, self.endpoint)) from error
        fault = damage(path, known.etag, known.size)
        if fault is not None:
            self._remove(file, path)
            raise WeightsError(f"The {file} arrived damaged ({fault}) and was thrown away: try again. {WITHOUT}")
        if meter.raised is not None:  # the transfer swallowed it; the file is complete and good, so it stays
            raise meter.raised
        stat = path.stat()
        self._checked[path] = (stat.st_size, stat.st_mtime_ns)
        meter(stat.st_size)
        return path

    def _make_sure_of_room(self, file: "_File", size: int) -> None:
        there = next(folder for folder in (self.cache_dir, *self.cache_dir.absolute().parents) if folder.exists())
        free = shutil.disk_usage(there).free
        if free < size:
            raise WeightsError(
                f"The {file} needs {size / 1e6:.1f} MB and {there} has {free / 1e6:.1f} MB free: make room, or"
                f" set HF_HOME to another disk. {WITHOUT}"
            )

    def _remove(self, file: "_File", path: Path) -> None:
        """Removes a file from the cache, and every link on the way to it."""
        try:
            while path.is_symlink():
                target = path.parent / path.readlink()
                path.unlink()
                path = target
            path.unlink(missing_ok=True)
        except OSError as error:
            raise WeightsError(
                f"The {file} is damaged and cannot be removed ({error.strerror}): delete {path} by hand. {WITHOUT}"
            ) from error


class _File(NamedTuple):
    repo: str
    name: str
    revision: str

    def __str__(self) -> str:
        at = "" if self.revision == "main" else f" at {self.revision!r}"
        return f"file {self.name!r} of {self.repo!r}{at}"


class _Flight:
    """One attempt to get one file, which several threads may wait for."""

    def __init__(self):
        self.finished = threading.Event()
        self.done = self.total = 0
        self.path: Path | None = None
        self.error: BaseException | None = None

    def wait(self, progress: Progress | None) -> Path | None:
        """The file, or None if the thread that worked on it was stopped from outside."""
        while not self.finished.wait(POLL_SECONDS):
            if progress is not None and self.total:
                progress(self.done, self.total)
        if isinstance(self.error, WeightsError):
            raise WeightsError(str(self.error)) from self.error
        if self.path is not None and progress is not None and self.total:
            progress(self.total, self.total)
        return self.path


def _rising(progress: Progress) -> Progress:
    """Reports the most that was ever there, since a download that starts over counts from nothing again."""
    most = 0

    def report(done: int, total: int) -> None:
        nonlocal most
        most = max(most, done)
        progress(most, total)

    return report


class _Meter:
    """Passes on how many bytes have arrived, and keeps what the receiver raised."""

    def __init__(self, progress: Progress | None, flight: _Flight):
        self.progress = progress
        self.flight = flight
        self.total = 0
        self.restarts = 0
        self.raised: BaseException | None = None

    def __call__(self, done: int) -> None:
        self.flight.done, self.flight.total = done, max(self.total, done)
        if self.raised is None and self.progress is not None:
            try:
                self.progress(self.flight.done, self.flight.total)
            except BaseException as error:
                self.raised = error
        if self.raised is not None:
            raise self.raised

    def restart(self) -> None:
        self.restarts += 1
        if self.restarts > MAX_RESTARTS:
            raise WeightsError(
                f"The connection broke off {self.restarts} times and the hub cannot resume: try again later. {WITHOUT}"
            )


def _bar_class(meter: _Meter) -> type:
    """A stand-in for tqdm, as `tqdm_class` wants it, that draws nothing and tells the meter."""

    class Bar:
        def __init__(self, *args, initial: int = 0, total: int | None = None, **kwargs):
            self.n = initial
            meter.total = meter.total or total or 0
            meter(self.n)

        def update(self, n: int = 1) -> None:
            self.n += n
            if n < 0:  # the server could not resume, so the library starts over
                meter.restart()
            meter(self.n)

        def ignore(self, *args, **kwargs) -> None:
            pass

        # Their presence tells the library that one bar is enough for bytes received and bytes written.
        update_transfer = set_transfer_postfix_str = set_postfix_str = refresh = close = ignore

        def __enter__(self):
            return self

        def __exit__(self, *error) -> None:
            pass

    return Bar


def damage(path: Path, etag: str | None = None, size: int | None = None) -> str | None:
    """What is wrong with a file that came from a hub; None if nothing is.

    Args:
        path: the file.
        etag: 64 hex digits are taken for the sha256 of the content, 40 for its git blob sha1, others for nothing.
        size: bytes that it should have, if known.
    """
    actual = path.stat().st_size
    if size is not None and actual != size:
        return f"{actual} bytes instead of {size}"
    if etag and re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{40}", etag):
        # A git blob is hashed with its type and length in front ("Git Internals - Git Objects" in Pro Git).
        blob = hashlib.sha1(b"blob %d\0" % actual, usedforsecurity=False)
        start = blob if len(etag) == 40 else hashlib.sha256()
        with path.open("rb") as content:
            if hashlib.file_digest(content, lambda: start).hexdigest() != etag:
                return "its checksum is not the hub's"
    return _header_fault(path) if path.name.endswith(".safetensors") else None


def _header_fault(path: Path) -> str | None:
    """What is wrong with a safetensors header; opening it checks that its offsets cover the file exactly."""
    try:
        with safe_open(path, framework="numpy") as tensors:
            return None if tensors.keys() else "it holds no tensors"
    except SafetensorError:
        return "it is no complete safetensors file"


def parse_config(config: object, where: str) -> dict:
    """The description of a timm classifier, in one form whichever timm wrote it.

    Args:
        config: what a config.json holds.
        where: the repository or folder, for the error message.

    Returns:
        The config with these keys in any case: architecture (a name that timm can create), num_classes (2 or
        more), label_names (a list of num_classes names, or None), label_descriptions (as `labels.described` reads it),
        pretrained_cfg and model_args (dicts; the latter is what `timm.create_model` gets besides architecture and
        num_classes). What points to other weights or files is left out of both.

    Raises:
        WeightsError: it describes no timm classifier.
    """

    import timm  # here, because it is slow to import and most weights need no config

    import vitdemo.architectures  # noqa: F401  registers our own assemblies with timm

    def refuse(what: str) -> WeightsError:
        return WeightsError(f"The {CONFIG} of {where!r} does not describe a timm classifier: {what}.")

    if not isinstance(config, dict):
        raise refuse("it should be an object of names and values")
    inner = config.get("pretrained_cfg", config)  # before timm 0.9 everything was in one flat object
    if not isinstance(inner, dict):
        raise refuse("pretrained_cfg should be an object")

    def value(*names):
        found = (part.get(name) for part in (config, inner) for name in names)
        return next((each for each in found if each is not None), None)

    architecture, classes = value("architecture"), value("num_classes")
    descriptions, arguments = value("label_descriptions"), config.get("model_args") or {}
    if not isinstance(architecture, str) or not timm.is_model(architecture):
        raise refuse(f"architecture is {architecture!r}, which this timm ({timm.__version__}) does not know")
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 2:
        raise refuse(f"num_classes is {classes!r}, and an answer needs 2 or more classes")
    if not isinstance(arguments, dict):
        raise refuse("model_args should be an object")
    try:
        names = listed(value("label_names", "labels"), classes)
        described(descriptions, names, classes)
    except ValueError as error:
        raise refuse(str(error)) from None
    return {
        **({} if inner is config else config),
        "architecture": architecture,
        "num_classes": classes,
        "label_names": names,
        "label_descriptions": descriptions,
        "model_args": {key: part for key, part in arguments.items() if key not in FOREIGN_ARGUMENTS},
        "pretrained_cfg": {key: part for key, part in inner.items() if key not in FOREIGN_KEYS},
    }


def read_local_dir(folder: Path | str) -> tuple[dict, Path]:
    """Config and path of the weights that `timm.models.save_for_hf(..., safe_serialization=True)` wrote.

    Returns:
        The config in the form that `parse_config` gives, and the path of model.safetensors with a good header.

    Raises:
        WeightsError: the folder or a file of it is missing or damaged.
    """
    folder = Path(folder).expanduser()
    weights = folder / WEIGHTS
    if not folder.is_dir():
        raise WeightsError(f"{str(folder)!r} is no folder; expected one with {CONFIG} and {WEIGHTS}.")
    if not weights.is_file():
        others = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pth", ".pt", ".npz"))
        hint = f"; {others[0]} is not read, save with safe_serialization=True" if others else ""
        raise WeightsError(f"{str(folder)!r} has no {WEIGHTS}{hint}.")
    if not (folder / CONFIG).is_file():
        raise WeightsError(f"{str(folder)!r} has no {CONFIG}, which names the architecture and its classes.")
    config = parse_config(read_json(folder / CONFIG, str(folder)), str(folder))
    fault = _header_fault(weights)
    if fault is not None:
        raise WeightsError(f"{str(weights)!r} cannot be used: {fault}.")
    return config, weights


def local_weights(folder: Path) -> tuple[Path, ...]:
    """model.safetensors of a folder, or its shards where there is an index of them, each with a good header.

    Raises:
        WeightsError: a file is missing or damaged.
    """
    names = (WEIGHTS,)
    if not (folder / WEIGHTS).is_file() and (folder / INDEX).is_file():
        names = shards_of(read_json(folder / INDEX, str(folder)), str(folder))
    for name in names:
        if not (folder / name).is_file():
            raise WeightsError(f"{str(folder)!r} has no {name}; only safetensors are read.")
        if (fault := _header_fault(folder / name)) is not None:
            raise WeightsError(f"{str(folder / name)!r} cannot be used: {fault}.")
    return tuple(folder / name for name in names)


def shards_of(index: object, where: str) -> tuple[str, ...]:
    """The files that a model.safetensors.index.json names, in order.

    Raises:
        WeightsError: it names none, or one that is not safetensors beside it.
    """
    places = index.get("weight_map") if isinstance(index, dict) else None
    names = sorted(set(map(str, places.values()))) if isinstance(places, dict) else []
    if not names or not all(re.fullmatch(r"[\w.-]+\.safetensors", name) for name in names):
        raise WeightsError(
            f"The {INDEX} of {where!r} is not valid: weight_map should name safetensors files beside it."
        )
    return tuple(names)


def read_json(path: Path, where: str) -> object:
    """What a JSON file holds.

    Args:
        path: the file.
        where: the repository or folder, for the error message.

    Raises:
        WeightsError: it is not there, or no JSON.
    """
    if not path.is_file():
        raise WeightsError(f"{where!r} has no {path.name}.")
    try:
        return json.loads(path.read_bytes())  # UTF-8, or with the mark of another Unicode encoding
    except (ValueError, RecursionError):  # not JSON, not Unicode, or nested to break the parser
        raise WeightsError(f"The {path.name} of {where!r} is not valid JSON.") from None


def _sentence(file: _File, error: BaseException, endpoint: str) -> str:
    """What a person is told about an error of the hub or of the file system while a file is fetched."""
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__  # the library's "not in the cache either" hides why the hub was of no use
    return f"{_reason(file, error, endpoint)} {WITHOUT}"


def _reason(file: _File, error: BaseException, hub: str) -> str:
    need = f"The {file} is not on this machine and needs a network once"
    match error:
        case HFValidationError():
            return f"{file.repo!r} is no name of a repository; expected owner/name."
        case ValueError():
            return f"{file.name!r} is no name of a file in a repository."
        case GatedRepoError():
            return (
                f"The repository {file.repo!r} is gated: accept its terms at {hub}/{file.repo} and sign in with"
                " `hf auth login`."
            )
        case RepositoryNotFoundError():
            return f"{hub} has no repository {file.repo!r}, or it is private: check the name, or sign in."
        case RevisionNotFoundError():
            return f"The repository {file.repo!r} has no revision {file.revision!r}: check branch, tag or commit."
        case LocalEntryNotFoundError():
            return f"{need}: {hub} cannot be reached."
        case EntryNotFoundError():
            return f"There is no {file}: check the name; repositories without safetensors cannot be used."
        case HfHubHTTPError(response=answer) if answer.status_code in (401, 403):
            return f"{hub} refuses access to {file.repo!r} ({answer.status_code}): sign in with `hf auth login`."
        case HfHubHTTPError(response=answer):
            return f"{hub} answered {answer.status_code} when asked for the {file}: try again later."
        case OfflineModeIsEnabled():
            return f"{need}: unset HF_HUB_OFFLINE to fetch it."
        case HTTPError() if "Timeout" in type(error).__name__:
            return f"{need}: {hub} did not answer in time; try again later."
        case HTTPError() if "Connect" in type(error).__name__:
            return f"{need}: {hub} cannot be reached."
        case HTTPError():
            return f"The connection to {hub} broke off while the {file} was fetched: try again."
        case FileMetadataError():
            return f"{hub} does not answer like a hub when asked for the {file}: check HF_ENDPOINT and the proxy."
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG):
            return f"There is no room on the disk for the {file}: make room, or set HF_HOME to another disk."
        case OSError(errno=int()):
            return (
                f"The {file} cannot be written to the cache ({error.strerror}): set HF_HOME to a folder that can"
                " be written."
            )
        case OSError():  # the library's consistency check has no error number
            return f"The {file} arrived incomplete and was thrown away: try again."
        case _:
            return f"The {file} cannot be fetched ({type(error).__name__})."
