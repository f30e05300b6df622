"""Raw maps become pictures. Nothing here changes a map: scale, colours and opacity are choices of display.

Unsigned maps run through a perceptually uniform colour map from 0 up; signed maps through a diverging one centred at
0, red for the class and blue against it. What a backbone did not see is hatched, never drawn as unimportant.
"""

import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from vitdemo.lettering import fitted, style
from vitdemo.lettering import font_file as font_file
from vitdemo.registry import Registry
from vitdemo.types import Heat, NotOffered
from vitdemo.views import canvas_shape, place

COLOUR_MAPS: Registry[str] = Registry("colour map")  # for unsigned maps; all perceptually uniform
for _name in ("magma", "cividis", "viridis", "inferno"):
    COLOUR_MAPS.add(_name, _name)
DIVERGING = "RdBu_r"  # for signed maps; blue and red are told apart by the colour-blind

SCALES: Registry[str] = Registry("scale")
SCALES.add("each", "every map on its own scale, up to its own highest value")
SCALES.add("row", "all maps of one backbone and kind on one scale, so that its methods can be compared")
SCALES.add("all", "all maps of one method and grid on one scale, so that backbones can be compared")

PERCENTILE = 99.5  # the few brightest pixels of a gradient map would make all others look alike
SIDE = 448  # pixels on the long side of a drawn map
FINE = 64  # a grid with more cells than that on its short side is one of pixels, whose single values nobody can see
BLUR = 0.012  # standard deviation of the smoothing of such a map for display, as a share of its side

Maps = Mapping[str, Mapping[str, Heat | NotOffered]]  # backbone or "fused", then method


def displayed(heat: Heat) -> np.ndarray:
    """(h, w): the values that are coloured. A map of single pixels is smoothed a little, each value becoming an
    average over its neighbourhood, weighted by a Gaussian; any other map is drawn as it is."""
    if min(heat.values.shape) <= FINE:
        return heat.values
    rows, columns = (_gaussian(size) for size in heat.values.shape)
    return (rows @ heat.values @ columns.T).astype(np.float32)


def _gaussian(size: int) -> np.ndarray:
    """(size, size): rows that average over the neighbourhood."""
    index = np.arange(size)
    weights = np.exp(-((index[:, None] - index) ** 2) / (2 * (BLUR * size) ** 2))
    return weights / weights.sum(1, keepdims=True)


def limits(heats: Iterable[Heat]) -> tuple[float, float]:
    """The values that the ends of the colour map stand for: (0, high), or (-high, high) if a map is signed.

    `high` is the 99.5th percentile of the absolute values; what lies beyond has the colour of the end.
    """
    heats = list(heats)
    values = np.concatenate([np.abs(displayed(heat)).ravel() for heat in heats])
    high = float(np.percentile(values, PERCENTILE)) or float(values.max()) or 1.0
    return (-high if any(heat.signed for heat in heats) else 0.0), high


def scaled(maps: Maps, scale: str) -> dict[tuple[str, str], tuple[float, float]]:
    """The limits of each map under a scale in `SCALES`, by (row, method).

    Maps of different methods have different units, and are never put on one scale unless they share their sign
    convention and their row; the values of one method depend on how many cells its grid has.
    """
    SCALES.get(scale)
    heats = {
        (row, method): heat for row, each in maps.items() for method, heat in each.items() if isinstance(heat, Heat)
    }
    group = {
        "each": lambda row, method, heat: (row, method),
        "row": lambda row, method, heat: (row, heat.signed),
        "all": lambda row, method, heat: (method, heat.values.shape),
    }[scale]
    groups: dict[tuple, list[Heat]] = {}
    for (row, method), heat in heats.items():
        groups.setdefault(group(row, method, heat), []).append(heat)
    return {key: limits(groups[group(*key, heat)]) for key, heat in heats.items()}


def layer(heat: Heat, bounds: tuple[float, float], colour_map: str = "magma", side: int = SIDE) -> Image.Image:
    """A map in colours, to be laid over the picture: RGBA with the picture's proportions.

    It is transparent where nothing was seen.
    """
    values, seen = place(displayed(heat), heat.view, canvas_shape(heat.view.picture, side))
    low, high = bounds
    share = np.clip((values - low) / (high - low), 0, 1)
    rgba = colormaps[DIVERGING if low < 0 else COLOUR_MAPS.get(colour_map)](share, bytes=True)
    rgba[..., 3] = np.where(seen, 255, 0)
    return Image.fromarray(rgba)


def unseen(heat: Heat, side: int = SIDE) -> Image.Image | None:
    """Hatching over what the backbone did not see, RGBA, or nothing if it saw everything."""
    shape = canvas_shape(heat.view.picture, side)
    seen = place(heat.values, heat.view, shape)[1]
    if seen.all():
        return None
    y, x = np.indices(shape)
    line = (x + y) % 12 < 2
    rgba = np.zeros((*shape, 4), dtype=np.uint8)
    rgba[~seen] = (40, 40, 40, 150)
    rgba[~seen & line] = (235, 235, 235, 200)
    return Image.fromarray(rgba)


def shrunk(picture: Image.Image, side: int = SIDE) -> Image.Image:
    """The picture at the size at which maps are drawn."""
    height, width = canvas_shape(picture.size, side)
    return picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)


def overlay(
    picture: Image.Image, heat: Heat, bounds: tuple[float, float], colour_map: str = "magma", opacity: float = 0.6
) -> Image.Image:
    """The picture with a map over it, RGB.

    Args:
        picture: upright RGB, the one that the heat's view refers to.
        heat: the raw map.
        bounds: what the ends of the colour map stand for.
        colour_map: for an unsigned map.
        opacity: of the map, 0 to 1.
    """
    base = shrunk(picture).convert("RGBA")
    top = layer(heat, bounds, colour_map)
    top.putalpha(top.getchannel("A").point(lambda alpha: round(alpha * opacity)))
    base.alpha_composite(top)
    hatching = unseen(heat)
    if hatching:
        base.alpha_composite(hatching)
    return base.convert("RGB")


def single(
    picture: Image.Image,
    heat: Heat,
    bounds: tuple[float, float],
    title: str,
    colour_map: str = "magma",
    opacity: float = 0.6,
) -> bytes:
    """A PNG of one map: over the picture, and alone beside it with its colour bar."""
    ratio = min(max(picture.height / picture.width, 0.4), 1.8)  # beyond, the figure keeps its shape and leaves white
    figure = Figure(figsize=(9, 0.6 + 4 * ratio), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    left.imshow(overlay(picture, heat, bounds, colour_map, opacity))
    right.imshow(displayed(heat), cmap=_colour_map(bounds, colour_map), vmin=bounds[0], vmax=bounds[1])
    _colour_bar(figure, right, bounds, colour_map)
    left.set_title(fitted(title, 11, 4.2, 3), loc="left", **style(11))
    right.set_title(f"on its grid, {heat.values.shape[0]} × {heat.values.shape[1]}", loc="left", **style(11))
    for axes in (left, right):
        axes.set_axis_off()
    return _png(figure)


def grid(
    picture: Image.Image,
    maps: Maps,
    titles: Mapping[str, str],
    captions: Mapping[str, str],
    scale: str = "each",
    colour_map: str = "magma",
    opacity: float = 0.6,
    heading: str = "",
) -> bytes:
    """A PNG with one row for the fusion and each backbone, and one column per method.

    Args:
        picture: upright RGB.
        maps: raw maps, or why there is none, by row and method.
        titles: what to write above a column, by method.
        captions: what to write before a row, by row.
        scale, colour_map, opacity: how to draw.
        heading: a line above it all.
    """
    methods = list(dict.fromkeys(method for each in maps.values() for method in each))
    bounds = scaled(maps, scale)
    height, width = canvas_shape(picture.size, 1000)
    cell_h, cell_w = 2.2 * height / max(height, width), 2.2 * width / max(height, width)
    columns = len(methods) + 1
    figure = Figure(
        figsize=(max(columns * (cell_w + 0.75), 5), len(maps) * (cell_h + 0.35) + 0.9), layout="constrained"
    )
    figure.set_facecolor("white")
    axes = figure.subplots(len(maps), columns, squeeze=False)
    for row, (name, each) in enumerate(maps.items()):
        axes[row, 0].imshow(shrunk(picture))
        axes[row, 0].set_ylabel(fitted(captions.get(name, name), 10, cell_h + 0.25, 4), **style(10))
        for column, method in enumerate(methods, start=1):
            _cell(figure, axes[row, column], picture, each.get(method), bounds.get((name, method)), colour_map, opacity)
            if row == 0:
                axes[row, column].set_title(fitted(titles.get(method, method), 10, cell_w + 0.6, 2), **style(10))
    for one in axes.ravel():
        one.set_xticks([])
        one.set_yticks([])
        for spine in one.spines.values():
            spine.set_visible(False)
    if heading:
        figure.suptitle(fitted(heading, 11, figure.get_figwidth() - 0.3, 3), **style(11))
    return _png(figure)


def _cell(figure: Figure, axes, picture: Image.Image, heat, bounds, colour_map: str, opacity: float) -> None:
    if isinstance(heat, Heat):
        axes.imshow(overlay(picture, heat, bounds, colour_map, opacity))
        _colour_bar(figure, axes, bounds, colour_map)
    elif heat is not None:
        axes.text(
            0.5,
            0.5,
            fitted(heat.reason, 7, 1.8, 10),
            ha="center",
            va="center",
            **style(7),
            transform=axes.transAxes,
        )


def _colour_map(bounds: tuple[float, float], name: str):
    return colormaps[DIVERGING if bounds[0] < 0 else COLOUR_MAPS.get(name)]


def _colour_bar(figure: Figure, axes, bounds: tuple[float, float], colour_map: str) -> None:
    mappable = ScalarMappable(Normalize(*bounds), _colour_map(bounds, colour_map))
    bar = figure.colorbar(mappable, ax=axes, fraction=0.05, pad=0.02, ticks=[bounds[0], sum(bounds) / 2, bounds[1]])
    bar.ax.set_yticklabels([f"{value:.2g}" for value in bar.get_ticks()], fontsize=7)
    bar.outline.set_visible(False)


def colour_bar(signed: bool, colour_map: str = "magma", stops: int = 9) -> Sequence[str]:
    """The colours of a colour bar from low to high, as "#rrggbb", for a page that draws its own."""
    colours = colormaps[DIVERGING if signed else COLOUR_MAPS.get(colour_map)](np.linspace(0, 1, stops), bytes=True)
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b, _ in colours]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    return buffer.getvalue()
