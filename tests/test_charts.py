"""Charts: nothing lies on anything else, and everything stands where its figures say."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from vitdemo.charts import (
    Bin,
    Box,
    Point,
    amount,
    log_ticks,
    place_labels,
    reliability,
    scatter,
    side_by_side,
    spread,
    ticks,
)


def some(count: int, fused: int, seed: int = 0) -> list[Point]:
    """Points as a table holds them: single ones everywhere, fusions at one cost and nearly one accuracy."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(count + fused):
        y = rng.uniform(0.7, 0.9) if index < count else rng.uniform(0.87, 0.89)
        x = 10 ** rng.uniform(8, 9) if index < count else 4e9
        found.append(Point(f"name {index}", x, y, y - 0.03, y + 0.02, "#000000", index >= count))
    return found


def drawn(points: list[Point], **more) -> ElementTree.Element:
    return ElementTree.fromstring(scatter(points, "Title", "About", "cost", "right", 880, 400, **more))


@pytest.mark.parametrize("seed", range(5))
def test_spread_keeps_order_and_gaps_and_is_nearest(seed):
    rng = np.random.default_rng(seed)
    wanted = rng.uniform(0, 100, 8)
    found = np.array(spread(wanted, 10, 0, 100))
    order = np.argsort(wanted)
    assert (np.diff(found[order]) >= 10 - 1e-9).all() and found.min() >= 0 and found.max() <= 100
    for _ in range(200):  # no other places that are allowed are nearer
        other = np.sort(rng.uniform(0, 100, 8))
        if (np.diff(other) >= 10).all():
            assert ((found[order] - wanted[order]) ** 2).sum() <= ((other - wanted[order]) ** 2).sum() + 1e-9


def test_spread_leaves_alone_what_is_apart_and_shares_what_room_there_is():
    assert spread([30, 10, 70], 10) == [30, 10, 70]
    assert spread([5, 5, 5], 10) == pytest.approx([-5, 5, 15])
    assert sorted(spread([1, 1, 1], 10, 0, 10)) == pytest.approx([0, 5, 10])
    assert spread([], 10) == []


def test_side_by_side_keeps_everything_near_its_figure():
    assert side_by_side([50, 50, 50], 9, 20, 0, 100) == pytest.approx([41, 50, 59])  # there is room for the gaps
    found = side_by_side([90] * 11 + [20], 9, 6, 0, 100)
    assert max(abs(place - 90) for place in found[:11]) <= 6 and found[11] == 20
    assert (np.diff(np.sort(found)) > 1).all()  # and still each can be told
    assert side_by_side([], 9, 6, 0, 100) == []


def test_ticks_are_round():
    assert ticks(0.7, 0.9) == pytest.approx([0.7, 0.75, 0.8, 0.85, 0.9])
    assert ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert log_ticks(9e7, 2.1e9) == pytest.approx([1e8, 2e8, 5e8, 1e9, 2e9])
    assert log_ticks(3e8, 4.1e8) == pytest.approx([3e8, 4e8])
    assert [amount(value) for value in (2.5e8, 1.5e9, 20, 3000, 999_900_000)] == ["250 M", "1.5 G", "20", "3 k", "1 G"]


@pytest.mark.parametrize("seed", range(4))
def test_labels_do_not_cover_each_other(seed):
    rng = np.random.default_rng(seed)
    anchors = [(float(x), float(y)) for x, y in rng.uniform((80, 40), (700, 340), (9, 2))]
    widths = [float(width) for width in rng.uniform(24, 80, 9)]
    places = place_labels(anchors, widths, [], Box(40, 10, 800, 380))
    boxes = []
    for (x, y, anchor), width in zip(places, widths, strict=True):
        left = {"start": x, "middle": x - width / 2, "end": x - width}[anchor]
        boxes.append(Box(left, y - 11, left + width, y + 2))
    assert not any(a.meets(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize(("count", "fused"), [(3, 5), (9, 11), (1, 0), (0, 2)])
def test_every_point_is_named_and_says_its_figures(count, fused):
    points = some(count, fused)
    svg = drawn(points)
    texts = [text.text for text in svg.iter("text")]
    assert all(texts.count(point.name) == 1 for point in points)
    titles = [title.text for title in svg.iter("title")]
    assert (
        f"{points[0].name}: {100 * points[0].y:.1f} % ({100 * points[0].low:.1f}–{100 * points[0].high:.1f} %)"
        in titles
    )
    assert svg.get("role") == "img" and svg.get("aria-label") == "Title. About"
    columns = [float(text.get("y")) for text in svg.iter("text") if text.text in [p.name for p in points if p.fused]]
    assert all(abs(a - b) >= 13 for i, a in enumerate(columns) for b in columns[:i])


def test_points_stand_where_their_figures_say():
    points = [
        Point("a", 1e8, 0.7, 0.7, 0.7, "red"),
        Point("b", 1e9, 0.8, 0.8, 0.8, "red"),
        Point("c", 1e10, 0.9, 0.9, 0.9, "red"),
    ]
    places = [(float(c.get("cx")), float(c.get("cy"))) for c in drawn(points).iter("circle")]
    (x1, y1), (x2, y2), (x3, y3) = places
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2) and x1 < x2  # each ten times as much
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.2) and y1 > y2  # more is higher


@pytest.mark.parametrize("width", [366, 880])
def test_what_costs_the_same_stands_near_its_cost(width):
    points = some(10, 11)
    svg = ElementTree.fromstring(scatter(points, "Title", "About", "cost", "right", width, 400))
    places = [float(rect.get("x")) + 4 for rect in svg.iter("rect")]
    circles = [float(circle.get("cx")) for circle in svg.iter("circle")]
    assert len(places) == 11 and min(places) > max(circles)  # every fusion costs more than every single one
    bottom = [path.get("d") for path in svg.iter("path") if path.get("class") == "axis"][-1]
    left, _, right, _ = map(float, re.findall(r"[\d.]+", bottom))
    assert max(places) - min(places) <= 0.12 * (right - left) + 0.2


def test_names_are_text_and_not_markup():
    evil = "<script>alert(1)</script>"
    svg = scatter([Point(evil, 1, 0.5, 0.4, 0.6, "red")], evil, "", "x", "y", 400, 300, level=(0.5, evil))
    assert "<script" not in svg and ElementTree.fromstring(svg) is not None


def test_reliability_puts_what_is_right_on_the_line():
    bins = [Bin(0.5, 0.5, 10), Bin(0.9, 0.6, 40), Bin(0.0, 0.0, 0)]
    svg = ElementTree.fromstring(reliability(bins, "t", "d", "x", "y", "red"))
    (x1, y1, r1), (_, y2, r2) = [[float(c.get(key)) for key in ("cx", "cy", "r")] for c in svg.iter("circle")]
    line = next(path.get("d") for path in svg.iter("path") if path.get("class") == "level")
    left, bottom, right, top = map(float, re.findall(r"[\d.]+", line))
    assert (x1 - left) / (right - left) == pytest.approx((bottom - y1) / (bottom - top), abs=1e-3)
    assert (bottom - y2) / (bottom - top) == pytest.approx(0.6, abs=1e-3)
    assert r2 == pytest.approx(2 * r1, abs=0.2)  # four times the pictures, four times the area
