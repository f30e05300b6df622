"""What the person who starts the program may set: device, memory, and backbones of their own.

`app` and the command line share these flags. A host's backbone is described by timm's own config.json and weighed by
building its architecture without weights, so that a wrong setting is one sentence at the start and not a failure in
front of a visitor. Nothing that a visitor types gets here.

    --backbone birds=hf-hub:owner/birds@v1        config.json now, model.safetensors when it is first used
    --backbone leaves=local-dir:~/leaves          what timm.models.save_for_hf(..., safe_serialization=True) wrote,
                                                  with labels.txt (one name a line) if config.json names no classes

Both may also be in the format of `transformers`, with its config.json and preprocessor_config.json: ViT, DeiT, BEiT,
DINOv2 and Swin for image classification (`transformers_format`).

Backbones with the same classes in the same order are one collection and can be fused; new classes make a new
collection, named after the first backbone that has them.
"""

import argparse
import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vitdemo import checkpoint
from vitdemo.backbones import Backbone, Catalogue, default_catalogue
from vitdemo.checkpoint import skeleton
from vitdemo.errors import VitdemoError, WeightsError
from vitdemo.labels import described, imagenet_labels, is_imagenet, numbered, read, tidy
from vitdemo.sources import Files, Hub, Source, shapes
from vitdemo.spaces import lends
from vitdemo.transformers_format import describe, is_described

if TYPE_CHECKING:  # both need torch, which `--help` should not wait for
    from vitdemo.models import Models
    from vitdemo.weights import Fetcher

FORMS = "NAME=hf-hub:owner/repo@revision or NAME=local-dir:PATH"
NAME = re.compile(r"[a-z0-9_-]{1,40}")
RESERVED = {"fused"}  # the fused model's key among the maps
UNITS = {"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
ACCURACY = ("validation_accuracy", "accuracy", "top1")  # where a config.json may say it; timm's own says nothing
IMAGENET = "imagenet"  # the collection of the 1,000 classes of ImageNet-1k
IMAGENET_CLASSES = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --device, --memory and --backbone."""
    group = parser.add_argument_group("what the program may use")
    group.add_argument("--device", default="auto", metavar="D", help="auto (the GPU if there is one), cpu, cuda or mps")
    group.add_argument(
        "--memory",
        metavar="SIZE",
        help="weights held at once, such as 2GiB or 500MB; unless given, 60 %% of a GPU's memory and 2GiB elsewhere",
    )
    group.add_argument(
        "--backbone",
        action="append",
        default=[],
        metavar="NAME=SOURCE",
        help=f"a classifier of your own, saved by timm or transformers with safetensors: {FORMS}; may be given again",
    )


def catalogue(args: argparse.Namespace, fetcher: "Fetcher | None" = None) -> Catalogue:
    """What this program offers: the default catalogue, and the rows of --backbone.

    Args:
        args: what `add_arguments` parsed.
        fetcher: where config.json is fetched from.

    Raises:
        VitdemoError: a flag is not of its form, or its name is taken.
        WeightsError: a backbone cannot be had, or is none that this program can use.
    """
    offered = default_catalogue()
    for flag in args.backbone:
        name, scheme, place = _parse(flag, offered)
        if scheme == "local-dir":
            row = _local(name, Path(place).expanduser(), offered)
        else:
            row = _hub(name, place, offered, fetcher)
        offered = offered.plus([row])
    return offered


def models(args: argparse.Namespace, fetcher: "Fetcher | None" = None) -> "Models":
    """The cache of weights, on the device and in the memory that the flags allow.

    Raises:
        VitdemoError: a device that is not there, or a size that is none.
    """
    from vitdemo.models import Models

    device = "cpu" if lends() else args.device  # a lent GPU is for the calls that it is lent for
    return Models(device, None if args.memory is None else size_of(args.memory), fetcher)


def size_of(text: str) -> int:
    """Bytes of a size such as "2GiB", "0.5 GiB", "500MB" or "1000000".

    Raises:
        VitdemoError: it is none, or not positive.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(text))
    units = {unit.lower(): factor for unit, factor in UNITS.items()}
    if found and found[2].lower() in units:
        size = float(found[1]) * units[found[2].lower()]
        if math.isfinite(size) and size >= 1:
            return int(size)
    raise VitdemoError(f"--memory is {str(text)[:40]!r}; allowed: a positive size such as 2GiB, 0.5GiB or 500MB.")


def _parse(flag: str, offered: Catalogue) -> tuple[str, str, str]:
    """(name, scheme, place) of one --backbone."""
    name, equals, source = flag.partition("=")
    scheme, colon, place = source.partition(":")
    if not (equals and colon and place and scheme in ("hf-hub", "local-dir")):
        raise VitdemoError(f"--backbone is {flag[:120]!r}; allowed: {FORMS}.")
    if not NAME.fullmatch(name):
        raise VitdemoError(f"--backbone is called {name[:60]!r}; allowed: 1 to 40 of a-z, 0-9, _ and -.")
    if name in RESERVED | {row.name for row in offered} | set(offered.collections()):
        raise VitdemoError(f"--backbone is called {name!r}, which is taken; choose another name.")
    return name, scheme, place


def _local(name: str, folder: Path, offered: Catalogue) -> Backbone:
    from vitdemo.weights import CONFIG, PREPROCESSOR, local_weights, read_json, read_local_dir

    config_file = folder / CONFIG
    if config_file.is_file() and is_described(given := read_json(config_file, str(folder))):
        config, translation = describe(given, read_json(folder / PREPROCESSOR, str(folder)), name)
        labels = _labels(config, str(folder), folder / "labels.txt")
        files = Files(local_weights(folder), translation)
        row = _row(name, config, offered, labels, files)
        translation(shapes(files.paths), skeleton(row.architecture, config["num_classes"], row.arguments).state_dict())
        _note_numbers(name, files.paths)
        return row
    config, file = read_local_dir(folder)
    row = _row(name, config, offered, _labels(config, str(folder), folder / "labels.txt"), Files((file,)))
    body = skeleton(row.architecture, config["num_classes"], row.arguments)
    checkpoint.check_weights(name, file, body, row.architecture)
    _note_numbers(name, (file,))
    return row


def _hub(name: str, place: str, offered: Catalogue, fetcher: "Fetcher | None") -> Backbone:
    from vitdemo.weights import CONFIG, PREPROCESSOR, Fetcher, parse_config

    repo, _, tag = place.partition("@")
    fetcher, revision = fetcher or Fetcher(), tag or None
    given = fetcher.fetch_json(repo, CONFIG, revision)
    if is_described(given):
        config, translation = describe(given, fetcher.fetch_json(repo, PREPROCESSOR, revision), name)
        source = Hub(repo, revision, fetcher.weights_of(repo, revision), translation)
    else:
        config, source = parse_config(given, repo), Hub(repo, revision)
    return _row(name, config, offered, _labels(config, repo), source)


def _row(name: str, config: Mapping, offered: Catalogue, labels: tuple[str, ...], source: Source) -> Backbone:
    """The catalogue's row of a config.json in the form that `weights.parse_config` gives."""
    import timm

    architecture, classes, inner = config["architecture"], config["num_classes"], config["pretrained_cfg"]
    checkpoint.check_head(name, config)
    tagged = f"{architecture}.{inner.get('tag')}"
    if _is_timms_own(source, tagged, config):
        architecture, arguments, transform = tagged, {}, None
        body = skeleton(architecture, classes, arguments)
    else:
        arguments = checkpoint.arguments_of(name, config)
        body = skeleton(architecture, classes, arguments)
        transform = checkpoint.transform_of(name, inner, arguments, body.pretrained_cfg)
        checkpoint.check_outputs(name, body, transform["input_size"], classes)
    collection = _collection(name, labels, offered)
    peers = [row for row in offered if row.collection == collection]
    return Backbone(
        name=name,
        collection=collection,
        family=config.get("family") or timm.model_entrypoint(config["architecture"]).__module__.rpartition(".")[2],
        architecture=architecture,
        parameters=sum(parameter.numel() for parameter in body.parameters()),
        accuracy=_accuracy(name, config, peers),
        licence=str(inner.get("license") or config.get("license") or ""),
        arguments=arguments,
        transform=transform,
        labels=labels,
        source=source,
    )


def _is_timms_own(source: Source, tagged: str, config: Mapping) -> bool:
    """Whether timm has to fill in the weights itself: some files of its own repositories have their authors' keys."""
    import timm

    known = timm.get_pretrained_cfg(tagged, allow_unregistered=False) if timm.is_model_pretrained(tagged) else None
    own = isinstance(source, Hub) and source.repository.startswith("timm/") and not config["model_args"]
    return bool(own and known and known.num_classes == config["num_classes"])


def _labels(config: Mapping, where: str, file: Path | None = None) -> tuple[str, ...]:
    """The names of the classes, each once; () for those of ImageNet-1k.

    A labels.txt beside the weights comes first, then label_names (in the words of label_descriptions, if it has
    them), then label_descriptions alone in its order. 1,000 classes without names are ImageNet's only if timm knows
    the weights as such; otherwise they have numbers for names.
    """
    classes, names = config["num_classes"], config["label_names"]
    if file is not None and file.is_file():
        names = read(file, classes)
    elif names is None or not is_imagenet(names):
        try:
            names = described(config["label_descriptions"], names, classes)
        except ValueError as error:
            raise WeightsError(f"The labels of {where!r} cannot be used: {error}.") from None
    if names is None and classes == IMAGENET_CLASSES:
        return _unnamed(config, where, own=file is None and where.startswith("timm/"))
    if names is None:
        raise WeightsError(
            f"{where!r} names no classes, and the model has {classes}: put label_names into config.json, or labels.txt "
            "with one name a line beside local weights."
        )
    if is_imagenet(names):
        return ()
    names = tidy(names)
    return () if names == imagenet_labels() else names


def _unnamed(config: Mapping, where: str, own: bool) -> tuple[str, ...]:
    """What 1,000 classes without names are called, with a note: () if timm's tag of the weights is one of ImageNet-1k.

    Weights that were trained on may have kept the tag, so only timm's own repositories go without a note.
    """
    import timm

    tag = config["pretrained_cfg"].get("tag")
    tagged = f"{config['architecture']}.{tag}"
    known = timm.get_pretrained_cfg(tagged, allow_unregistered=False) if timm.is_model_pretrained(tagged) else None
    begun = f"{where!r} names none of its 1,000 classes, so they are"
    other = "label_names in config.json, or labels.txt beside local weights, can name them"
    if known and known.num_classes == IMAGENET_CLASSES:
        if not own:
            _note(f"{begun} taken for ImageNet's, as its tag {tag!r} says; {other} otherwise.")
        return ()
    _note(f"{begun} called class 0 to class 999, and not taken for ImageNet's; {other}.")
    return numbered(IMAGENET_CLASSES)


def _collection(name: str, labels: Sequence[str], offered: Iterable[Backbone]) -> str:
    """The collection that has these classes, or a new one."""
    same = (row.collection for row in offered if row.labels == labels)
    return next(same, name if labels else IMAGENET)


def _accuracy(name: str, config: Mapping, peers: Sequence[Backbone]) -> float:
    """Top-1 on validation pictures as config.json says it.

    Where it says nothing the backbone counts like the average member of its collection (like any, if it is alone), so
    that a fusion weighted by accuracy neither trusts nor doubts it.
    """
    said = [part[key] for part in (config, config["pretrained_cfg"]) for key in ACCURACY if part.get(key) is not None]
    if not said:
        return sum(row.accuracy for row in peers) / len(peers) if peers else 1.0
    if isinstance(said[0], bool) or not isinstance(said[0], (int, float)) or not 0 < said[0] <= 1:
        raise WeightsError(f"The config.json of {name} says accuracy {said[0]!r}; allowed: above 0, up to 1.")
    return float(said[0])


def _note_numbers(name: str, paths: Iterable[Path]) -> None:
    broken = [key for path in paths for key in checkpoint.not_finite(path)]
    if broken:
        _note(f"{len(broken)} tensors of {name} hold numbers that are not finite, such as {broken[0]!r}.")


def _note(text: str) -> None:
    """Says something at the start that stops nothing."""
    logging.getLogger(__name__).warning("%s", text)
