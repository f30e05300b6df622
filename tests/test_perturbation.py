"""Hiding regions: Shapley values by their definition, LIME against scikit-learn, the sliding square against Captum."""

from dataclasses import replace
from itertools import combinations
from math import comb

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from tests.conftest import paint, subject_of
from vitdemo.explain import BASELINES, Options, explain
from vitdemo.explain.base import AVERAGE
from vitdemo.explain.perturbation import coalitions, patch_grid, ridge, scores_of, shapley_values, superpixels
from vitdemo.views import union


def brute_force(count: int, value) -> np.ndarray:
    """Shapley values by their definition; `value` takes a set of players."""
    shapley = np.zeros(count)
    for player in range(count):
        others = [other for other in range(count) if other != player]
        for size in range(count):
            for chosen in combinations(others, size):
                share = 1 / (count * comb(count - 1, size))
                shapley[player] += share * (value({*chosen, player}) - value(set(chosen)))
    return shapley


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_all_coalitions_give_the_shapley_values_of_any_game(count, oracle):
    table = np.random.default_rng(count).normal(size=2**count)

    def value(players) -> float:
        return float(table[sum(2**player for player in players)])

    kept, weights = coalitions(count, 2**count, seed=0)
    assert len(kept) == 2**count - 2
    scores = np.array([value(set(np.flatnonzero(row))) for row in kept])
    values = shapley_values(kept, weights, scores, value(set()), value(set(range(count))))
    oracle("KernelSHAP", "Shapley values by their definition", values, brute_force(count, value), atol=1e-10)


@pytest.mark.parametrize("most", [60, 400])
def test_drawn_coalitions_are_exact_for_a_sum_over_players(most, oracle):
    worth = np.random.default_rng(1).normal(size=20)
    kept, weights = coalitions(20, most, seed=3)
    assert kept.shape == (most, 20)
    assert not kept.all(1).any() and kept.any(1).all()
    np.testing.assert_array_equal(kept[: most // 2], ~kept[most // 2 :])
    values = shapley_values(kept, weights, 0.3 + kept @ worth, 0.3, 0.3 + worth.sum())
    oracle("KernelSHAP", "closed form of a sum over players", values, worth, atol=1e-9)


def test_drawn_coalitions_come_near_the_shapley_values_and_nearer_with_more():
    random = np.random.default_rng(2)
    worth, pairs = random.normal(size=9), np.triu(random.normal(size=(9, 9)), 1)

    def value(players) -> float:
        shown = np.array([player in players for player in range(9)], dtype=float)
        return float(worth @ shown + shown @ pairs @ shown)

    expected = worth + (pairs + pairs.T).sum(1) / 2  # each pair is shared evenly
    errors = []
    for most in (40, 400):
        kept, weights = coalitions(9, most, seed=0)
        scores = np.array([value(set(np.flatnonzero(row))) for row in kept])
        found = shapley_values(kept, weights, scores, 0.0, value(set(range(9))))
        errors.append(np.abs(found - expected).max())
    assert errors[1] < 0.35
    assert errors[1] < errors[0]


def test_ridge_is_scikit_learns(oracle):
    random = np.random.default_rng(0)
    kept, weights, scores = random.random((40, 7)) < 0.5, random.random(40), random.random(40)
    values, fit = ridge(kept, weights, scores)
    reference = Ridge(alpha=1.0).fit(kept.astype(float), scores, sample_weight=weights)
    oracle("LIME", "scikit-learn's ridge", values, reference.coef_, atol=1e-12)
    assert fit == pytest.approx(reference.score(kept.astype(float), scores, sample_weight=weights))
    assert ridge(kept, weights, np.full(40, 0.7))[1] == 1.0


# on a picture


OPTIONS = Options(segments=4, coalitions=16, patches=4, batch=5)


@pytest.mark.parametrize("regions", ["patches", "superpixels"])
def test_kernel_shap_of_a_few_regions_is_the_definition(tiny, regions, oracle):
    subject = subject_of([tiny["vit"], tiny["wide"]], paint(50, 40))
    options = replace(OPTIONS, regions=regions)
    heat = explain("kernel_shap", subject, options)
    ablation = explain("feature_ablation", subject, options)
    seen = union(subject.views)
    grid = patch_grid(heat.values.shape) if regions == "patches" else numbered(heat.values, ablation.values)
    count = int(grid.max()) + 1
    assert 1 < count <= 4
    kept = np.array([[bool(index >> player & 1) for player in range(count)] for index in range(2**count)])
    table = scores_of(subject, grid, seen, kept, options, lambda: None)
    expected = brute_force(count, lambda players: table[sum(2**player for player in players)])
    oracle("KernelSHAP", "Shapley values by their definition, of a picture", heat.values, expected[grid], atol=1e-6)
    change = heat.figures["picture"] - heat.figures["nothing"]
    oracle("KernelSHAP", "completeness", expected.sum(), change, atol=1e-6)
    # and ablation is the last row against those with one region less
    drops = table[-1] - table[[2**count - 1 - 2**player for player in range(count)]]
    oracle("Ablation of regions", "its own pictures, one by one", ablation.values, drops[grid], atol=1e-6)


def numbered(*maps: np.ndarray) -> np.ndarray:
    """The regions, told apart by the values that they were given."""
    rows = np.stack([map_.ravel() for map_ in maps], 1)
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(maps[0].shape)


def test_everything_kept_is_the_picture_and_nothing_kept_the_blank_one(tiny):
    subject = subject_of([tiny["vit"], tiny["resnet"]], paint(40, 40))
    ends = np.array([[True] * 6, [False] * 6])
    for baseline in (*BASELINES, AVERAGE):
        options = replace(OPTIONS, baseline=baseline)
        found = scores_of(subject, patch_grid((2, 3)), union(subject.views), ends, options, lambda: None)
        names = list(BASELINES) if baseline == AVERAGE else [baseline]
        with torch.no_grad():
            whole = float(subject.scorer(*subject.pixels)[0, 1])
            blanks = [float(subject.scorer(*(BASELINES[name](x) for x in subject.pixels))[0, 1]) for name in names]
        np.testing.assert_allclose(found, [whole, np.mean(blanks)], atol=1e-6)


@pytest.mark.parametrize("window", [1, 2, 3])
def test_the_sliding_square_is_captums(tiny, window, oracle):
    from captum.attr import Occlusion

    subject = subject_of([tiny["vit"]], paint(40, 40))
    heat = explain("occlusion", subject, replace(OPTIONS, window=window))
    side = 8 * window
    pixels = Occlusion(subject.scorer).attribute(
        subject.pixels[0], sliding_window_shapes=(3, side, side), strides=(3, 8, 8), target=1, baselines=0
    )
    oracle("Occlusion", "Captum's sliding square", heat.values, pixels[0, 0, 4::8, 4::8], atol=1e-6)


def test_a_square_larger_than_the_picture_hides_all_of_it(tiny):
    heat = explain("occlusion", subject_of([tiny["vit"]], paint(40, 40)), replace(OPTIONS, window=16))
    assert np.unique(heat.values).size == 1


def test_lime_finds_what_a_linear_rule_holds(tiny):
    subject = subject_of([tiny["vit"]], paint(40, 40))
    heat = explain("lime", subject, replace(OPTIONS, coalitions=200))
    shap = explain("kernel_shap", subject, OPTIONS)
    assert 0 < heat.figures["fit"] <= 1
    assert heat.figures["coalitions"] == 200
    assert np.corrcoef(heat.values.ravel(), shap.values.ravel())[0, 1] > 0.8


def test_methods_of_regions_have_too_few_pictures_for_none(tiny):
    """The least squares have one answer, however few pictures were asked for."""
    subject = subject_of([tiny["vit"]], paint(40, 40))
    heat = explain("kernel_shap", subject, Options(segments=9, coalitions=8, regions="patches", batch=64))
    assert heat.figures["coalitions"] >= 2 * heat.figures["regions"]


# regions


def test_superpixels_keep_to_the_edges_of_colours():
    colours = np.zeros((40, 60, 3))
    colours[:, 25:] = (0.9, 0.2, 0.1)
    colours[10:20, 5:15] = (0.1, 0.9, 0.3)
    regions = superpixels(colours, 24)
    assert regions.shape == (40, 60)
    assert sorted(np.unique(regions)) == list(range(regions.max() + 1))
    assert 8 <= regions.max() + 1 <= 24
    for number in range(regions.max() + 1):
        assert len(np.unique(colours[regions == number], axis=0)) == 1
    np.testing.assert_array_equal(superpixels(colours, 24), regions)


@pytest.mark.parametrize(("shape", "count"), [((40, 60), 6), ((30, 30), 9), ((1, 50), 5), ((3, 3), 100), ((7, 9), 1)])
def test_superpixels_of_one_colour_are_about_a_grid(shape, count):
    regions = superpixels(np.full((*shape, 3), 0.5), count)
    sizes = np.bincount(regions.ravel())
    assert 1 <= len(sizes) <= min(count, shape[0] * shape[1])
    assert len(sizes) >= min(count, shape[0] * shape[1]) / 2
    assert sizes.max() <= 3 * shape[0] * shape[1] / len(sizes)
