"""The names of tensors in files of `transformers`, as timm's: every tensor gets its place, or is named as left over.

A rule is a pattern for a whole name, behind the prefix of the body, and what timm calls it. Queries, keys and values
are three tensors there and one here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitdemo.errors import WeightsError

if TYPE_CHECKING:  # which `--help` should not wait for
    from torch import Tensor

Size = tuple[int, int]  # (height, width), (rows, columns)
SHOWN = 6  # names in a refusal, of each kind
Rules = tuple[tuple[str, str | Callable[[re.Match], str]], ...]

EMBEDDINGS: Rules = (
    (r"embeddings\.cls_token", "cls_token"),
    (r"embeddings\.distillation_token", "dist_token"),
    (r"embeddings\.position_embeddings", "pos_embed"),
    (r"embeddings\.patch_embeddings\.projection\.(\w+)", r"patch_embed.proj.\1"),
    (r"embeddings\.norm\.(\w+)", r"patch_embed.norm.\1"),
    (r"layernorm\.(\w+)", r"norm.\1"),
    (r"classifier\.(weight|bias)", r"head.\1"),
)
LAYER = r"encoder\.layer\.(\d+)\."
BLOCK = r"encoder\.layers\.(\d+)\.blocks\.(\d+)\."  # of Swin


def _layers(place: str, own: str, attention: str, first: str = "layernorm_before", second: str = "layernorm_after",
            mlp: tuple[str, str] = (r"intermediate\.dense", r"output\.dense")) -> Rules:  # fmt: skip
    """The rules of one layer: where it stands in the file, and in timm."""
    parts = {
        first: "norm1",
        second: "norm2",
        rf"attention\.{attention}\.(?P<part>query|key|value)": r"attn.\g<part>",
        r"attention\.output\.dense": "attn.proj",
        mlp[0]: "mlp.fc1",
        mlp[1]: "mlp.fc2",
    }
    return tuple(
        (rf"{place}{theirs}\.(?P<kind>weight|bias)", rf"{own}{ours}.\g<kind>") for theirs, ours in parts.items()
    )


PLAIN: Rules = (*EMBEDDINGS, *_layers(LAYER, r"blocks.\1.", "attention"))
RULES: dict[str, Rules] = {
    "vit": PLAIN,
    "deit": PLAIN,
    "deit_taught": (
        (r"cls_classifier\.(weight|bias)", r"head.\1"),
        (r"distillation_classifier\.(weight|bias)", r"head_dist.\1"),
        *(rule for rule in PLAIN if rule[1] != r"head.\1"),
    ),
    "beit": (
        *PLAIN,
        (rf"{LAYER}lambda_([12])", r"blocks.\1.gamma_\2"),
        (rf"{LAYER}attention\.attention\.relative_position_bias\.relative_position_bias_table",
         r"blocks.\1.attn.relative_position_bias_table"),
        (r"encoder\.relative_position_bias\.relative_position_bias_table", "rel_pos_bias.relative_position_bias_table"),
        (r"pooler\.layernorm\.(\w+)", r"fc_norm.\1"),
    ),
    "dinov2": (
        *EMBEDDINGS,
        *_layers(LAYER, r"blocks.\1.", "attention", "norm1", "norm2", (r"mlp\.fc1", r"mlp\.fc2")),
        (rf"{LAYER}mlp\.weights_in\.(\w+)", r"blocks.\1.mlp.fc1.\2"),
        (rf"{LAYER}mlp\.weights_out\.(\w+)", r"blocks.\1.mlp.fc2.\2"),
        (rf"{LAYER}layer_scale([12])\.lambda1", r"blocks.\1.ls\2.gamma"),
    ),
    "swin": (
        (r"classifier\.(weight|bias)", r"head.fc.\1"),
        *EMBEDDINGS,
        *_layers(BLOCK, r"layers.\1.blocks.\2.", "self"),
        (rf"{BLOCK}attention\.self\.relative_position_bias_table",
         r"layers.\1.blocks.\2.attn.relative_position_bias_table"),
        # timm shrinks the grid before a stage, and not behind the one before
        (r"encoder\.layers\.(\d+)\.downsample\.(.+)",
         lambda found: f"layers.{int(found[1]) + 1}.downsample.{found[2]}"),
    ),
}  # fmt: skip
PREFIX = {"deit_taught": "deit."}  # of a body, where it is not its own name
# What has no place because nothing reads it: a token for pre-training, and tables that follow from the window's size.
UNREAD = re.compile(r"embeddings\.mask_token|(.+\.)?relative_position_index")


THREE = re.compile(r"(.+\.attn)\.(query|key|value)\.(weight|bias)")


@dataclass(frozen=True)
class Translation:
    """Tensors by timm's names, from those of `transformers`. It can be pickled, as all of a row can."""

    where: str  # the repository, folder or name, for the message
    architecture: str  # as config.json calls it
    body: str  # a key of RULES
    grid: Size  # of patches, (rows, columns)

    def __call__(self, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors that are wanted, in their shapes.

        Raises:
            WeightsError: tensors are missing, left over or of another shape; the text names them.
        """
        found, left = renamed(given, self.body, PREFIX.get(self.body, f"{self.body}."))
        if self.body == "dinov2" and "pos_embed" in found:
            found["pos_embed"] = resampled(found["pos_embed"], self.grid)
        both = found.keys() & wanted.keys()
        kinds = {
            "left over": sorted(left) + sorted(found.keys() - wanted.keys()),
            "missing": sorted(wanted.keys() - found.keys()),
            "of another shape": sorted(
                f"{key} {tuple(found[key].shape)} for {tuple(wanted[key].shape)}"
                for key in both
                if found[key].shape != wanted[key].shape
            ),
        }
        if any(kinds.values()):
            faults = "; ".join(f"{len(keys)} {kind}: {_some(keys)}" for kind, keys in kinds.items() if keys)
            raise WeightsError(f"The tensors of {self.where} are not those of {self.architecture}: {faults}.")
        return found


def dinov2(given: Mapping[str, Tensor], prefix: str = "backbone.") -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of a Dinov2Model by the names of timm's `vit_*_patch14_dinov2`, and the names that have no place.

    Args:
        given: by the names that `transformers` gives them, behind a prefix.
        prefix: the same for all of them.
    """
    return renamed(given, "dinov2", prefix)


def renamed(given: Mapping[str, Tensor], body: str, prefix: str) -> tuple[dict[str, Tensor], list[str]]:
    """Tensors by timm's names, queries, keys and values as one, and the names of those that no rule knows.

    Args:
        given: by the names in the file.
        body: a key of RULES.
        prefix: of all tensors but those of the head.
    """
    found, left = {}, []
    for name, tensor in given.items():
        inside, inner = name.startswith(prefix), name.removeprefix(prefix)
        ours = _renamed(inner, RULES[body])
        if ours is not None and inside != ours.startswith("head"):
            found[ours] = tensor
        elif not (inside and UNREAD.fullmatch(inner)):
            left.append(name)
    return _joined(found, body), left


def _renamed(name: str, rules: Rules) -> str | None:
    for pattern, ours in rules:
        if match := re.fullmatch(pattern, name):
            return ours(match) if callable(ours) else match.expand(ours)
    return None


def _joined(found: dict[str, Tensor], body: str) -> dict[str, Tensor]:
    """The same with queries, keys and values as one tensor; BEiT keeps two biases, and has none for its keys."""
    import torch

    joined = {}
    for name, tensor in found.items():
        if not (match := THREE.fullmatch(name)):
            joined[name] = tensor
            continue
        stem, part, kind = match.groups()
        three = [found.get(f"{stem}.{each}.{kind}") for each in ("query", "key", "value")]
        if body == "beit" and kind == "bias":
            joined[f"{stem}.{part[0]}_bias"] = tensor
        elif any(each is None or each.shape != tensor.shape for each in three):  # to be named as left over
            joined[name] = tensor
        else:
            joined[f"{stem}.qkv.{kind}"] = torch.cat(three)
    return joined


def resampled(embedding: Tensor, grid: Size) -> Tensor:
    """Position embeddings (1, 1 + s * s, D) for another grid, as `transformers` resamples those of Dinov2."""
    import torch

    side = int((embedding.shape[1] - 1) ** 0.5)
    if (side, side) == tuple(grid) or 1 + side * side != embedding.shape[1]:
        return embedding
    square = embedding[:, 1:].float().unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (1, D, s, s)
    square = torch.nn.functional.interpolate(square, size=tuple(grid), mode="bicubic", align_corners=False)
    return torch.cat([embedding[:, :1].float(), square.permute(0, 2, 3, 1).flatten(1, 2)], 1)


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
