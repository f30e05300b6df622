"""Explanations against closed forms, independent integrals and explicit loops, through the path that the page takes."""

import copy
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.conftest import everything_on, paint, subject_of
from vitdemo.attention import Recorder, layout_of, rollout
from vitdemo.errors import Cancelled, UnknownNameError, VitdemoError
from vitdemo.explain import BASELINES, EXPLANATIONS, Options, explain, fused_subject, gradient
from vitdemo.explain.base import CHOICES, LIMITS, merge, single_subjects
from vitdemo.fusion import FUSIONS
from vitdemo.models import Model, Network
from vitdemo.types import Heat, NotOffered, View
from vitdemo.views import canvas_shape, spread, union

METHODS = EXPLANATIONS.names()
CLOSED = "closed form of a linear model"
QUICK = Options(steps=4, samples=3, patches=4, batch=5)


@pytest.fixture
def no_doubling(monkeypatch):
    """Integrated gradients stop at the steps asked for."""
    monkeypatch.setattr(gradient, "NEGLIGIBLE", float("inf"))


def values_of(name, subject, options=QUICK) -> np.ndarray:
    return explain(name, subject, options).values


@pytest.fixture(autouse=True)
def leave_the_sum_of_deep_lift(monkeypatch):
    """Untrained networks have logits so alike that it hardly ever adds up."""
    monkeypatch.setattr(gradient, "LEFT_OUT", float("inf"))


# integrated gradients: closed form of a linear backbone, p = σ(b + w·x)


class Linear(nn.Module):
    """Two classes with the logits (0, b + w·x)."""

    num_classes = 2

    def __init__(self, weights: torch.Tensor, bias: float):
        super().__init__()
        self.weights = nn.Parameter(weights, requires_grad=False)  # (3, h, w)
        self.bias = bias

    def forward(self, pixels):
        score = self.bias + (pixels * self.weights).sum((1, 2, 3))
        return torch.stack([torch.zeros_like(score), score], dim=1)

    def forward_features(self, pixels):
        return pixels

    def forward_head(self, pixels, pre_logits=False):
        return pixels.flatten(1) if pre_logits else self(pixels)


def linear(tiny, weights: torch.Tensor, bias: float, temperature: float = 1.0) -> Model:
    model = tiny["vit"]
    row = replace(model.backbone, name=f"linear {bias}", temperature=temperature, labels=("no", "yes"))
    transform = {**model.transform, "input_size": tuple(weights.shape), "crop_pct": 1.0}
    network = Network(Linear(weights, bias), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).eval()

    def resize(picture):
        resized = picture.resize((weights.shape[2], weights.shape[1]))
        return torch.from_numpy(np.array(resized)).permute(2, 0, 1)

    return Model(row, network, torch.device("cpu"), ("no", "yes"), transform, resize)


def integral(weights, bias, pixels, start, temperature=1.0) -> torch.Tensor:
    """∫ σ'(b + w·(s + α(x − s))) w (x − s) dα = w (x − s) (σ(b + w·x) − σ(b + w·s)) / w·(x − s), for each pixel."""
    weights, bias = weights.double() / temperature, bias / temperature
    change = weights * (pixels - start).double()
    ends = [torch.sigmoid(bias + (weights * x.double()).sum()) for x in (pixels, start)]
    return (change / change.sum() * (ends[0] - ends[1])).sum(0)


def random_weights(seed: int) -> torch.Tensor:
    return 0.3 * torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(seed)) + 0.02


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_integrated_gradients_of_a_linear_backbone(tiny, baseline, temperature, oracle):
    weights = random_weights(0)
    subject = subject_of([linear(tiny, weights, -0.4, temperature)], paint(6, 6))
    start = BASELINES[baseline](subject.pixels[0])[0]
    heat = explain("integrated_gradients", subject, Options(steps=64, baseline=baseline))
    expected = integral(weights, -0.4, subject.pixels[0][0], start, temperature)
    oracle("Integrated gradients", CLOSED, heat.values, expected, atol=1e-6)
    assert heat.signed
    assert heat.figures["error"] < 1e-5
    change = heat.figures["picture"] - heat.figures["baseline"]
    oracle("Integrated gradients", "completeness, of a linear model", heat.figures["sum"], change, atol=1e-5)


def test_integrated_gradients_of_two_fused_linear_backbones(tiny, oracle):
    parts = [(random_weights(1), -0.4), (random_weights(2), 0.7)]
    subject = subject_of([linear(tiny, *part) for part in parts], paint(6, 6))
    pixels = subject.pixels[0][0]
    expected = sum(integral(*part, pixels, torch.zeros_like(pixels)) for part in parts) / 2
    values = values_of("integrated_gradients", subject, Options(steps=64))
    oracle("Integrated gradients of a fusion", CLOSED, values, expected, atol=1e-6)


def test_dummy_pixels_get_nothing_and_equal_pixels_the_same(tiny):
    weights = random_weights(3)
    weights[:, 2, 3] = 0
    weights[:, 0, 1] = weights[:, 5, 4]
    subject = subject_of([linear(tiny, weights, 0.1)], paint(6, 6))
    subject.pixels[0][..., 0, 1] = subject.pixels[0][..., 5, 4]
    values = values_of("integrated_gradients", subject)
    assert values[2, 3] == 0
    assert values[0, 1] == pytest.approx(values[5, 4], abs=1e-8)
    assert values[0, 1] != 0


def test_the_other_class_gets_the_opposite(tiny):
    model = linear(tiny, random_weights(4), 0.2)
    yes, no = (subject_of([model], paint(6, 6), target=target) for target in (1, 0))
    np.testing.assert_allclose(
        values_of("integrated_gradients", yes), -values_of("integrated_gradients", no), atol=1e-7
    )


# integrated gradients of real architectures


def integrate(subject, baseline: str, nodes: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The integral by any rule with nodes in 0..1 and shares that sum to 1, in float64, by autograd."""
    models = [replace(model, network=copy.deepcopy(model.network).double()) for model in subject.models]
    pixels = [x.double() for x in subject.pixels]
    starts = [BASELINES[baseline](x) for x in pixels]
    sums = [torch.zeros_like(x) for x in pixels]
    for alpha, share in zip(nodes, shares, strict=True):
        path = [(s + alpha * (x - s)).requires_grad_() for x, s in zip(pixels, starts, strict=True)]
        each = [
            torch.softmax(model.network(x) / model.backbone.temperature, -1)[:, subject.target]
            for model, x in zip(models, path, strict=True)
        ]
        fused = sum(weight * p for weight, p in zip(subject.weights, each, strict=True))
        for part, gradients in zip(sums, torch.autograd.grad(fused.sum(), path), strict=True):
            part += share * gradients
    parts = [(g * (x - s))[0].sum(0) for g, x, s in zip(sums, pixels, starts, strict=True)]
    return torch.stack(parts).sum(0).numpy()


@pytest.mark.parametrize(("names", "baseline"), [(["vit"], "black"), (["resnet"], "white"), (["vit", "beit"], "mean")])
def test_integrated_gradients_are_numpys_gauss_legendre_rule(tiny, no_doubling, names, baseline, oracle):
    subject = subject_of([tiny[name] for name in names], paint(40, 40))
    values = values_of("integrated_gradients", subject, Options(steps=12, baseline=baseline))
    nodes, shares = np.polynomial.legendre.leggauss(12)
    expected = integrate(subject, baseline, (nodes + 1) / 2, shares / 2)
    name = "Integrated gradients" if len(names) == 1 else "Integrated gradients of a fusion"
    atol = 1e-3 * np.abs(expected).max()
    oracle(name, "NumPy's Gauss-Legendre nodes, autograd in fp64", values, expected, atol=atol)


def test_integrated_gradients_are_a_riemann_sum_of_many_steps(tiny, no_doubling, oracle):
    subject = subject_of([tiny["vit"]], paint(40, 40))
    values = values_of("integrated_gradients", subject, Options(steps=96))
    expected = integrate(subject, "black", (np.arange(250) + 0.5) / 250, np.full(250, 1 / 250))
    atol = 5e-3 * np.abs(expected).max()
    oracle("Integrated gradients", "Riemann sum of 250 steps, autograd in fp64", values, expected, atol=atol)


@pytest.mark.parametrize("strategy", ["mean", "validation"])
def test_the_fused_means_gradients_are_the_weighted_mean_of_its_members(tiny, no_doubling, strategy):
    members = [subject_of([tiny[name]], paint(50, 40)) for name in ("vit", "resnet", "distilled")]
    fused = subject_of([tiny[name] for name in ("vit", "resnet", "distilled")], paint(50, 40), strategy)
    assert fused.weights.sum() == pytest.approx(1)
    expected = sum(
        weight * values_of("integrated_gradients", member)
        for weight, member in zip(fused.weights, members, strict=True)
    )
    values = values_of("integrated_gradients", fused)
    np.testing.assert_allclose(values, expected, atol=1e-5)
    assert np.abs(values - expected).max() <= 1e-4 * np.abs(values).max()


def test_members_of_other_sizes_are_added_on_the_picture(tiny, no_doubling):
    picture = paint(70, 50)
    members = [subject_of([tiny[name]], picture) for name in ("vit", "wide")]
    fused = explain("integrated_gradients", subject_of([tiny["vit"], tiny["wide"]], picture), QUICK)
    maps = [explain("integrated_gradients", member, QUICK) for member in members]
    seen = union([heat.view for heat in maps])
    expected = sum(0.5 * spread(heat.values, heat.view, canvas_shape(seen.size), seen) for heat in maps)
    np.testing.assert_allclose(fused.values, expected, atol=1e-5)
    assert fused.view == seen and all(heat.view != seen or heat is maps[1] for heat in maps)
    assert fused.values.sum() == pytest.approx(fused.figures["sum"], abs=1e-5)


@pytest.mark.parametrize("name", ["vit", "resnet", "beit"])
def test_figures_of_completeness_agree(tiny, name, oracle):
    subject = subject_of([tiny[name]], paint(40, 40))
    heat = explain("integrated_gradients", subject, QUICK)
    figures = heat.figures
    assert figures["sum"] == pytest.approx(heat.values.sum(dtype=np.float64), abs=1e-5)
    assert figures["error"] == pytest.approx(abs(figures["sum"] - (figures["picture"] - figures["baseline"])), abs=1e-9)
    assert figures["relative_error"] == pytest.approx(
        figures["error"] / abs(figures["picture"] - figures["baseline"]), rel=1e-6
    )
    with torch.no_grad():
        for key, pixels in (("picture", subject.pixels[0]), ("baseline", torch.zeros_like(subject.pixels[0]))):
            own = torch.softmax(tiny[name].network(pixels) / tiny[name].backbone.temperature, -1)[0, 1]
            oracle("Integrated gradients", "probabilities of both ends", figures[key], own, atol=1e-6)


def steep(tiny) -> Model:
    """A step at 5 % of the way from black, which two points of the path miss."""
    return linear(tiny, torch.full((3, 6, 6), 4.0), -10.0)


def test_pieces_are_halved_until_the_map_adds_up(tiny, oracle, monkeypatch):
    subject = subject_of([steep(tiny)], paint(6, 6))
    heat = explain("integrated_gradients", subject, Options(steps=2))
    figures = heat.figures
    assert 2 < figures["steps"] < gradient.MOST_STEPS and figures["steps"] % 2 == 0
    assert figures["error"] <= max(0.05 * abs(figures["picture"] - figures["baseline"]), 0.001)
    rough, fine = (_only(subject, steps, monkeypatch) for steps in (figures["steps"], 4096))
    oracle("Integrated gradients", "4,096 points on the whole way", heat.values, fine, atol=0.1 * np.abs(fine).max())
    assert np.abs(heat.values - fine).max() < np.abs(rough - fine).max()  # than as many points spread evenly


def _only(subject, steps: int, monkeypatch) -> np.ndarray:
    """The map of one Gauss-Legendre rule over the whole way."""
    with monkeypatch.context() as patched:
        patched.setattr(gradient, "POINTS", int(steps))
        patched.setattr(gradient, "NEGLIGIBLE", float("inf"))
        patched.setattr(Options, "__post_init__", lambda self: None)
        return explain("integrated_gradients", subject, Options(steps=int(steps))).values


def test_points_stop_at_the_most(tiny, monkeypatch):
    monkeypatch.setattr(gradient, "NEGLIGIBLE", -1.0)
    monkeypatch.setattr(gradient, "TOLERANCE", -1.0)
    heat = explain("integrated_gradients", subject_of([steep(tiny)], paint(6, 6)), Options(steps=3))
    assert heat.figures["steps"] == 85 * 3 <= gradient.MOST_STEPS == 256


def test_a_picture_like_its_baseline_needs_no_more_steps(tiny):
    black = paint(32, 32).point(lambda value: 0)
    heat = explain("integrated_gradients", subject_of([tiny["vit"]], black), QUICK)
    assert heat.figures["steps"] == QUICK.steps
    assert not heat.values.any()
    assert heat.figures["relative_error"] == 0


# SmoothGrad


@pytest.mark.parametrize("names", [["vit"], ["resnet", "beit"]])
def test_smoothgrad_without_noise_is_the_length_of_the_gradient(tiny, names, oracle):
    subject = subject_of([tiny[name] for name in names], paint(40, 40))
    pixels = [x.clone().requires_grad_() for x in subject.pixels]
    each = [
        torch.softmax(model.network(x) / model.backbone.temperature, -1)[0, 1]
        for model, x in zip(subject.models, pixels, strict=True)
    ]
    gradients = torch.autograd.grad(sum(each) / len(each), pixels)
    expected = sum(g[0].square().sum(0).sqrt() for g in gradients)
    values = values_of("smoothgrad", subject, Options(samples=3, noise=0.0))
    oracle("SmoothGrad", "autograd, without noise", values, expected, rtol=1e-3, atol=1e-4 * float(expected.max()))


def test_smoothgrad_of_a_linear_logit_is_the_length_of_its_weights(tiny, oracle):
    """Where σ' is nearly constant, the gradient is σ' w whatever the noise."""
    weights = 1e-3 * random_weights(5)
    values = values_of("smoothgrad", subject_of([linear(tiny, weights, 0.0)], paint(6, 6)), Options(samples=9))
    oracle("SmoothGrad", CLOSED, values, 0.25 * weights.norm(dim=0), rtol=1e-4)


def test_smoothgrad_is_the_mean_over_its_noisy_copies(tiny, oracle):
    """One more copy changes the running mean by that copy's gradient only."""
    subject = subject_of([tiny["vit"]], paint(40, 40))
    generator = torch.Generator().manual_seed(0)
    gradients = []
    for _ in range(5):
        x = (subject.pixels[0] + 0.15 * torch.randn(1, 3, 32, 32, generator=generator)).requires_grad_()
        probability = torch.softmax(tiny["vit"].network(x) / 1.5, -1)[0, 1]
        gradients.append(torch.autograd.grad(probability, x)[0][0])
    expected = torch.stack(gradients).mean(0).norm(dim=0)
    values = values_of("smoothgrad", subject, Options(samples=5, batch=2))
    oracle("SmoothGrad", "autograd, copy by copy", values, expected, rtol=1e-3, atol=1e-4 * float(expected.max()))


# occlusion


def hide_in_a_loop(subject, options: Options) -> np.ndarray:
    """Patch after patch, hidden by hand from every member."""
    boxes = np.array([view.box for view in subject.views])
    left, top, right, bottom = *boxes[:, :2].min(0), *boxes[:, 2:].max(0)
    rows, columns = canvas_shape((round(right - left), round(bottom - top)), options.patches)

    def score(pixels) -> float:
        with torch.no_grad():
            each = [
                torch.softmax(model.network(x) / model.backbone.temperature, -1)[0, subject.target]
                for model, x in zip(subject.models, pixels, strict=True)
            ]
        return float(sum(each) / len(each))

    drop = np.zeros((rows, columns))
    for row, column in np.ndindex(rows, columns):
        hidden = []
        for x, box in zip(subject.pixels, boxes, strict=True):
            x, blank = x.clone(), BASELINES[options.baseline](x)
            for i, j in np.ndindex(*x.shape[-2:]):
                at_y = box[1] + (i + 0.5) * (box[3] - box[1]) / x.shape[-2]
                at_x = box[0] + (j + 0.5) * (box[2] - box[0]) / x.shape[-1]
                if (
                    min(int((at_y - top) / (bottom - top) * rows), rows - 1) == row
                    and min(int((at_x - left) / (right - left) * columns), columns - 1) == column
                ):
                    x[..., i, j] = blank[..., i, j]
            hidden.append(x)
        drop[row, column] = score(subject.pixels) - score(hidden)
    return drop


@pytest.mark.parametrize("baseline", BASELINES)
def test_occlusion_is_hiding_in_a_loop(tiny, baseline, oracle):
    subject = subject_of([tiny["vit"]], paint(44, 40))
    options = replace(QUICK, baseline=baseline)
    heat = explain("occlusion", subject, options)
    oracle("Occlusion", "a loop over patches and pixels", heat.values, hide_in_a_loop(subject, options), atol=2e-6)
    assert heat.figures == {"patches": heat.values.size}
    assert np.abs(heat.values).max() > 1e-4


def test_occlusion_hides_from_all_members_at_once(tiny, oracle):
    subject = subject_of([tiny["vit"], tiny["wide"], tiny["resnet"]], paint(70, 50))
    heat = explain("occlusion", subject, QUICK)
    expected = hide_in_a_loop(subject, QUICK)
    oracle("Occlusion of a fusion", "a loop over patches and pixels", heat.values, expected, atol=2e-6)
    assert heat.view.box[0] == min(view.box[0] for view in subject.views)


def test_occlusion_of_a_vote(tiny, oracle):
    """It needs no gradient: the vote's own jumps are its map."""
    subject = subject_of([tiny["vit"], tiny["resnet"], tiny["beit"]], paint(40, 40), "vote")
    heat = explain("occlusion", subject, QUICK)
    with torch.no_grad():
        whole = subject.scorer(*subject.pixels)[0, 1]
        hidden = [x.clone() for x in subject.pixels]
        for x in hidden:
            x[..., :8, :8] = 0
        expected = whole - subject.scorer(*hidden)[0, 1]
    oracle("Occlusion of a fusion", "one patch by hand, of a vote", heat.values[0, 0], expected, atol=1e-6)


# rollout of a fused model


def test_fused_rollout_is_the_weighted_mean_of_the_members_shares(tiny, oracle):
    picture = paint(50, 40)
    subject = subject_of([tiny["vit"], tiny["resnet"], tiny["registers"]], picture, "validation")
    heat = explain("rollout", subject, Options())
    shares = [values_of("rollout", subject_of([tiny[name]], picture)) for name in ("vit", "registers")]
    weights = subject.weights[[0, 2]]
    expected = sum(w * share / share.sum() for w, share in zip(weights, shares, strict=True)) / weights.sum()
    oracle("Attention rollout of a fusion", "weighted mean of the members' shares", heat.values, expected, atol=1e-6)
    assert heat.values.sum() == pytest.approx(1, abs=1e-5)
    assert heat.figures == {"members": 2, "of": 3}


def test_fused_rollout_of_other_sizes_lies_on_the_picture(tiny):
    picture = paint(70, 50)
    heat = explain("rollout", subject_of([tiny["vit"], tiny["wide"]], picture), Options())
    maps = [explain("rollout", subject_of([tiny[name]], picture), Options()) for name in ("vit", "wide")]
    seen = union([heat.view for heat in maps])
    shape = canvas_shape(seen.size)
    expected = sum(0.5 * spread(m.values / m.values.sum(), m.view, shape, seen) for m in maps)
    np.testing.assert_allclose(heat.values, expected, atol=1e-6)


def test_rollout_reads_its_options(tiny):
    subject = subject_of([tiny["vit"]], paint(40, 40))
    layout = layout_of(tiny["vit"].network.body, (32, 32))
    expected = rollout(subject.recordings[0], layout, discard=0.7)[0]
    np.testing.assert_allclose(values_of("rollout", subject, Options(discard=0.7)), expected)


def test_rollout_of_members_without_a_weight_counts_them_the_same(tiny):
    subject = subject_of([tiny["vit"], tiny["resnet"], tiny["registers"]], paint(40, 40))
    only_resnet = replace(subject, weights=np.array([0.0, 1.0, 0.0]))
    np.testing.assert_allclose(values_of("rollout", only_resnet), values_of("rollout", subject), atol=1e-6)


def test_rollout_of_attention_that_never_leaves_the_class_token_is_empty(tiny):
    one, other = subject_of([tiny["vit"]], paint(40, 40)), subject_of([tiny["registers"]], paint(40, 40))
    one = replace(one, recordings=([torch.eye(17)[None]] * 3,))
    assert not values_of("rollout", one).any()
    fused = values_of("rollout", fused_subject([one, other], "mean", np.array([0.5, 0.5])))
    assert np.isfinite(fused).all()
    assert fused.sum() == pytest.approx(0.5, abs=1e-5)


# what holds for all


@pytest.mark.parametrize("method", METHODS)
def test_one_backbone_fused_is_that_backbone(tiny, no_doubling, method):
    alone = subject_of([tiny["vit"]], paint(50, 40))
    for strategy in ("mean", "geometric", "validation", "confidence"):
        fused = fused_subject([alone], strategy, np.ones(1))
        one, other = explain(method, alone, QUICK), explain(method, fused, QUICK)
        if isinstance(one, NotOffered):
            assert other == one
            continue
        assert one.view == other.view
        np.testing.assert_allclose(other.values, one.values, rtol=1e-4, atol=1e-4 * np.abs(one.values).max())


@pytest.mark.parametrize("method", METHODS)
def test_two_threads_at_once_get_what_one_gets(tiny, no_doubling, method):
    subjects = [subject_of([tiny["vit"], tiny["resnet"]], paint(50, 40, seed)) for seed in (0, 1)]
    alone = [values_of(method, subject) for subject in subjects]
    together, barrier = {}, threading.Barrier(2, timeout=20)

    def run(index):
        first = [True]

        def tick():
            if first.pop() if first else False:
                barrier.wait()

        together[index] = explain(method, subjects[index], QUICK, tick).values

    threads = [threading.Thread(target=run, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for index in (0, 1):
        np.testing.assert_array_equal(together[index], alone[index])


def test_seeds_differ(tiny):
    subject = subject_of([tiny["vit"]], paint(40, 40))
    one, other, again = (values_of("smoothgrad", subject, replace(QUICK, seed=seed)) for seed in (0, 1, 0))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other, rtol=1e-3)


@pytest.mark.parametrize("stop_at", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_left_behind(tiny, method, stop_at):
    """Neither after the whole work nor after a cancellation in its middle."""
    subject = subject_of([tiny["vit"], tiny["resnet"]], paint(40, 40))
    pixels = [x.clone() for x in subject.pixels]
    before = everything_on(subject.scorer)
    count = 0

    def tick():
        nonlocal count
        if count == stop_at:
            raise Cancelled("stopped")
        count += 1

    try:
        explain(method, subject, QUICK, tick)
    except Cancelled:
        assert count == stop_at
    else:
        assert stop_at is None or count <= stop_at  # rollout has few members, and no passes
    assert everything_on(subject.scorer) == before
    for x, was in zip(subject.pixels, pixels, strict=True):
        assert torch.equal(x, was)
        assert not x.requires_grad
        assert x.grad is None


@pytest.mark.parametrize("method", METHODS)
def test_every_forward_pass_is_ticked_and_none_is_recorded(tiny, method):
    subject = subject_of([tiny["vit"]], paint(40, 40))
    events = []
    hook = tiny["vit"].network.body.register_forward_pre_hook(lambda module, inputs: events.append("pass"))
    try:
        with Recorder() as recorder:
            heat = explain(method, subject, QUICK, lambda: events.append("tick"))
    finally:
        hook.remove()
    if isinstance(heat, NotOffered):
        assert events == []
    elif method == "rollout":
        assert events == ["tick"]
        assert recorder.matrices == []
    else:
        assert events == ["tick", "pass"] * (len(events) // 2)
        assert events


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_are_pictures(name):
    pixels = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    blank = BASELINES[name](pixels)
    assert blank.shape == pixels.shape
    assert blank.dtype == pixels.dtype
    assert 0 <= blank.min() <= blank.max() <= 1
    assert blank.data_ptr() != pixels.data_ptr()
    if name in ("blurred", "mean"):  # a plain picture stays as it is, and the mean colour about as it is
        torch.testing.assert_close(BASELINES[name](torch.full_like(pixels, 0.3)), torch.full_like(pixels, 0.3))
        torch.testing.assert_close(blank.mean((-2, -1)), pixels.mean((-2, -1)), rtol=0, atol=0.03)
        assert blank.std() < 0.3 * pixels.std()
    else:
        assert blank.unique().tolist() == [{"black": 0.0, "white": 1.0}[name]]


# what is not allowed, and what is not offered


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: value} for name, (low, high) in LIMITS.items() for value in (low - 1, high + 1)),
        {"steps": 2.5},
        {"steps": "many"},
        {"samples": None},
        {"noise": float("nan")},
        {"batch": True},
        {"seed": 1e3},
    ],
)
def test_options_have_limits(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(VitdemoError, match=f"^{name} is {str(value)!r}; allowed: .*{LIMITS[name][1]}"):
        Options(**wrong)


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("value", ["loud", "", None, ["black"], 3])
def test_choices_name_what_is_allowed(name, value):
    with pytest.raises(UnknownNameError, match=f"{name.replace('_', ' ')}.*allowed: {', '.join(CHOICES[name])}"):
        Options(**{name: value})


def test_limits_are_allowed_themselves():
    for index in (0, 1):
        Options(**{name: bounds[index] for name, bounds in LIMITS.items()})


@pytest.mark.parametrize("method", ["integrated_gradients", "smoothgrad"])
def test_a_vote_has_no_gradient_and_shows_its_winners_maps(tiny, method):
    subject = subject_of([tiny["vit"], tiny["resnet"], tiny["beit"]], paint(40, 40), "vote")
    reason = EXPLANATIONS.get(method).refuse(subject)
    assert "no gradient" in reason
    assert "occlusion" in reason
    heat = explain(method, subject, QUICK)
    singles = [explain(method, single, QUICK) for single in single_subjects(subject)]
    shares = [each.values / np.abs(each.values).sum() for each in singles]
    expected = sum(weight * share for weight, share in zip(subject.weights, shares, strict=True))
    np.testing.assert_allclose(heat.values, expected, atol=1e-6)
    assert heat.signed == EXPLANATIONS.get(method).signed
    assert (heat.figures["members"], heat.figures["of"]) == (3, 3)


@pytest.mark.parametrize("names", [["resnet"], ["resnet", "resnet"]])
def test_rollout_of_a_convolutional_network_is_refused_with_an_alternative(tiny, names):
    refusal = explain("rollout", subject_of([tiny[name] for name in names], paint(40, 40)), QUICK)
    assert isinstance(refusal, NotOffered)
    assert refusal.reason.count("no attention") == 1
    assert "ntegrated gradients" in refusal.reason


def test_an_unknown_explanation_names_the_known_ones(tiny):
    with pytest.raises(UnknownNameError, match=", ".join(METHODS)):
        explain("gradcam", subject_of([tiny["vit"]], paint(40, 40)), QUICK)


def test_merging_maps_of_one_view_adds_them_exactly():
    view = View((0, 0, 8, 8), (8, 8))
    maps = [np.random.default_rng(seed).normal(size=(4, 4)).astype(np.float32) for seed in (0, 1)]
    values, merged = merge(maps, [view, view])
    np.testing.assert_array_equal(values, maps[0] + maps[1])
    assert merged == view


def test_a_map_is_what_the_page_shows(tiny):
    """Of the probability under the same temperature as the prediction."""
    subject = subject_of([tiny["beit"]], paint(40, 40))
    heat = explain("integrated_gradients", subject, QUICK)
    assert isinstance(heat, Heat)
    with torch.no_grad():
        assert heat.figures["picture"] == pytest.approx(float(subject.scorer(*subject.pixels)[0, 1]), abs=1e-6)


@pytest.mark.parametrize("strategy", [fusion.name for fusion in FUSIONS if fusion.linear])
@pytest.mark.parametrize("names", [("vit", "pooled"), ("vit", "wide")])
def test_fused_map_from_members_is_the_fused_models_own(tiny, picture, strategy, names):
    """Whether they see the same part of the picture on the same grid or not."""
    options = Options(steps=64)
    members = [subject_of([tiny[name]], picture) for name in names]
    fused = subject_of([tiny[name] for name in names], picture, strategy)
    direct = explain("integrated_gradients", fused, options)
    heats = [explain("integrated_gradients", member, options) for member in members]
    added = explain("integrated_gradients", fused, options, tick=lambda: pytest.fail("a pass"), members=heats)
    assert added.view == direct.view and added.values.shape == direct.values.shape
    assert np.abs(added.values - direct.values).max() < 0.02 * np.abs(direct.values).max()
    assert added.figures["picture"] == pytest.approx(direct.figures["picture"], abs=1e-5)
    assert added.figures["sum"] == pytest.approx(float(added.values.sum()), abs=1e-4)
