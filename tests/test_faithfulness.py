"""Faithfulness against closed forms: a linear model of nine cells, masks by hand, weights that stay where they were."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from tests import families
from tests.conftest import TINY, everything_on, paint, stopping_after, subject_of
from vitdemo import faithfulness as faith
from vitdemo.errors import Cancelled, UnknownNameError, VitdemoError
from vitdemo.explain import Options, Subject
from vitdemo.explain.base import single_subjects
from vitdemo.faithfulness import curves
from vitdemo.faithfulness.cells import smoothed
from vitdemo.models import Models
from vitdemo.pipeline import Progress, Request, analyse
from vitdemo.result import dumps, to_json
from vitdemo.types import Heat, NotOffered, View
from vitdemo.views import cells

WHOLE = View((0.0, 0.0, 30.0, 30.0), (30, 30))
NINE = faith.Settings(grid=3, steps=8, random=4, fill="black")  # 3 x 3 cells, hidden one by one
SHARES = np.arange(10) / 9


class Linear(nn.Module):
    """p(class 1) is a weighted sum of all pixels of all inputs."""

    def __init__(self, *weights: np.ndarray):
        super().__init__()
        self.weights = [torch.from_numpy(each).float() for each in weights]
        self.batches: list[int] = []

    def forward(self, *pixels: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(pixels[0]))
        p = sum((x.mean(1) * w).sum((1, 2)) for x, w in zip(pixels, self.weights, strict=True))
        return torch.stack([1 - p, p], dim=1)


def linear(contributions: np.ndarray, picture_value: float = 1.0) -> Subject:
    """A white picture of 3 x 3 cells of 4 x 4 pixels; cell i adds contributions[i] to the probability."""
    weights = np.kron(np.reshape(contributions, (3, 3)), np.ones((4, 4))) / 16 / picture_value
    pixels = torch.full((1, 3, 12, 12), picture_value)
    return Subject((), Linear(weights), (pixels,), (WHOLE,), np.ones(1), ([],), 1)


def heat_of(values, view: View = WHOLE) -> Heat:
    values = np.asarray(values, dtype=np.float32)
    return Heat(values.reshape(3, 3) if values.ndim == 1 else values, signed=True, view=view)


@pytest.fixture
def truth() -> np.ndarray:
    """(9,) what each cell adds: different values, some against the class."""
    return np.array([0.30, -0.05, 0.02, 0.21, 0.11, -0.12, 0.07, 0.16, 0.01])


# deletion and insertion


def test_curves_of_a_linear_model_in_closed_form(truth, oracle):
    judge = faith.Judge(linear(truth), NINE)
    order = np.random.default_rng(1).permutation(9)
    values = np.empty(9)
    values[order] = np.arange(9, 0, -1)  # order[0] is the highest
    (pair,) = judge.curves([heat_of(values)])
    shown = np.concatenate([[0], np.cumsum(truth[order])])
    np.testing.assert_allclose(pair.insertion.shares, SHARES)
    closed = "closed form of a linear model"
    oracle("Insertion, deletion", closed, pair.insertion.values, shown, atol=1e-6)
    oracle("Insertion, deletion", closed, pair.deletion.values, truth.sum() - shown, atol=1e-6)
    rank = np.argsort(order)  # a cell that goes at place r was there for (r + 1/2) / n of the way
    oracle("Insertion, deletion", closed, pair.deletion.area, truth @ (rank + 0.5) / 9, atol=1e-6)
    oracle("Insertion, deletion", closed, pair.insertion.area, truth @ (8.5 - rank) / 9, atol=1e-6)
    oracle("Insertion, deletion", closed, pair.score, truth @ (8 - 2 * rank) / 9, atol=1e-6)


def test_no_order_is_better_than_the_true_one(truth):
    judge = faith.Judge(linear(truth), NINE)
    best, worst, *others = judge.curves(
        [heat_of(truth), heat_of(-truth), *(heat_of(np.random.default_rng(k).permutation(9)) for k in range(200))]
    )
    assert all(best.deletion.area < one.deletion.area and best.insertion.area > one.insertion.area for one in others)
    assert all(worst.score < one.score for one in others)
    assert worst.score == pytest.approx(-best.score, abs=1e-6)


def test_the_true_map_is_better_than_chance_and_its_opposite_worse(truth):
    judge = faith.Judge(linear(truth), replace(NINE, random=16))
    assert judge.trust(heat_of(truth)).word == faith.BETTER
    assert judge.trust(heat_of(-truth)).word == faith.WORSE
    assert judge.trust(heat_of(3 * truth + 7)).score == judge.trust(heat_of(truth)).score  # nothing but the order
    lone = faith.trust(linear(truth), heat_of(truth), settings=replace(NINE, random=16))
    assert lone.figures() == judge.trust(heat_of(truth)).figures()


def test_two_classes_are_compared(truth):
    """p(1) - p(0) = 2 p(1) - 1, so areas and scores follow."""
    alone = faith.trust(linear(truth), heat_of(truth), settings=NINE)
    compared = faith.trust(replace(linear(truth), against=0), heat_of(truth), settings=NINE)
    assert compared.deletion == pytest.approx(2 * alone.deletion - 1, abs=1e-6)
    assert compared.score == pytest.approx(2 * alone.score, abs=1e-6)
    assert compared.floor.sd == pytest.approx(2 * alone.floor.sd, abs=1e-6)
    assert compared.word == alone.word


def test_above_and_below_the_blob_in_the_middle():
    only_the_middle, only_a_corner = np.eye(9)[4], np.eye(9)[0]
    for truth, above in ((only_the_middle, False), (only_a_corner, True)):
        trust = faith.Judge(linear(truth), NINE).trust(heat_of(truth))
        assert trust.above_centre is above
        assert trust.floor.centre.score <= trust.score


def test_chance_is_like_chance(truth):
    judge = faith.Judge(linear(truth), replace(NINE, random=32))
    heats = [faith.random_map(WHOLE, (3, 3), 99, number, smooth) for number in range(40) for smooth in (0.0, 0.7)]
    trusts = [judge.trust(heat) for heat in heats]
    assert sum(trust.word == faith.LIKE for trust in trusts) >= 70  # 1 in 33 is expected beyond the margin, 2 or 3
    assert np.mean([trust.score for trust in trusts]) == pytest.approx(0, abs=0.08)  # three of its own deviations
    assert trusts[0].floor.mean == 0


def test_a_map_turned_round_has_the_curves_turned_round(tiny):
    """On a network of any shape, so that a random map's mirror image costs nothing."""
    subject = subject_of([tiny["wide"]], paint(80, 60))
    judge = faith.Judge(subject, faith.Settings(grid=5, steps=6, random=2, fill="mean"))
    heat = faith.random_map(judge.cells.view, judge.cells.shape, 3)
    there, back = judge.curves([heat, replace(heat, values=-heat.values)])
    for kind in ("deletion", "insertion"):
        np.testing.assert_allclose(getattr(there.mirror, kind).values, getattr(back, kind).values, atol=1e-6)
        np.testing.assert_allclose(getattr(there.mirror, kind).shares, getattr(back, kind).shares, atol=1e-12)
    assert there.mirror.score == pytest.approx(-there.score, abs=1e-12)


def test_what_does_not_change_the_probability_is_neither_good_nor_bad():
    judge = faith.Judge(linear(np.zeros(9)), NINE)
    trust = judge.trust(heat_of(np.arange(9)))
    assert trust.deletion == trust.insertion == trust.score == 0
    assert trust.word == faith.LIKE
    assert trust.floor.margin == curves.NEGLIGIBLE
    flat = faith.Curve(SHARES, np.full(10, 0.3))
    assert flat.area == pytest.approx(0.3)


def test_the_word_follows_the_rule(truth):
    floor = faith.Judge(linear(truth), NINE).floor(heat_of(truth))
    scores = [pair.score for pair in floor.random]
    assert len(scores) == 4
    assert floor.sd == pytest.approx(np.std([*scores, *(-s for s in scores)]))
    assert floor.margin == max(map(abs, scores))
    tenth = 0.1 * floor.margin
    for score, word in (
        (floor.margin + tenth, faith.BETTER),
        (floor.margin - tenth, faith.LIKE),
        (0, faith.LIKE),
        (tenth - floor.margin, faith.LIKE),
        (-floor.margin - tenth, faith.WORSE),
    ):
        assert curves.word_of(score, floor) == word


def test_the_band_is_of_random_maps_and_their_mirrors(truth):
    judge = faith.Judge(linear(truth), NINE)
    floor = judge.floor(heat_of(truth))
    shares, mean, sd = floor.band("deletion")
    np.testing.assert_allclose(shares, SHARES)
    both = [pair.deletion.values for pair in floor.random] + [pair.insertion.values[::-1] for pair in floor.random]
    np.testing.assert_allclose(mean, np.mean(both, axis=0))
    np.testing.assert_allclose(sd, np.std(both, axis=0))
    # chance alone: the mean of deletion is that of insertion backwards
    np.testing.assert_allclose(floor.band("insertion")[1], mean[::-1], atol=1e-12)


def test_equal_cells_go_in_an_order_that_the_seed_decides():
    flat = np.zeros(20)
    order = curves.order_of(flat, 1)
    assert sorted(order) == list(range(20))
    assert list(order) != list(range(20))
    np.testing.assert_array_equal(order, curves.order_of(flat, 1))
    assert list(order) != list(curves.order_of(flat, 2))
    np.testing.assert_array_equal(curves.order_of(np.array([0.0, 2.0, 1.0]), 0), [1, 2, 0])


@pytest.mark.parametrize("cells_", [1, 2, 5, 12, 98, 196, 197])
@pytest.mark.parametrize("steps", [2, 8, 16])
def test_points_of_a_curve_are_the_same_from_both_ends(cells_, steps):
    many = curves.counts(cells_, steps)
    assert many[0] == 0 and many[-1] == cells_ and len(many) <= steps + 2
    assert (np.diff(many) > 0).all()
    np.testing.assert_array_equal(many, cells_ - many[::-1])
    if cells_ > 3 * steps:
        assert len(many) == steps + 2 and np.ptp(np.diff(many)) <= np.ceil(cells_ / (steps + 1))


def test_random_maps_are_as_smooth_as_the_map(tiny):
    judge = faith.Judge(subject_of([tiny["resnet"]], paint(40, 40)), faith.Settings(grid=12, steps=2, random=3))
    for smooth in curves.LEVELS:
        for seed in range(3):
            heat = faith.random_map(judge.cells.view, judge.cells.shape, 50 + seed, smooth=smooth)
            assert judge.floor(heat).smooth == smooth
    assert curves.smoothness(np.ones((4, 4))) == curves.smoothness(np.ones((1, 1))) == 1
    assert curves.smoothness(np.add.outer(np.arange(9), np.arange(9))) > 0.9
    assert curves.smoothness((np.indices((6, 6)).sum(0) % 2).astype(float)) == pytest.approx(-1)


# cost, determinism, cancelling


def test_cost_is_what_it_says(truth):
    subject = linear(truth)
    seen = subject.scorer.batches
    judge = faith.Judge(subject, NINE)
    assert sum(seen) == 2 + 2 * 8
    seen.clear()
    judge.trust(heat_of(truth))
    assert sum(seen) == 2 * 8 * 4 + 2 * 8
    seen.clear()
    judge.trust(heat_of(truth + 1))  # as smooth: the floor is there
    assert sum(seen) == 2 * 8
    assert max(seen) <= NINE.batch


def test_the_batch_is_a_matter_of_memory(tiny):
    subject = subject_of([tiny["vit"], tiny["resnet"]], paint(50, 70))
    settings = faith.Settings(grid=4, steps=4, random=2)
    heat = faith.random_map(subject.views[0], (4, 4), 1)
    one, many = (faith.trust(subject, heat, settings=replace(settings, batch=size)) for size in (1, 64))
    np.testing.assert_allclose(one.curves.deletion.values, many.curves.deletion.values, atol=1e-5)
    np.testing.assert_allclose(one.floor.band("insertion")[1], many.floor.band("insertion")[1], atol=1e-5)


@pytest.mark.parametrize("names", [("vit",), ("vit", "wide", "resnet")])
def test_the_same_twice_and_nothing_left_behind(tiny, names):
    subject = subject_of([tiny[name] for name in names], paint(70, 50))
    before = everything_on(subject.scorer)
    settings = faith.Settings(grid=4, steps=4, random=2)
    heat, mask = faith.random_map(subject.views[0], (5, 7), 1), np.eye(50, 70) > 0
    one, other = (faith.trust(subject, heat, mask, settings).figures() for _ in range(2))
    assert one == other
    json.loads(json.dumps(one, allow_nan=False))
    assert everything_on(subject.scorer) == before
    assert all(not x.requires_grad for x in subject.pixels)


def test_it_stops_at_any_tick(truth):
    subject = linear(truth)
    settings = replace(NINE, batch=8)
    ticks = []
    judge = faith.Judge(subject, settings, lambda: ticks.append(None))
    making = len(ticks)
    whole = judge.trust(heat_of(truth), tick=lambda: ticks.append(None))
    assert making == len(subject.scorer.batches) - (len(ticks) - making) > 1

    def after(count):
        left = [count]

        def tick():
            if not left[0]:
                raise Cancelled("stopped")
            left[0] -= 1

        return tick

    for count in range(making):
        with pytest.raises(Cancelled):
            faith.Judge(subject, settings, after(count))
    for count in range(len(ticks) - making):
        judge = faith.Judge(subject, settings)
        subject.scorer.batches.clear()
        with pytest.raises(Cancelled):
            judge.trust(heat_of(truth), tick=after(count))
        assert len(subject.scorer.batches) == count
    # what was finished before it stopped is kept, and right
    assert judge.trust(heat_of(truth)).figures() == whole.figures()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"grid": 1}, "2 to 32"),
        ({"steps": 7}, "even number"),
        ({"steps": 0}, "2 to 128"),
        ({"random": 1}, "2 to 64"),
        ({"batch": 2.5}, "whole number"),
        ({"seed": -1}, "from 0"),
        ({"grid": True}, "whole number"),
    ],
)
def test_settings_that_cannot_be(settings, words):
    with pytest.raises(VitdemoError, match=words):
        faith.Settings(**settings)
    with pytest.raises(UnknownNameError, match=r"fill .*black"):
        faith.Settings(fill="pink")


# places


def test_a_cell_is_hidden_from_all_members_at_the_same_place():
    """Two members: one saw all of the picture, the other its right half on another grid of pixels."""
    right = View((15.0, 0.0, 30.0, 30.0), (30, 30))
    pixels = (torch.ones(1, 3, 12, 12), torch.ones(1, 3, 20, 10))
    weights = np.full((12, 12), 1 / 144), np.full((20, 10), 1 / 200)
    subject = Subject((), Linear(*weights), pixels, (WHOLE, right), np.ones(2) / 2, ([], []), 1)
    hidden = faith.Cells(subject, faith.Settings(grid=2, fill="black"))
    assert hidden.view == WHOLE and hidden.shape == (2, 2) and hidden.count == 4
    present = np.array([[1, 1, 1, 1], [0, 1, 1, 1], [1, 0, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]], dtype=bool)
    # left cells are a quarter of the first member; right ones a quarter of the first and half of the second
    np.testing.assert_allclose(hidden.probability(present), [2, 1.75, 1.25, 0.5, 0], atol=1e-6)


def test_cells_by_hand():
    left = View((0.0, 0.0, 5.0, 10.0), (10, 10))
    whole = View((0.0, 0.0, 10.0, 10.0), (10, 10))
    np.testing.assert_array_equal(cells(whole, (2, 4), (2, 2), whole), [[0, 0, 1, 1], [2, 2, 3, 3]])
    np.testing.assert_array_equal(cells(left, (2, 2), (2, 2), whole), [[0, 0], [2, 2]])
    np.testing.assert_array_equal(cells(whole, (1, 4), (1, 2), left), [[0, 1, 1, 1]])  # outside: the nearest


def test_what_falls_into_a_cell_keeps_its_sum(truth):
    cut = faith.Cells(linear(truth), NINE)
    values = np.random.default_rng(2).normal(size=(6, 12))
    np.testing.assert_allclose(
        cut.of(heat_of(values)), values.reshape(3, 2, 3, 4).sum((1, 3)).ravel(), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(cut.of(cut.heat(truth)), truth, rtol=1e-5)


def test_smoothing_keeps_what_is_even_and_spreads_what_is_not():
    np.testing.assert_allclose(smoothed(np.full((4, 7), 3.0), 1.3), 3)
    np.testing.assert_array_equal(smoothed(np.eye(3), 0), np.eye(3))
    spot = np.zeros((21, 21))
    spot[10, 10] = 1
    soft = smoothed(spot, 2.0)
    assert soft.sum() == pytest.approx(1, abs=1e-3)
    assert soft[10, 12] / soft[10, 10] == pytest.approx(np.exp(-0.5), rel=1e-3)


def test_maps_that_know_nothing():
    one = faith.random_map(WHOLE, (8, 9), 1)
    assert one.values.shape == (8, 9) and one.view == WHOLE
    np.testing.assert_array_equal(one.values, faith.random_map(WHOLE, (8, 9), 1).values)
    assert (one.values != faith.random_map(WHOLE, (8, 9), 1, 1).values).all()
    middle = faith.centre_map(WHOLE, (5, 7)).values
    assert np.unravel_index(middle.argmax(), middle.shape) == (2, 3)
    np.testing.assert_allclose(middle, middle[::-1, ::-1], rtol=1e-6)


# masks


def test_energy_by_hand():
    heat = heat_of([[1, 1], [2, -3]])
    left = np.zeros((4, 8), dtype=bool)
    left[:, :4] = True
    assert faith.energy(heat, left) == pytest.approx(3 / 4)
    assert faith.energy(heat, ~left) == pytest.approx(1 / 4)
    top = np.zeros((2, 2), dtype=bool)
    top[0] = True
    assert faith.energy(heat, top) == pytest.approx(1 / 2)
    assert faith.energy(heat_of([[0, -1], [0, 0]]), top) is None
    crop = View((0.0, 15.0, 30.0, 30.0), (30, 30))  # a map of the lower half has no energy in the upper one
    assert faith.energy(heat_of([[1, 1], [2, -3]], crop), np.repeat(top, 2, 1)) == 0


def test_energy_expected_of_an_even_map_is_the_masks_share(truth):
    mask = np.zeros((30, 30), dtype=bool)
    mask[:, :6] = True
    trust = faith.Judge(linear(truth), NINE).trust(heat_of(truth), mask)
    assert trust.expected_energy == pytest.approx(0.2, abs=1e-6)
    assert trust.energy == faith.energy(heat_of(truth), mask)
    assert faith.Judge(linear(truth), NINE).trust(heat_of(truth)).energy is None


@pytest.mark.parametrize("row", range(4))
@pytest.mark.parametrize("column", range(5))
def test_the_peak_is_where_the_map_is_highest(row, column):
    values = np.zeros((4, 5))
    values[row, column] = 1
    view = View((10.0, 20.0, 60.0, 60.0), (100, 80))
    x, y = faith.peak(Heat(values.astype(np.float32), True, view))
    assert 10 + 10 * column <= x <= 20 + 10 * column
    assert 20 + 10 * row <= y <= 30 + 10 * row


def test_pointing_by_hand():
    values = np.zeros((6, 6))
    values[1, 1], values[4, 4] = 1, 0.5
    heat = heat_of(values)
    first, second = np.zeros((60, 60), dtype=bool), np.zeros((30, 30), dtype=bool)  # masks of any resolution
    first[10:20, 10:20], second[20:25, 20:25] = True, True
    assert faith.points_at(heat, [first, second]) == 0
    assert faith.points_at(heat, [second, first]) == 1
    assert faith.points_at(replace(heat, values=-heat.values + heat.values.max()), [first, second]) is None
    assert faith.points_at(heat_of(values - 2 * np.eye(6)[1][:, None] * np.eye(6)[1]), [first, second]) == 1
    assert faith.points_at(heat_of(np.full((6, 6), 0.1)), [np.ones((5, 5), dtype=bool)]) is None


def test_a_single_loud_pixel_is_no_peak():
    values = np.zeros((64, 64))
    values[5, 5] = 2.0
    values[40:50, 40:50] = 1.0
    x, y = faith.peak(heat_of(values))
    assert 18.75 <= x <= 23.5 and 18.75 <= y <= 23.5


# infidelity and sensitivity


def test_infidelity_of_the_true_map_of_a_linear_model_is_nothing(truth, oracle):
    found = faith.infidelity(linear(truth), heat_of(truth), NINE)
    oracle("Infidelity", "0, of the true map of a linear model", found.value, 0, atol=1e-12)
    assert found.random > 1e-3 and found.centre > 1e-3
    scaled = faith.infidelity(linear(truth), heat_of(-40 * truth), NINE)
    assert scaled.value < 1e-12  # of any scale, as Captum's `normalize` has it
    assert (scaled.random, scaled.centre) == (found.random, found.centre)


def test_infidelity_ticks_and_stops(truth):
    subject, ticks = linear(truth), []
    faith.infidelity(subject, heat_of(truth), NINE, samples=8, tick=lambda: ticks.append(None))
    assert len(ticks) == len(subject.scorer.batches) and sum(subject.scorer.batches) == 3 * 9

    def stop():
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        faith.infidelity(subject, heat_of(truth), NINE, tick=stop)


def test_sensitivity_in_closed_form():
    pixels = (torch.ones(1, 3, 8, 8), torch.ones(1, 3, 4, 4))
    assert faith.sensitivity(pixels, lambda inputs: heat_of(np.arange(9))) == 0

    def first(inputs):
        return Heat(inputs[0][0, 0].numpy(), True, WHOLE)  # the map is a plane of the picture

    found = faith.sensitivity(pixels, first, radius=0.1, samples=20)
    assert 0.1 / np.sqrt(3) < found < 0.1  # the largest of 20 lengths of uniform noise over that of ones
    assert found == faith.sensitivity(pixels, first, radius=0.1, samples=20)
    assert found == pytest.approx(2 * faith.sensitivity(pixels, first, radius=0.05, samples=20), rel=1e-4)


@pytest.mark.parametrize("count", [1, 2])
def test_sensitivity_asks_for_maps_of_one_picture_at_a_time(count):
    pixels, shapes = (torch.ones(1, 3, 8, 8), torch.ones(1, 3, 4, 4))[:count], set()

    def seen(inputs):
        shapes.add(tuple(tuple(x.shape) for x in inputs))
        return heat_of(np.arange(9))

    faith.sensitivity(pixels, seen, samples=3)
    assert shapes == {tuple(tuple(x.shape) for x in pixels)}


# randomisation


def test_rank_correlation_is_scipys(oracle):
    rng = np.random.default_rng(0)
    for first, second in (
        (rng.normal(size=(5, 7)), rng.normal(size=(5, 7))),
        (rng.integers(0, 4, 50), rng.integers(0, 4, 50)),
        (np.arange(9), -(np.arange(9) ** 3)),
    ):
        expected = spearmanr(np.ravel(first), np.ravel(second)).statistic
        oracle("Rank correlation", "SciPy", faith.spearman(first, second), expected, atol=1e-12)
    assert faith.spearman(np.ones(4), np.arange(4)) is None


@pytest.mark.parametrize("name", TINY)
def test_parts_go_from_the_head_to_the_input_and_miss_nothing(tiny, name):
    body = tiny[name].network.body
    parts = faith.parts_of(body)
    everything = [each for _, names in parts for each in names]
    assert sorted(everything) == sorted(name for name, _ in body.named_parameters())
    assert parts[0][0] == "head" and all(each.startswith(("head", "fc")) for each in parts[0][1])
    assert len(parts) > 4
    stem = [index for index, (part, _) in enumerate(parts) if part.startswith(("patch_embed", "conv1"))]
    assert stem and min(stem) > len(parts) / 2


@pytest.mark.parametrize("family", families.FAMILIES)
def test_every_family_has_parts(family):
    body = families.body(family)
    parts = faith.parts_of(body)
    names = [each for _, names in parts for each in names]
    assert sorted(names) == sorted(name for name, _ in body.named_parameters())
    assert parts[0][0] == "head" and len(parts) >= 4


def test_a_forgetful_copy_forgets_from_the_head_down(tiny):
    model = tiny["vit"]
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    parts = faith.parts_of(model.network.body)
    changed = []
    for depth in (0, 1e-9, 0.5, 1):
        copy = faith.forgetful(model, depth)
        now = dict(copy.network.body.named_parameters())
        was = dict(model.network.body.named_parameters())
        changed.append({name for name in was if not torch.equal(was[name], now[name])})
        for name in was:  # the same values at other places
            assert torch.equal(was[name].flatten().sort().values, now[name].flatten().sort().values)
        assert copy.network is not model.network and not any(p.requires_grad for p in copy.network.parameters())
    none, head, half, all_ = changed
    assert none == set()
    assert head and head <= set(parts[0][1])
    assert head < half < all_
    assert all(each.startswith(("head", "norm", "fc_norm", "blocks")) for each in half)
    assert {"patch_embed.proj.weight", "pos_embed", "blocks.0.attn.qkv.weight"} <= all_
    assert all(torch.equal(before[name], value) for name, value in model.network.state_dict().items())


def test_randomisation_of_nothing_correlates_perfectly_and_of_everything_does_not(tiny):
    model, picture = tiny["resnet"], paint(40, 40)
    subject = subject_of([model], picture)
    before = everything_on(model.network)

    def remake(models):
        return faith.Cells(subject_of(models, picture), faith.Settings(grid=6, fill="mean")).heat(hide_each(models))

    def hide_each(models):
        cut = faith.Cells(subject_of(models, picture), faith.Settings(grid=6, fill="mean"))
        return -cut.probability(~np.eye(cut.count, dtype=bool))

    heat = remake((model,))
    ticks = []
    found = faith.randomisation(subject.models, heat, remake, (0, 1e-9, 1), tick=lambda: ticks.append(None))
    assert found.correlations[0] == pytest.approx(1, abs=1e-9)
    assert abs(found.correlations[2]) < 0.7
    assert found.depths == (0, 1e-9, 1) and len(ticks) == 3
    assert found == faith.randomisation(subject.models, heat, remake, (0, 1e-9, 1))
    assert everything_on(model.network) == before

    def stop():
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        faith.randomisation(subject.models, heat, remake, tick=stop)
    refused = faith.randomisation(subject.models, heat, lambda models: NotOffered("because"))
    assert refused.correlations == (None, None)
    with pytest.raises(VitdemoError, match="expected"):
        faith.randomisation(subject.models, heat, lambda models: heat_of(np.zeros((2, 2))))


# several subjects of one picture


@pytest.mark.parametrize("strategy", ["mean", "confidence"])
def test_a_fusion_recalls_what_its_backbones_said(tiny, picture, strategy):
    """The same figures as without a memory, and no backbone is asked twice about the same cells."""
    fused = subject_of([tiny[name] for name in REQUEST.backbones], picture, strategy)
    heats = [faith.centre_map(fused.views[0], (6, 6)), faith.random_map(fused.views[0], (6, 6), 3)]
    settings, memory, asked = faith.Settings(grid=6), faith.Memory(), []
    for single in single_subjects(fused):
        judge = faith.Judge(single, settings, memory=memory)
        assert judge.trust(heats[0]).figures() == faith.trust(single, heats[0], settings=settings).figures()
    judge = faith.Judge(fused, settings, lambda: asked.append("judge"), memory)
    assert not asked  # both ends and the blob were asked about
    judge.trust(heats[0], tick=lambda: asked.append("known"))
    assert not asked
    found = judge.trust(heats[1], tick=lambda: asked.append("new")).figures()
    assert asked
    expected = faith.trust(fused, heats[1], settings=settings).figures()
    assert found["score"] == pytest.approx(expected["score"], abs=1e-6)
    assert found["chance"]["sd"] == pytest.approx(expected["chance"]["sd"], abs=1e-6)


def test_backbones_that_saw_different_parts_are_asked_anew(tiny, picture):
    """What one says of its own cells is no answer to the question what it says of a fusion's."""
    subject = subject_of([tiny[name] for name in REQUEST.backbones], picture)
    half = View((0.0, 0.0, 40.0, 60.0), subject.views[0].picture)
    subject = replace(subject, views=(subject.views[0], half))
    settings, memory = faith.Settings(grid=6), faith.Memory()
    heat = faith.random_map(subject.views[0], (6, 6), 3)
    for single in single_subjects(subject):
        faith.Judge(single, settings, memory=memory).trust(heat)
    found, expected = (faith.Judge(subject, settings, memory=one).trust(heat) for one in (memory, None))
    assert found.score == pytest.approx(expected.score, abs=1e-6)


# in an analysis


REQUEST = Request(
    "tiny", ("vit", "resnet"), explanations=("rollout", "occlusion"), options=Options(patches=3, batch=64), trust=True
)


def test_an_analysis_judges_every_map_on_request(catalogue, picture):
    models = Models("cpu", memory=1 << 30)
    said: list[Progress] = []
    mask = np.zeros((60, 80), dtype=bool)
    mask[20:40, 30:50] = True
    analysis = analyse(picture, replace(REQUEST, target="cat"), catalogue, models, said.append, {"cat": mask})
    for name, maps in analysis.maps.items():
        assert set(analysis.trust[name]) == {method for method, heat in maps.items() if isinstance(heat, Heat)}
    shares = [one.done for one in said]
    assert shares == sorted(shares) and shares[-1] < 1
    judged = dict.fromkeys((one.subject, one.method) for one in said if one.stage == "judging")
    assert set(judged) == {(name, method) for name, each in analysis.trust.items() for method in each}
    (early,) = [one.analysis for one in said if one.stage == "explained"]  # maps are there before they are judged
    assert early.maps == analysis.maps and early.seconds == analysis.seconds and not early.trust
    assert {one.message for one in said} >= {"judging occlusion of fused", "rollout of vit"}
    # by another route
    with models.use(catalogue.get("tiny", REQUEST.backbones)) as loaded:
        subject = subject_of(loaded, picture, target=2)
        settings = faith.Settings(batch=64)
        expected = faith.trust(subject, analysis.maps["fused"]["occlusion"], mask, settings)
    found = analysis.trust["fused"]["occlusion"]
    assert found.score == pytest.approx(expected.score, abs=1e-5)
    assert (found.energy, found.pointing, found.word) == (expected.energy, expected.pointing, expected.word)
    # without a mask of the target there is nothing to say about one
    other = analyse(picture, replace(REQUEST, target="dog"), catalogue, models, masks={"cat": mask})
    assert other.trust["vit"]["rollout"].energy is None
    document = json.loads(dumps(to_json(analysis)))
    assert document["trust"]["vit"]["rollout"]["word"] == analysis.trust["vit"]["rollout"].word
    assert document["settings"]["trust"] is True


def test_an_analysis_judges_nothing_unasked(catalogue, picture):
    models = Models("cpu", memory=1 << 30)
    analysis = analyse(picture, replace(REQUEST, trust=False), catalogue, models)
    assert analysis.trust == {} and to_json(analysis)["trust"] == {}


def test_judging_stops_and_leaves_nothing(catalogue, picture):
    models = Models("cpu", memory=1 << 30)
    said: list[Progress] = []
    analyse(picture, REQUEST, catalogue, models, said.append)
    with models.use(catalogue.get("tiny", REQUEST.backbones)) as loaded:
        before = [everything_on(model.network) for model in loaded]
    judging = [index for index, one in enumerate(said) if one.stage == "judging"]
    for stop_at in judging[:: max(1, len(judging) // 8)]:
        with pytest.raises(Cancelled):
            analyse(picture, REQUEST, catalogue, models, stopping_after(stop_at))
    with models.use(catalogue.get("tiny", REQUEST.backbones)) as loaded:
        assert [everything_on(model.network) for model in loaded] == before
