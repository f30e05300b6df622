"""An analysis as files, for the page and the command line: numbers as JSON, raw maps as NPZ and NPY, pictures as PNG.

Maps are saved raw, as their method gives them, in two forms: on their own grid, and drawn onto the whole picture
(`views.place`: values keep their height), where they are 0 outside of what was seen. A long side has at most 448 cells.
"""

import io
import json
import math
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np

from vitdemo import draw
from vitdemo.elsewhere import Elsewhere
from vitdemo.errors import VitdemoError
from vitdemo.explain import EXPLANATIONS
from vitdemo.labels import first_name
from vitdemo.naming import name_of
from vitdemo.pipeline import FUSED, Analysis
from vitdemo.types import Heat, NotOffered
from vitdemo.views import canvas_shape, place

VERSION = 1  # of the JSON; goes up when a key changes its meaning or goes away
PACKAGES = ("torch", "timm", "captum")


def to_json(analysis: Analysis, name: str = "", other: Elsewhere | None = None) -> dict:
    """Everything about an analysis but the maps themselves. Strictly valid JSON: what is not finite is null.

    Args:
        analysis: of one picture.
        name: what the picture is called, or its path; the analysis's own unless given.
        other: what another collection says of the picture, if it was asked.
    """
    names, (width, height) = [row.name for row in analysis.backbones], analysis.picture.size
    return {
        "version": VERSION,
        "picture": {"name": name_of(name or analysis.name), "width": width, "height": height},
        "fused": {
            "top": analysis.top(1)[0][0],
            "top5": [{"label": label, "probability": p} for label, p in analysis.top(5)],
            "probabilities": _named(analysis, FUSED),
        },
        "backbones": {
            row.name: {
                "top": analysis.top(1, row.name)[0][0],
                "weight": float(weight),
                "probabilities": _named(analysis, row.name),
            }
            for row, weight in zip(analysis.backbones, analysis.fused.weights, strict=True)
        },
        "elsewhere": None if other is None else asdict(other),
        "broken": dict(analysis.broken),
        "agreement": analysis.fused.agreement,
        "divergence": {  # Jensen-Shannon, in bits
            f"{a}/{b}": float(analysis.divergence[i, j])
            for i, a in enumerate(names)
            for j, b in enumerate(names)
            if i < j
        },
        "target": analysis.labels[analysis.target],
        "against": None if analysis.against is None else analysis.labels[analysis.against],
        "device": analysis.device,
        "seconds": analysis.seconds,
        "settings": asdict(analysis.request),
        "maps": {
            subject: {method: _described(heat) for method, heat in each.items()}
            for subject, each in analysis.maps.items()
        },
        "trust": {
            subject: {method: trust.figures() for method, trust in each.items()}
            for subject, each in analysis.trust.items()
        },
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of this program (its commit, where it is a checkout), of Python, and of the packages that compute."""
    commit = commit_of(Path(__file__).parents[1])
    own = {"vitdemo": commit[:12]} if commit else {}
    return own | {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}


def commit_of(folder: Path) -> str:
    """The commit that a folder is a checkout of, "" where it is none. Read from Git's files: there may be no Git."""
    git = folder / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="ascii").strip()
        name = head.removeprefix("ref: ")
        if name == head:
            return head
        if (git / name).is_file():
            return (git / name).read_text(encoding="ascii").strip()
        packed = (git / "packed-refs").read_text(encoding="utf-8").splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "")
    except (OSError, UnicodeDecodeError):
        return ""


def _named(analysis: Analysis, name: str) -> dict[str, float]:
    return dict(zip(analysis.labels, analysis.probabilities(name).tolist(), strict=True))


def _described(heat: Heat | NotOffered) -> dict:
    if isinstance(heat, NotOffered):
        return {"not_offered": heat.reason}
    return {
        "shape": list(heat.values.shape),
        "signed": heat.signed,
        "view": {"box": list(heat.view.box), "picture": list(heat.view.picture)},  # left, top, right, bottom in pixels
        "figures": {name: _finite(value) for name, value in heat.figures.items()},
    }


def _finite(value: float) -> float | int | None:
    value = value if isinstance(value, int) else float(value)
    return value if math.isfinite(value) else None


def dumps(document: object) -> str:
    """A document as strictly valid JSON text."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def on_picture(heat: Heat) -> tuple[np.ndarray, np.ndarray]:
    """The raw map (H, W) float32 in the picture's proportions, 0 where nothing was seen; and (H, W) bool, what was."""
    return place(heat.values, heat.view, canvas_shape(heat.view.picture, draw.SIDE))


def drawn(analysis: Analysis) -> Iterator[tuple[str, str, Heat]]:
    """(subject, method, map) of every map that there is."""
    for subject, each in analysis.maps.items():
        for method, heat in each.items():
            if isinstance(heat, Heat):
                yield subject, method, heat


def save_maps(analysis: Analysis) -> bytes:
    """An NPZ of all maps, raw.

    Keys: SUBJECT/METHOD (H, W) float32 on the whole picture, SUBJECT/METHOD/seen (H, W) bool, and SUBJECT/METHOD/raw
    (h, w) float32 on the map's own grid, which lies in the view that the JSON gives.
    """
    arrays = {}
    for subject, method, heat in drawn(analysis):
        key = f"{subject}/{method}"
        arrays[key], arrays[f"{key}/seen"] = on_picture(heat)
        arrays[f"{key}/raw"] = heat.values.astype(np.float32)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def check_display(scale: str, colour_map: str, opacity: float) -> None:
    """Raises VitdemoError unless maps can be drawn so."""
    draw.SCALES.get(scale)
    draw.COLOUR_MAPS.get(colour_map)
    if not 0 <= opacity <= 1:
        raise VitdemoError(f"opacity is {opacity}; allowed: 0 to 1.")


def figure(analysis: Analysis, scale: str = "each", colour_map: str = "magma", opacity: float = 0.6) -> bytes:
    """A PNG of all maps: one row for the fusion and each backbone, one column per method.

    Args:
        analysis: of one picture; no backbone is asked again.
        scale: in `draw.SCALES`.
        colour_map: in `draw.COLOUR_MAPS`, for unsigned maps.
        opacity: of the maps over the picture, 0 to 1.

    Raises:
        VitdemoError: any of them is not allowed.
    """
    check_display(scale, colour_map, opacity)
    maps = analysis.maps or {FUSED: {}}
    methods = dict.fromkeys(method for each in maps.values() for method in each)
    return draw.grid(
        analysis.picture,
        maps,
        titles={method: EXPLANATIONS.get(method).title for method in methods},
        captions=captions(analysis),
        scale=scale,
        colour_map=colour_map,
        opacity=opacity,
        heading=_heading(analysis) if methods else "",
    )


def _heading(analysis: Analysis) -> str:
    against = "" if analysis.against is None else f", compared with {analysis.labels[analysis.against]}"
    return f"Maps for: {analysis.labels[analysis.target]}{against}"


def captions(analysis: Analysis) -> Mapping[str, str]:
    """What to write beside each row: how probable it finds the target, its weight, and its first choice if another."""
    target = analysis.labels[analysis.target]
    weights = {row.name: weight for row, weight in zip(analysis.backbones, analysis.fused.weights, strict=True)}
    lines = {FUSED: f"{FUSED}: {target} {percent(analysis.probabilities()[analysis.target])}"}
    for name, weight in weights.items():
        lines[name] = f"{name} {percent(analysis.probabilities(name)[analysis.target])}, weight {weight:.2f}"
    for name in lines:
        first = analysis.top(1, name)[0][0]
        if first != target:
            lines[name] += f"\nsays {first}"
    return lines


def percent(share: float) -> str:
    """A share of 1 in whole per cent, such as "97 %"."""
    return f"{100 * share:.0f} %"


def files(
    analysis: Analysis, name: str = "", scale: str = "each", colour_map: str = "magma", opacity: float = 0.6
) -> Iterator[tuple[str, bytes]]:
    """(file name, content) of everything that the command line writes for one picture.

    result.json and figure.png; for each map SUBJECT.METHOD.png, over the picture and alone with its colour bar, and
    SUBJECT.METHOD.npy, raw on the whole picture (H, W) float32.
    """
    check_display(scale, colour_map, opacity)
    yield "result.json", dumps(to_json(analysis, name)).encode()
    bounds = draw.scaled(analysis.maps, scale)
    for subject, method, heat in drawn(analysis):
        title = f"{EXPLANATIONS.get(method).title} of {subject}"
        if EXPLANATIONS.get(method).class_specific:
            title += f" for {first_name(analysis.labels[analysis.target])}"
        drawing = draw.single(analysis.picture, heat, bounds[subject, method], title, colour_map, opacity)
        yield f"{subject}.{method}.png", drawing
        buffer = io.BytesIO()
        np.save(buffer, on_picture(heat)[0])
        yield f"{subject}.{method}.npy", buffer.getvalue()
    yield "figure.png", figure(analysis, scale, colour_map, opacity)
