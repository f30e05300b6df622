"""The shipped pictures: NAME.jpg, NAME.FLOWER.mask.png (white where that flower is), samples.json."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vitdemo.errors import VitdemoError
from vitdemo.samples.scene import draw

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "samples"
INDEX = "samples.json"
SIZE = 384  # three times what the bundled backbones look at, and sharp on a page
QUALITY = 92  # JPEG: grain makes PNG five times as large


@dataclass(frozen=True)
class Shipped:
    """A sample picture on disk."""

    name: str
    file: Path  # JPEG, SIZE x SIZE
    flowers: tuple[str, ...]  # F
    seed: int
    masks: tuple[Path, ...]  # F one-bit PNGs, white where that flower's heads are
    alt: Mapping[str, str]  # what is to be seen, by language: en, zh


# Name, flowers, seed, and what is to be seen. Seeds were chosen by eye among pictures that are recognised.
CHOSEN: tuple[tuple[str, tuple[str, ...], int, str, str], ...] = (
    (
        "daisy",
        ("daisy",),
        6,
        "A drawn daisy: white petals about a yellow disc, before blurred green.",
        "一朵绘制的雏菊：白色花瓣围着黄色花心，背景是模糊的绿色。",
    ),
    (
        "dandelion",
        ("dandelion",),
        19,
        "Two drawn yellow dandelions in the grass, one above the other.",
        "草丛中两朵绘制的黄色蒲公英，一高一低。",
    ),
    (
        "seeds",
        ("dandelion",),
        6,
        "Two drawn dandelions gone to seed: white see-through balls in the grass.",
        "两朵绘制的结籽蒲公英：草丛中半透明的白色绒球。",
    ),
    (
        "rose",
        ("roses",),
        14,
        "A drawn red rose from above, with its leaves.",
        "一朵从上方看的绘制红玫瑰，带有叶子。",
    ),
    (
        "sunflowers",
        ("sunflowers",),
        10,
        "Four drawn sunflowers before a blue sky with clouds.",
        "蓝天白云下四朵绘制的向日葵。",
    ),
    (
        "tulips",
        ("tulips",),
        11,
        "Four drawn pink tulips with long leaves in a garden.",
        "花园里四朵绘制的粉色郁金香，带有长叶。",
    ),
    (
        "daisy-rose",
        ("daisy", "roses"),
        7,
        "A drawn daisy at the upper left and a red rose at the lower right, before a dark background.",
        "深色背景前，左上方是一朵绘制的雏菊，右下方是一朵红玫瑰。",
    ),
    (
        "sunflower-tulip",
        ("sunflowers", "tulips"),
        3,
        "A drawn red tulip on the left and a sunflower on the right, before a blue sky.",
        "蓝天下，左边是一朵绘制的红色郁金香，右边是一朵向日葵。",
    ),
    (
        "dandelion-tulip",
        ("dandelion", "tulips"),
        5,
        "A drawn ball of dandelion seeds on the left and a red tulip on the right, before blurred green.",
        "模糊的绿色背景前，左边是绘制的白色蒲公英绒球，右边是一朵红色郁金香。",
    ),
    (
        "daisy-sunflower",
        ("daisy", "sunflowers"),
        2,
        "A drawn sunflower on the left and a daisy on the right, before a blue sky with clouds.",
        "蓝天白云下，左边是一朵绘制的向日葵，右边是一朵雏菊。",
    ),
)


def write(folder: Path = FOLDER, chosen: Sequence = CHOSEN, size: int = SIZE) -> list[Shipped]:
    """Draws the chosen pictures and writes them with their masks and the index, always the same files.

    Args:
        folder: where to; made if it is not there.
        chosen: rows like those of `CHOSEN`.
        size: side in pixels.

    Returns:
        What was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, flowers, seed, english, chinese in chosen:
        sample = draw(flowers, seed, size)
        masks = [f"{name}.{flower}.mask.png" for flower in flowers]
        Image.fromarray(sample.picture).save(folder / f"{name}.jpg", quality=QUALITY, subsampling=0, optimize=True)
        for file, mask in zip(masks, sample.masks, strict=True):
            Image.fromarray(mask).save(folder / file, optimize=True)
        rows.append(
            {
                "name": name,
                "file": f"{name}.jpg",
                "flowers": list(flowers),
                "seed": seed,
                "size": size,
                "masks": masks,
                "alt": {"en": english, "zh": chinese},
            }
        )
    (folder / INDEX).write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return shipped(folder)


def shipped(folder: Path = FOLDER) -> list[Shipped]:
    """The sample pictures of a folder, in the order of its index.

    Raises:
        VitdemoError: the index is missing or damaged.
    """
    try:
        rows = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        return [
            Shipped(
                name=row["name"],
                file=folder / row["file"],
                flowers=tuple(row["flowers"]),
                seed=row["seed"],
                masks=tuple(folder / file for file in row["masks"]),
                alt=dict(row["alt"]),
            )
            for row in rows
        ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise VitdemoError(
            f"Expected the list of sample pictures in {INDEX}, which is missing or damaged; "
            "`python -m vitdemo.samples` makes it again."
        ) from error


def masks_of(entry: Shipped) -> dict[str, np.ndarray]:
    """Where the flowers of a sample are, (size, size) bool by flower."""
    return {flower: read_mask(mask) for flower, mask in zip(entry.flowers, entry.masks, strict=True)}


def read_mask(file: Path) -> np.ndarray:
    """A mask as (size, size) bool."""
    with Image.open(file, formats=("PNG",)) as mask:
        return np.array(mask.convert("1"))
