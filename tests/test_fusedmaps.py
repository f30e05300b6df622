"""Fused maps by hand, and what has to hold for any maps."""

from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import paint, subject_of
from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.explain import FUSED_MAPS, Options, difference, explain, fuse_maps
from vitdemo.types import Heat, NotOffered, View
from vitdemo.views import spread

VIEW = View((0, 0, 20, 10), (20, 10))
QUICK = Options(steps=4, samples=3, patches=4, batch=16)


def heat(*values: float, signed: bool = False, view: View = VIEW) -> Heat:
    return Heat(np.array([values], dtype=np.float32), signed, view)


def random_heat(seed: int, signed: bool = False) -> Heat:
    values = np.random.default_rng(seed).normal(size=(4, 8)).astype(np.float32)
    return Heat(values if signed else np.abs(values), signed, VIEW)


@pytest.mark.parametrize(
    ("how", "weights", "expected"),
    [
        ("mean", (1, 1), (0.75, 0.25)),
        ("mean", (1, 3), (0.875, 0.125)),
        ("consensus", (1, 1), (np.sqrt(0.5), 0)),
        ("consensus", (1, 3), (0.5**0.25, 0)),
        ("intersection", (1, 1), (0.5, 0)),
        ("union", (1, 3), (1, 0.5)),
        ("disagreement", (1, 1), (0.25, 0.25)),
        ("disagreement", (1, 3), (np.sqrt(0.25 * 0.375**2 + 0.75 * 0.125**2),) * 2),
        ("union", (1, 0), (0.5, 0.5)),
        ("intersection", (0, 1), (1, 0)),
        ("mean", (0, 0), (0.75, 0.25)),
    ],
)
def test_by_hand(how, weights, expected):
    """The shares are (1/2, 1/2) and (1, 0): a map is clipped at 0, and its scale does not matter."""
    fused = fuse_maps([heat(3, 3), heat(8, -2)], weights, how)
    np.testing.assert_allclose(fused.values[0], expected, atol=1e-7)
    assert not fused.signed
    assert fused.figures["members"] == 2


def test_overlap_is_what_the_maps_have_in_common():
    assert fuse_maps([heat(3, 3), heat(8, -2)], (1, 1), "mean").figures["overlap"] == pytest.approx(0.5)
    assert fuse_maps([heat(1, 0), heat(0, 1)], (1, 1), "mean").figures["overlap"] == 0
    assert fuse_maps([heat(1, 2), heat(2, 4)], (1, 5), "union").figures["overlap"] == pytest.approx(1)


@pytest.mark.parametrize("how", FUSED_MAPS.names())
@pytest.mark.parametrize("signed", [False, True])
def test_equal_maps_stay_as_they_are(how, signed):
    one = random_heat(0, signed)
    fused = fuse_maps([one, Heat(7 * one.values, signed, VIEW), one], (0.2, 0.5, 0.3), how)
    shares = one.values / np.abs(one.values).sum()
    if not FUSED_MAPS.get(how).keeps_sign:
        shares = np.clip(shares, 0, None)
    expected = np.zeros_like(shares) if how == "disagreement" else shares
    np.testing.assert_allclose(fused.values, expected, atol=1e-7)
    assert fused.signed == (signed and how == "mean")


@pytest.mark.parametrize("how", FUSED_MAPS.names())
@pytest.mark.parametrize("signed", [False, True])
def test_the_order_of_the_backbones_does_not_matter(how, signed):
    heats, weights, order = [random_heat(seed, signed) for seed in range(3)], np.array([0.2, 0.5, 0.3]), [2, 0, 1]
    one = fuse_maps(heats, weights, how)
    other = fuse_maps([heats[index] for index in order], weights[order], how)
    np.testing.assert_allclose(one.values, other.values, atol=1e-7)


def test_they_lie_between_each_other():
    heats, weights = [random_heat(seed) for seed in range(4)], np.array([0.1, 0.2, 0.3, 0.4])
    least, together, mean, most = (
        fuse_maps(heats, weights, how).values for how in ("intersection", "consensus", "mean", "union")
    )
    assert (least <= together + 1e-7).all() and (together <= mean + 1e-7).all() and (mean <= most + 1e-7).all()
    assert mean.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("how", FUSED_MAPS.names())
def test_what_one_backbone_did_not_see_is_left_to_the_others(how):
    whole, left = View((0, 0, 20, 10), (20, 10)), View((0, 0, 10, 10), (20, 10))
    one, other = heat(1, 1, 1, 1, view=whole), heat(1, 1, view=left)
    fused = fuse_maps([one, other], (1, 1), how)
    assert fused.view == whole
    at_right = fused.values[:, fused.values.shape[1] // 2 + 1 :]
    alone = spread(one.values / 4, whole, fused.values.shape)[:, fused.values.shape[1] // 2 + 1 :]
    np.testing.assert_allclose(at_right, 0 * alone if how == "disagreement" else alone, atol=1e-8)


def test_an_empty_map_has_no_share_to_give():
    fused = fuse_maps([heat(0, 0), heat(1, 3)], (1, 1), "mean")
    np.testing.assert_allclose(fused.values[0], (0.125, 0.375))


@pytest.mark.parametrize(
    ("heats", "weights"), [([], []), ([heat(1, 2)], [1, 2]), ([heat(1, 2)], [-1]), ([heat(1, 2)], [[1]])]
)
def test_a_weight_for_each_map(heats, weights):
    with pytest.raises(VitdemoError, match="a weight of at least 0 for each map"):
        fuse_maps(heats, weights, "mean")


def test_an_unknown_way_names_the_known_ones():
    with pytest.raises(UnknownNameError, match="fused map 'sum'; allowed: mean, consensus, intersection"):
        fuse_maps([heat(1, 2)], [1], "sum")


def test_every_way_introduces_itself():
    for name in FUSED_MAPS.names():
        way = FUSED_MAPS.get(name)
        assert way.name == name and way.title and way.sentence.endswith(".")


# two classes


def test_the_difference_of_signed_maps_is_their_difference_and_of_unsigned_ones_that_of_their_shares():
    np.testing.assert_allclose(difference(heat(3, -1, signed=True), heat(1, 1, signed=True)).values[0], (2, -2))
    unsigned = difference(heat(3, 1), heat(5, 5))
    np.testing.assert_allclose(unsigned.values[0], (0.25, -0.25))
    assert unsigned.signed
    with pytest.raises(VitdemoError, match="same method"):
        difference(heat(3, 1), heat(5, 5, signed=True))


@pytest.mark.parametrize("method", ["occlusion", "input_x_gradient", "integrated_gradients", "kernel_shap"])
def test_of_a_linear_method_it_is_the_map_of_the_difference(tiny, method, monkeypatch):
    monkeypatch.setattr("vitdemo.explain.gradient.NEGLIGIBLE", float("inf"))
    subject = subject_of([tiny["vit"]], paint(40, 40))
    options = replace(QUICK, segments=4, coalitions=8)
    one, other = (explain(method, replace(subject, target=target), options) for target in (1, 3))
    both = explain(method, replace(subject, target=1, against=3), options)
    np.testing.assert_allclose(both.values, difference(one, other).values, atol=1e-5 * np.abs(both.values).max() + 1e-7)
    swapped = explain(method, replace(subject, target=3, against=1), options)
    np.testing.assert_allclose(swapped.values, -both.values, atol=1e-5 * np.abs(both.values).max() + 1e-7)


def test_what_is_the_same_for_every_class_compares_none(tiny):
    subject = replace(subject_of([tiny["vit"], tiny["resnet"]], paint(40, 40)), against=2)
    refusal = explain("rollout", subject, QUICK)
    assert isinstance(refusal, NotOffered)
    assert "same for every class" in refusal.reason


# through the registry


@pytest.mark.parametrize("how", FUSED_MAPS.names())
@pytest.mark.parametrize("method", ["rollout", "smoothgrad", "occlusion"])
def test_any_method_can_be_fused_as_maps(tiny, how, method):
    models = [tiny[name] for name in ("vit", "wide", "resnet")]
    picture, options = paint(70, 50), replace(QUICK, fused_map=how)
    members = [explain(method, subject_of([model], picture), options) for model in models]
    fused = subject_of(models, picture, "validation")
    found = explain(method, fused, options, tick=lambda: pytest.fail("a pass"), members=members)
    there = [index for index, member in enumerate(members) if isinstance(member, Heat)]
    assert len(there) == (2 if method == "rollout" else 3)
    expected = fuse_maps([members[index] for index in there], fused.weights[there], how)
    np.testing.assert_array_equal(found.values, expected.values)
    assert (found.figures["members"], found.figures["of"]) == (len(there), 3)
    np.testing.assert_allclose(explain(method, fused, options).values, expected.values, atol=1e-6)
