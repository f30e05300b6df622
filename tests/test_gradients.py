"""Gradient methods against closed forms: linear and quadratic scores, and one layer of ReLUs by hand."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from tests.conftest import paint, subject_of
from tests.subjects import alone, family, model_of
from vitdemo.explain import BASELINES, EXPLANATIONS, Options, explain, gradient
from vitdemo.explain.base import AVERAGE
from vitdemo.types import NotOffered

GRADIENTS = [one.name for one in EXPLANATIONS if one.family == "gradient"]
QUICK = Options(steps=2, samples=3, batch=2)
SCORES = "closed form of a square and a line"


class Scores(nn.Module):
    """Scores that are no probabilities: Σ x² and Σ w x of the only input."""

    fusion = SimpleNamespace(differentiable=True, linear=False, title="Scores")

    def __init__(self, weights: torch.Tensor):
        super().__init__()
        self.weights = weights

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.stack([(pixels**2).sum((1, 2, 3)), (pixels * self.weights).sum((1, 2, 3))], 1)


@pytest.fixture
def scored(tiny):
    """A subject that is scored so, and the weights."""
    subject = subject_of([tiny["vit"]], paint(40, 40))
    weights = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(0))
    return replace(subject, scorer=Scores(weights)), weights


@pytest.mark.parametrize("baseline", BASELINES)
def test_two_steps_integrate_a_square_and_a_line(scored, baseline, oracle):
    subject, weights = scored
    x, blank = subject.pixels[0][0], BASELINES[baseline](subject.pixels[0])[0]
    options = Options(steps=2, samples=3, baseline=baseline)
    for target, expected in ((0, x**2 - blank**2), (1, weights * (x - blank))):
        heat = explain("integrated_gradients", replace(subject, target=target), options)
        oracle("Integrated gradients", SCORES, heat.values, expected.sum(0), atol=1e-5)
        assert heat.figures["steps"] == 2
    # on a line every random point has the same slope
    heat = explain("gradient_shap", replace(subject, target=1), options)
    oracle("GradientShap", SCORES, heat.values, (weights * (x - blank)).sum(0), atol=1e-5)
    assert heat.figures["error"] < 1e-3


def test_gradient_shap_of_a_square_draws_its_points_evenly(scored, oracle):
    """2 (b + α (x - b)) (x - b) over the mean of the drawn α, which is about 1/2."""
    subject, _ = scored
    x = subject.pixels[0][0]
    heat = explain("gradient_shap", replace(subject, target=0), Options(samples=200, batch=64))
    ratio = heat.values.sum() / float((x**2).sum())
    oracle("GradientShap", "a square, for the points that were drawn", heat.values, ratio * (x**2).sum(0), rtol=1e-4)
    assert ratio == pytest.approx(1, abs=0.1)


def test_the_gradient_and_what_the_input_makes_of_it(scored, oracle):
    subject, weights = scored
    x = subject.pixels[0][0]
    values = explain("gradient", replace(subject, target=0), QUICK).values
    oracle("Gradient", SCORES, values, (2 * x).norm(dim=0), rtol=1e-4)
    for target, expected in ((0, 2 * x**2), (1, weights * x)):
        values = explain("input_x_gradient", replace(subject, target=target), QUICK).values
        oracle("Input × gradient", SCORES, values, expected.sum(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("smoothing", ["smoothgrad", "smoothgrad_sq", "vargrad"])
def test_smoothing_is_the_moments_over_noisy_copies(scored, smoothing, oracle):
    """The gradient of Σ x² is 2 x, so that of a noisy copy is 2 (x + noise)."""
    subject, _ = scored
    options = Options(samples=5, batch=2, noise=0.2, seed=7, smoothing=smoothing)
    generator = torch.Generator().manual_seed(7)
    copies = torch.stack(
        [2 * (subject.pixels[0][0] + 0.2 * torch.randn(1, 3, 32, 32, generator=generator)[0]) for _ in range(5)]
    )
    moments = {
        "smoothgrad": copies.mean(0).norm(dim=0),
        "smoothgrad_sq": (copies**2).mean(0).sum(0),
        "vargrad": copies.var(0, correction=0).sum(0),
    }
    heat = explain("gradient", replace(subject, target=0), options)
    oracle("Gradient, smoothed", SCORES, heat.values, moments[smoothing], rtol=1e-3, atol=1e-4)
    assert heat.figures == {"samples": 5}


@pytest.mark.parametrize("method", [name for name in GRADIENTS if name not in ("smoothgrad", "deep_lift")])
def test_any_gradient_method_can_be_smoothed(tiny, method, monkeypatch):
    monkeypatch.setattr(gradient, "NEGLIGIBLE", float("inf"))
    subject = subject_of([tiny["resnet"]], paint(40, 40))
    maps = {how: explain(method, subject, replace(QUICK, smoothing=how)) for how in ("none", "smoothgrad", "vargrad")}
    assert maps["none"].signed == maps["smoothgrad"].signed == EXPLANATIONS.get(method).signed
    assert not maps["vargrad"].signed and maps["vargrad"].values.min() >= 0
    assert not np.allclose(maps["none"].values, maps["smoothgrad"].values)
    still = explain(method, subject, replace(QUICK, smoothing="smoothgrad", noise=0.0))
    if method != "gradient_shap":  # which draws as many points either way
        plain = maps["none"].values
        np.testing.assert_allclose(still.values, plain, rtol=1e-3, atol=1e-4 * np.abs(plain).max())


def test_smoothgrad_is_the_gradient_smoothed(tiny):
    subject = subject_of([tiny["vit"], tiny["resnet"]], paint(40, 40))
    one = explain("smoothgrad", subject, QUICK)
    other = explain("gradient", subject, replace(QUICK, smoothing="smoothgrad"))
    np.testing.assert_array_equal(one.values, other.values)


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion", "feature_ablation"])
def test_several_baselines_are_the_mean_of_each(tiny, method, monkeypatch):
    monkeypatch.setattr(gradient, "NEGLIGIBLE", float("inf"))
    subject = subject_of([tiny["vit"]], paint(40, 40))
    options = Options(steps=4, patches=3, segments=4)
    each = [explain(method, subject, replace(options, baseline=name)) for name in BASELINES]
    heat = explain(method, subject, replace(options, baseline=AVERAGE))
    np.testing.assert_allclose(heat.values, np.mean([one.values for one in each], 0), atol=1e-6)
    if method == "integrated_gradients":
        assert heat.figures["sum"] == pytest.approx(np.mean([one.figures["sum"] for one in each]), abs=1e-6)
        assert heat.figures["error"] == pytest.approx(
            abs(heat.figures["sum"] - heat.figures["picture"] + heat.figures["baseline"]), abs=1e-6
        )


# one layer of ReLUs


class Bent(nn.Module):
    """Logits V relu(W x + c) of five classes."""

    num_classes = 5

    def __init__(self, inplace: bool = False):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.one, self.bend, self.two = nn.Linear(48, 20), nn.ReLU(inplace), nn.Linear(20, 5)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)

    def forward(self, pixels):
        return self.two(self.bend(self.one(pixels.flatten(1))))


@pytest.fixture(params=[False, True], ids=["", "in place"])
def bent(request):
    body = Bent(request.param)
    subject = alone(model_of(body, (4, 4), temperature=2.0), paint(40, 40), target=2, against=4)
    return subject, body


def normalised(subject, pixels: torch.Tensor) -> torch.Tensor:
    network = subject.models[0].network
    return ((pixels - network.mean) / network.std).flatten(1)


def test_guided_backpropagation_of_one_layer(bent, oracle):
    """Wᵀ (z > 0) relu(v): a unit that is off, or that speaks against the class, sends nothing back."""
    subject, body = bent
    hidden = body.one(normalised(subject, subject.pixels[0]))[0]
    says = (body.two.weight[2] - body.two.weight[4]) / 2.0
    back = ((hidden > 0) * says.clamp_min(0)) @ body.one.weight
    expected = back.detach().view(3, 4, 4) / subject.models[0].network.std
    heat = explain("guided_backprop", subject, QUICK)
    oracle("Guided backpropagation", "one layer of ReLUs by hand", heat.values, expected.norm(dim=0), rtol=1e-4)


@pytest.mark.parametrize("baseline", ["black", "white", "blurred"])
def test_deep_lift_of_one_layer(bent, baseline, oracle):
    """The rescale rule: a unit's multiplier is Δ relu(z) / Δ z."""
    subject, body = bent
    x, blank = subject.pixels[0], BASELINES[baseline](subject.pixels[0])
    hidden, before = (body.one(normalised(subject, each))[0] for each in (x, blank))
    multiplier = (hidden.relu() - before.relu()) / (hidden - before)
    says = (body.two.weight[2] - body.two.weight[4]) / 2.0
    slopes = ((multiplier * says) @ body.one.weight).detach().view(3, 4, 4) / subject.models[0].network.std
    heat = explain("deep_lift", subject, Options(baseline=baseline))
    expected = (slopes * (x - blank)[0]).sum(0)
    oracle("DeepLift", "one layer of ReLUs by hand", heat.values, expected, rtol=1e-3, atol=1e-4)
    assert heat.figures["logit_error"] < 1e-4
    assert heat.figures["logit_sum"] == pytest.approx(float(heat.values.sum()), abs=1e-3)


def test_deep_lift_that_does_not_add_up_is_not_shown():
    refusal = explain("deep_lift", family("EVA-02"), QUICK)
    assert isinstance(refusal, NotOffered)
    assert "does not add up" in refusal.reason and "% of the difference" in refusal.reason


@pytest.mark.parametrize(
    ("name", "found"), [("LeViT", "Hardswish"), ("ViT", "GELU and attention"), ("MobileViT", "SiLU and attention")]
)
def test_guided_backpropagation_is_for_relus_alone(name, found):
    refusal = explain("guided_backprop", family(name), QUICK)
    assert isinstance(refusal, NotOffered)
    assert "ReLUs alone" in refusal.reason and found in refusal.reason
