"""Small charts as SVG text: accuracy against cost, and how far confidence can be trusted.

Colours and type come from the page by CSS classes (`axis`, `grid`, `mark`, `label`, …) and `currentColor`, so that a
chart is right in the dark and at a projector. Every chart has a title and a description for those who do not see it;
its figures stand in a table besides. Shares are in 0..1, coordinates in pixels of the drawing, y downwards.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

GLYPH = 0.58  # width of a character in heights, a generous mean for a sans-serif type
CJK = 1.05  # the same for Chinese
TYPE = 13  # pixels
ASTRAY = 0.06  # of the width: how far from its figure a point may stand, so that those beside it can be seen


@dataclass(frozen=True)
class Point:
    """One thing measured: what it costs and how often it is right."""

    name: str
    x: float  # above 0
    y: float  # 0..1
    low: float  # of the interval of y
    high: float
    colour: str  # a CSS colour
    fused: bool = False  # drawn as a square, and named in the column at the right


@dataclass(frozen=True)
class Bin:
    """Some answers of about the same confidence."""

    confidence: float  # their mean, 0..1
    accuracy: float  # share that is right, 0..1
    count: int


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def text_width(text: str, size: float = TYPE) -> float:
    """Pixels that a text takes at most, near enough to keep labels apart."""
    return size * sum(CJK if ord(letter) > 0x2E7F else GLYPH for letter in text)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers in low..high, about `count` of them: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten in low..high, both above 0; all digits where these are fewer than two."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        found = [factor * 10.0**p for p in powers for factor in factors if low <= factor * 10.0**p <= high]
        if len(found) >= 2:
            break
    return found


def spread(wanted: Sequence[float], gap: float, low: float = -math.inf, high: float = math.inf) -> list[float]:
    """Places at least `gap` apart within low..high, in the order of what is wanted and as near to it as can be.

    Least squares: isotonic regression of the places less the gaps before them (Barlow et al., 1972: pool adjacent
    violators). Where there is no room the gap is smaller, and the same between any two.
    """
    count = len(wanted)
    gap = min(gap, (high - low) / max(1, count - 1))
    order = sorted(range(count), key=lambda index: wanted[index])
    blocks: list[list[float]] = []  # sum, number of members
    for rank, index in enumerate(order):
        blocks.append([wanted[index] - rank * gap, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            total, members = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += members
    less_gaps = [total / members for total, members in blocks for _ in range(int(members))]
    found = [0.0] * count
    for rank, index in enumerate(order):
        found[index] = min(max(less_gaps[rank], low), high - (count - 1) * gap) + rank * gap
    return found


def side_by_side(wanted: Sequence[float], gap: float, far: float, low: float, high: float) -> list[float]:
    """As `spread`, but nothing further than `far` from where it belongs: then the gaps are smaller.

    Args:
        wanted: within low..high.
        gap: pixels between any two, where there is room.
        far: pixels, above 0; a place further away would say another figure.
    """
    found = spread(wanted, gap, low, high)
    while gap > 0.01 and max((abs(a - b) for a, b in zip(found, wanted, strict=True)), default=0) > far:
        gap *= 0.95
        found = spread(wanted, gap, low, high)
    return found


def place_labels(
    anchors: Sequence[tuple[float, float]], widths: Sequence[float], taken: Sequence[Box], room: Box
) -> list[tuple[float, float, str]]:
    """Where names can stand beside their points without covering each other or what is `taken`.

    Returns:
        For each the (x, y) of its text's baseline, and its anchor: "start", "middle" or "end".
    """
    boxes = list(taken)
    found = []
    for (x, y), width in zip(anchors, widths, strict=True):
        tries = []
        for away in (10, 22, 38, 58, 80, 110):
            for dx, dy, anchor in (
                (away, 0, "start"), (-away, 0, "end"), (0, -away, "middle"), (0, away, "middle"),
                (away, -away, "start"), (-away, -away, "end"), (away, away, "start"), (-away, away, "end"),
            ):  # fmt: skip
                left = {"start": x + dx, "middle": x + dx - width / 2, "end": x + dx - width}[anchor]
                box = Box(left - 2, y + dy - TYPE / 2 - 2, left + width + 2, y + dy + TYPE / 2 + 2)
                inside = box.left >= room.left and box.right <= room.right
                inside = inside and box.top >= room.top and box.bottom <= room.bottom
                tries.append(
                    (not inside, sum(box.meets(other) for other in boxes), away, len(tries), box, anchor, dx, dy)
                )
        *_, box, anchor, dx, dy = min(tries, key=lambda each: each[:4])
        boxes.append(box)
        found.append((x + dx, y + dy + TYPE * 0.35, anchor))
    return found


def scatter(
    points: Sequence[Point],
    title: str,
    description: str,
    x_title: str,
    y_title: str,
    width: int,
    height: int,
    level: tuple[float, str] | None = None,
) -> str:
    """Accuracy with its interval against cost, on a logarithmic axis, each point named beside it.

    Args:
        points: at least one.
        title, description: for those who do not see it.
        x_title, y_title: of the axes.
        width, height: pixels.
        level: an accuracy to draw a line at, and its name, or "" where there is no room for one.
    """
    points = sorted(points, key=lambda point: point.y)  # of those side by side the best is next to the names
    fused = [point for point in points if point.fused]
    column = max((text_width(point.name) for point in fused), default=0) + (34 if fused else 12)
    left, top, right, bottom = 46, 30, width - column, height - 40
    least, most = min(p.x for p in points), max(p.x for p in points)
    margin = max(1.25, (most / least) ** 0.12)
    low_x, high_x = math.log(least / margin), math.log(most * margin)
    low_y, high_y = min(p.low for p in points), max(p.high for p in points)
    low_y, high_y = max(0, low_y - 0.01), min(1, high_y + 0.01)

    def at_x(value: float) -> float:
        return left + (right - left) * (math.log(value) - low_x) / (high_x - low_x)

    def at_y(value: float) -> float:
        return bottom - (bottom - top) * (value - low_y) / ((high_y - low_y) or 1)

    wanted = [at_x(point.x) for point in points]
    xs = side_by_side(wanted, 9, ASTRAY * (right - left), left + 6, right - 6)  # what costs the same
    parts = [
        _text(left - 36, 14, y_title, "axis-title", "start"),
        _text((left + right) / 2, height - 6, x_title, "axis-title", "middle"),
    ]
    for value in ticks(low_y, high_y):
        parts.append(_line(left, at_y(value), right, at_y(value), "grid"))
        parts.append(_text(left - 6, at_y(value) + 4, f"{100 * value:.0f} %", "tick", "end"))
    far = -math.inf
    for value in log_ticks(math.exp(low_x), math.exp(high_x)):
        text = amount(value)
        if at_x(value) - text_width(text) / 2 > far:
            far = at_x(value) + text_width(text) / 2 + 6
            parts.append(_line(at_x(value), bottom, at_x(value), bottom + 4, "axis"))
            parts.append(_text(at_x(value), bottom + 18, text, "tick", "middle"))
    parts.append(_line(left, bottom, right, bottom, "axis"))
    taken = []
    if level:
        value, name = level
        parts.append(_line(left, at_y(value), right, at_y(value), "level"))
        if name:
            wide = text_width(name)
            taken.append(Box(left, at_y(value) - TYPE - 4, left + wide + 8, at_y(value)))
            parts.append(_text(left + 4, at_y(value) - 5, name, "label level-name", "start"))
    for point, x in zip(points, xs, strict=True):
        bar, mark = _interval(x, at_y(point.low), at_y(point.high)), _mark(x, at_y(point.y), point.fused)
        words = f"{point.name}: {100 * point.y:.1f} % ({100 * point.low:.1f}–{100 * point.high:.1f} %)"
        parts.append(f'<g class="mark" style="--mark:{point.colour}"><title>{escape(words)}</title>{bar}{mark}</g>')
        taken.append(Box(x - 6, at_y(point.y) - 6, x + 6, at_y(point.y) + 6))
        taken.append(Box(x - 3, at_y(point.high), x + 3, at_y(point.low)))
    alone = [(point, x) for point, x in zip(points, xs, strict=True) if not point.fused]
    places = place_labels(
        [(x, at_y(point.y)) for point, x in alone],
        [text_width(point.name) for point, _ in alone],
        taken,
        Box(left, 18, right + (0 if fused else column), bottom),
    )
    for (point, x), (to_x, to_y, anchor) in zip(alone, places, strict=True):
        if abs(to_x - x) + abs(to_y - TYPE * 0.35 - at_y(point.y)) > 30:
            parts.append(_line(x, at_y(point.y), to_x, to_y - TYPE * 0.35, "leader"))
        parts.append(_text(to_x, to_y, point.name, "label", anchor))
    together = [(point, x) for point, x in zip(points, xs, strict=True) if point.fused]
    rows = spread([at_y(point.y) for point, _ in together], TYPE + 3, top, bottom)
    for (point, x), row in zip(together, rows, strict=True):
        parts.append(f'<path class="leader" d="M{x + 5:.1f} {at_y(point.y):.1f}L{right + 6:.1f} {row:.1f}h8"/>')
        parts.append(_text(right + 18, row + TYPE * 0.35, point.name, "label", "start"))
    return _svg(width, height, title, description, parts)


def reliability(bins: Sequence[Bin], title: str, description: str, x_title: str, y_title: str, colour: str) -> str:
    """Accuracy against confidence (Guo et al., 2017, arXiv 1706.04599, figure 1); areas are numbers of pictures."""
    width, height = 360, 352
    left, top, right, bottom = 46, 30, 348, 304
    filled = [each for each in bins if each.count]

    def at(confidence: float, accuracy: float) -> tuple[float, float]:
        return left + (right - left) * confidence, bottom - (bottom - top) * accuracy

    parts = [
        _text(left - 36, 14, y_title, "axis-title", "start"),
        _text((left + right) / 2, height - 6, x_title, "axis-title", "middle"),
    ]
    for value in (0, 0.25, 0.5, 0.75, 1):
        x, y = at(value, value)
        parts += [
            _line(left, y, right, y, "grid"),
            _text(left - 6, y + 4, f"{100 * value:.0f} %", "tick", "end"),
            _text(x, bottom + 18, f"{100 * value:.0f} %", "tick", "end" if value == 1 else "middle"),
        ]
    parts.append(_line(*at(0, 0), *at(1, 1), "level"))
    most = max((each.count for each in filled), default=1)
    for each in filled:
        x, y = at(each.confidence, each.accuracy)
        radius = max(2.5, 16 * math.sqrt(each.count / most))
        words = f"{100 * each.confidence:.0f} % → {100 * each.accuracy:.0f} % ({each.count})"
        parts.append(
            f'<g class="mark" style="--mark:{colour}"><title>{escape(words)}</title>'
            f"{_line(x, y, *at(each.confidence, each.confidence), 'gap')}"
            f'<circle class="bubble" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/></g>'
        )
    return _svg(width, height, title, description, parts)


def amount(value: float) -> str:
    """A number as an axis says it: "250 M", "1.5 G", "20"."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def _svg(width: int, height: int, title: str, description: str, parts: Sequence[str]) -> str:
    label = escape(f"{title}. {description}")
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" style="--width:{width}px" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<path class="{kind}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def _interval(x: float, low: float, high: float) -> str:
    return (
        f'<path class="interval" d="M{x:.1f} {low:.1f}V{high:.1f}M{x - 3:.1f} {low:.1f}h6M{x - 3:.1f} {high:.1f}h6"/>'
    )


def _mark(x: float, y: float, square: bool) -> str:
    if square:
        return f'<rect class="dot" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
    return f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
