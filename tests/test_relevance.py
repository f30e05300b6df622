"""Relevance and gradient rollout against the papers' full matrices, a case worked by hand, and finite differences."""

import threading

import numpy as np
import pytest
import torch

from tests.conftest import TINY, everything_on, paint, subject_of
from tests.families import FAMILIES, body, pixels
from vitdemo.attention import Layout, Recorder, gradient_rollout, gradients_of, layout_of, relevance, rollout
from vitdemo.attention.tokens import stack
from vitdemo.errors import VitdemoError
from vitdemo.explain import EXPLANATIONS, Options, explain
from vitdemo.types import Heat, NotOffered

OFFERED = [name for name in TINY if name != "resnet"]


def score_of(network, pictures, target=1):
    return lambda: network(pictures)[:, target].sum()


def heads(name: str, batch=2, count=3, seed=0):
    """Random attention and gradients of a plain stack."""
    layout = {
        "class token": stack(1, (2, 3), (0,), 3),
        "distilled": stack(2, (2, 2), (0, 1), 3),
        "pooled": stack(0, (2, 3), range(6), 3),
    }[name]
    made = torch.Generator().manual_seed(seed)
    shape = (batch, count, layout.tokens, layout.tokens)
    matrices = [torch.randn(shape, generator=made).softmax(-1) for _ in range(layout.layers)]
    return layout, matrices, [torch.randn(shape, generator=made) for _ in range(layout.layers)]


def by_chefer(matrices, gradients, layout: Layout) -> np.ndarray:
    """Equations 5 and 6, each picture's whole matrix: Ā = E[(G ⊙ A)⁺], R ← R + Ā R; then R - I."""
    maps = []
    for picture in range(len(matrices[0])):
        relevances = np.eye(layout.tokens)
        for attention, gradient in zip(matrices, gradients, strict=True):
            product = attention[picture].double().numpy() * gradient[picture].double().numpy()
            relevances = relevances + np.maximum(product, 0).mean(0) @ relevances
        read = (relevances - np.eye(layout.tokens))[list(layout.readout)].mean(0)
        maps.append(read[layout.prefix :].reshape(layout.grid))
    return np.stack(maps)


def by_gildenblat(matrices, gradients, layout: Layout) -> np.ndarray:
    """Rollout with (E[G ⊙ A])⁺, rows normalised; without what never left its token."""
    maps = []
    for picture in range(len(matrices[0])):
        product, still = np.eye(layout.tokens), np.eye(layout.tokens)
        for attention, gradient in zip(matrices, gradients, strict=True):
            weighted = attention[picture].double().numpy() * gradient[picture].double().numpy()
            mixed = np.maximum(weighted.mean(0), 0) + np.eye(layout.tokens)
            norm = mixed.sum(1, keepdims=True)
            product, still = (mixed / norm) @ product, (np.eye(layout.tokens) / norm) @ still
        read = (product - still)[list(layout.readout)].mean(0)
        maps.append(read[layout.prefix :].reshape(layout.grid))
    return np.stack(maps)


METHODS = {"Relevance": (relevance, by_chefer), "Gradient rollout": (gradient_rollout, by_gildenblat)}
PAPER = "the definition's whole matrix in NumPy"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["class token", "distilled", "pooled"])
def test_the_row_is_that_of_the_whole_matrix(name, method, oracle):
    layout, matrices, gradients = heads(name)
    ours, reference = METHODS[method]
    result = ours(matrices, gradients, layout)
    assert result.shape == (2, *layout.grid)
    oracle(method, PAPER, result, reference(matrices, gradients, layout), rtol=1e-4, atol=1e-6)
    alone = [ours([m[1:] for m in matrices], [g[1:] for g in gradients], layout)]
    torch.testing.assert_close(result[1:], alone[0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", OFFERED)
def test_recorded_attention_and_gradients_give_the_papers_map(tiny, name, method, oracle):
    model = tiny[name]
    pictures = torch.rand(2, *model.transform["input_size"], generator=torch.Generator().manual_seed(4))
    layout = layout_of(model.network.body, model.transform["input_size"][1:])
    matrices, gradients = gradients_of(score_of(model.network, pictures))
    ours, reference = METHODS[method]
    expected = reference(matrices, gradients, layout)
    oracle(method, PAPER, ours(matrices, gradients, layout), expected, rtol=1e-3, atol=1e-5 * expected.max())


def test_two_layers_by_hand(oracle):
    """One class token, two patches, one head. A_1 = [[.2, .3, .5], I, I] with G_1 = [[1, 2, -1], ...0];
    A_2 = [[.5, .5, 0], I, I] with G_2 = [[2, 4, 9], ...0].

    Ā_1 = [[.2, .6, 0]], Ā_2 = [[1, 2, 0]], other rows 0. After layer 1 the class row of R is [1.2, .6, 0]; after
    layer 2 it is that + 1 x [1.2, .6, 0] + 2 x [0, 1, 0] = [2.4, 3.2, 0].
    """
    layout = stack(1, (1, 2), (0,), 2)
    first, second = torch.eye(3), torch.eye(3)
    first[0], second[0] = torch.tensor([0.2, 0.3, 0.5]), torch.tensor([0.5, 0.5, 0.0])
    slopes = [torch.zeros(3, 3), torch.zeros(3, 3)]
    slopes[0][0], slopes[1][0] = torch.tensor([1.0, 2.0, -1.0]), torch.tensor([2.0, 4.0, 9.0])
    result = relevance([first[None, None], second[None, None]], [one[None, None] for one in slopes], layout)
    oracle("Relevance", "two layers by hand", result, [[[3.2, 0.0]]], rtol=1.3e-6, atol=1e-5)


def test_negative_parts_are_cut_before_the_mean_of_heads():
    """A head that speaks against does not cancel one that speaks for; in gradient rollout it does."""
    layout = stack(1, (1, 1), (0,), 1)
    attention = torch.full((1, 2, 2, 2), 0.5)
    gradient = torch.tensor([[[0.0, 4.0], [0, 0]], [[0.0, -4.0], [0, 0]]])[None]
    assert relevance([attention], [gradient], layout).item() == 1.0
    assert gradient_rollout([attention], [gradient], layout).item() == 0.0


@pytest.mark.parametrize("name", ["vit", "beit"])
def test_gradients_are_finite_differences(tiny, name, oracle):
    """One entry of one matrix is moved while the model runs."""
    network = tiny[name].network
    pictures = torch.rand(1, *tiny[name].transform["input_size"], generator=torch.Generator().manual_seed(5))
    _, gradients = gradients_of(score_of(network, pictures))

    class Nudge(Recorder):
        def __init__(self, layer, at, by):
            super().__init__()
            self.layer, self.at, self.by = layer, at, by

        def _record(self, attention):
            if len(self.matrices) == self.layer:
                attention = attention.clone()
                attention[self.at] += self.by
            return super()._record(attention)

    for layer, at in ((0, (0, 1, 3, 2)), (1, (0, 0, 0, 5)), (2, (0, 1, 0, 7)), (2, (0, 0, 4, 4))):
        ends = []
        for by in (0.05, -0.05):
            with torch.no_grad(), Nudge(layer, at, by):
                ends.append(float(network(pictures)[0, 1]))
        slope, scale = (ends[0] - ends[1]) / 0.1, float(gradients[layer].abs().max())
        found = float(gradients[layer][at])
        oracle("Gradient of the attention", "central differences", found, slope, atol=0.02 * scale)


class Interruption(Exception):
    pass


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("name", ["vit", "beit"])
def test_nothing_is_left_behind(tiny, name, broken):
    network = tiny[name].network
    pictures = torch.rand(1, *tiny[name].transform["input_size"])
    before = everything_on(network)

    def score():
        value = network(pictures)[0, 1]
        if broken:
            raise Interruption
        return value

    if broken:
        with pytest.raises(Interruption):
            gradients_of(score)
    else:
        matrices, gradients = gradients_of(score)
        assert not any(one.requires_grad for one in (*matrices, *gradients))
        assert all(one.abs().sum() > 0 for one in gradients)
    assert everything_on(network) == before
    assert pictures.grad is None and not pictures.requires_grad


def test_logits_with_a_graph_are_plain_logits(tiny):
    for name in OFFERED:
        pictures = torch.rand(1, *tiny[name].transform["input_size"], generator=torch.Generator().manual_seed(6))
        with torch.no_grad():
            plain = tiny[name].network(pictures)
        with Recorder(graph=True) as recorder:
            kept = tiny[name].network(pictures)
        torch.testing.assert_close(kept.detach(), plain, rtol=1e-5, atol=1e-6)
        assert all(matrix.requires_grad for matrix in recorder.matrices)


def test_two_threads_take_their_own_gradients(tiny):
    pictures = torch.rand(1, *tiny["vit"].transform["input_size"], generator=torch.Generator().manual_seed(7))
    alone = [gradients_of(score_of(tiny["vit"].network, pictures, target))[1][0] for target in (0, 1)]
    together = {}

    def run(target):
        together[target] = gradients_of(score_of(tiny["vit"].network, pictures, target))[1][0]

    threads = [threading.Thread(target=run, args=(target,)) for target in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for target in (0, 1):
        torch.testing.assert_close(together[target], alone[target])
    assert not torch.allclose(alone[0], alone[1])


@pytest.mark.parametrize("family", ["Swin", "CaiT", "CrossViT", "LeViT", "ConViT", "PiT", "ViT, attention-pooled"])
def test_every_family_gives_a_map_of_its_class(family):
    made = FAMILIES[family]
    model, layout = body(family), layout_of(body(family), (made.size,) * 2)
    pictures = pixels(family)
    maps = []
    for target in (1, 3):
        matrices, gradients = gradients_of(score_of(model, pictures, target))
        assert [tuple(m.shape[1:]) for m in matrices] == made.shapes
        result = relevance(matrices, gradients, layout)
        assert result.shape == (2, *layout.grid)
        assert torch.isfinite(result).all() and result.min() >= 0 and result.std() > 0
        maps.append(result)
        single = gradients_of(score_of(model, pictures[:1], target))
        alone = relevance(*single, layout)
        torch.testing.assert_close(alone, result[:1], rtol=1e-3, atol=1e-5 * float(result.max()))
        rolled = gradient_rollout(matrices, gradients, layout)
        assert rolled.min() >= 0 and rolled.flatten(1).sum(1).max() <= 1 + 1e-4
    assert not torch.allclose(maps[0], maps[1], rtol=0.05, atol=0)


def test_a_gate_splits_its_gradient_between_both_matrices():
    """ConViT: ∂y/∂C ⊙ C + ∂y/∂P ⊙ P is G ⊙ A of the attention that it mixes."""
    family = "ConViT"
    layout = layout_of(body(family), (FAMILIES[family].size,) * 2)
    step = layout.attentions[0]
    made = torch.Generator().manual_seed(0)
    content, position = (torch.rand(1, 1, 2, 16, 16, generator=made).softmax(-1) for _ in range(2))
    slope = torch.randn(1, 1, 2, 16, 16, generator=made)
    gate = step.gate.view(-1, 1, 1)
    from vitdemo.attention.relevance import _products
    from vitdemo.attention.tokens import heads_of

    products = _products(step, [(1 - gate) * slope * content, gate * slope * position])
    torch.testing.assert_close(products, slope * heads_of(step, [content, position]))


def test_wrong_matrices_and_shares_are_refused():
    layout, matrices, gradients = heads("pooled")
    with pytest.raises(VitdemoError, match="expected 3"):
        relevance(matrices[:2], gradients[:2], layout)
    with pytest.raises(VitdemoError, match="residual is 1"):
        gradient_rollout(matrices, gradients, layout, residual=1.0)


# as explanations


def test_relevance_explains_the_logit(tiny):
    """Of the papers: at a saturated probability its gradient vanishes and that of the logit does not."""
    subject = subject_of([tiny["vit"]], paint(60, 60))
    matrices, gradients = gradients_of(score_of(tiny["vit"].network, subject.pixels[0]))
    layout = layout_of(tiny["vit"].network.body, (32, 32))
    heat = explain("relevance", subject, Options())
    np.testing.assert_allclose(heat.values, relevance(matrices, gradients, layout)[0], rtol=1e-4)


@pytest.mark.parametrize("method", ["relevance", "gradient_rollout", "attention"])
def test_the_fused_map_is_the_weighted_mean_of_the_members_shares(tiny, method, oracle):
    picture = paint(60, 60)
    names = ("vit", "registers")
    fused = explain(method, subject_of([tiny[name] for name in (*names, "resnet")], picture), Options())
    shares = []
    for name in names:
        heat = explain(method, subject_of([tiny[name]], picture), Options())
        shares.append(heat.values / heat.values.sum())
    assert isinstance(fused, Heat)
    title = f"{EXPLANATIONS.get(method).title} of a fusion"
    expected = np.mean(shares, axis=0)
    oracle(title, "weighted mean of the members' shares", fused.values, expected, rtol=1e-4, atol=1e-7)
    assert (fused.figures["members"], fused.figures["of"]) == (2, 3)


# raw attention


def whole(model, pictures):
    with torch.no_grad(), Recorder() as recorder:
        model.network(pictures)
    return [matrix[0].numpy() for matrix in recorder.matrices]  # (heads, N, N)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, lambda layers: layers[-1].mean(0)[0, 1:]),
        ({"head_fusion": "max"}, lambda layers: layers[-1].max(0)[0, 1:]),
        ({"layer": 0, "head": 1}, lambda layers: layers[0][1, 0, 1:]),
        ({"layer": 1, "head": 0, "query": 5}, lambda layers: layers[1][0, 1 + 5, 1:]),
        ({"layer": 2, "query": 23}, lambda layers: layers[2].mean(0)[1 + 23, 1:]),
    ],
)
def test_raw_attention_is_a_row_of_the_recorded_matrix(tiny, options, expected, oracle):
    model = tiny["wide"]
    subject = subject_of([model], paint(90, 60))
    heat = explain("attention", subject, Options(**options))
    assert heat.values.shape == (4, 6)
    row = expected(whole(model, subject.pixels[0]))
    oracle("Raw attention", "row of the recorded matrix", heat.values.ravel(), row, rtol=1e-4, atol=1e-7)


def test_raw_attention_of_pooled_heads_is_the_mean_over_the_patches(tiny, oracle):
    subject = subject_of([tiny["beit"]], paint(60, 60))
    heat = explain("attention", subject, Options(layer=1))
    expected = whole(tiny["beit"], subject.pixels[0])[1].mean(0)[1:, 1:].mean(0)
    oracle("Raw attention", "row of the recorded matrix", heat.values.ravel(), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layer": 3}, "layer is 3, but this backbone has 0 to 2"),
        ({"head": 2}, "head is 2, but the heads of layer 2 are 0 to 1"),
        ({"query": 16}, "query is 16, but this backbone has 0 to 15"),
    ],
)
def test_raw_attention_that_is_not_there_is_refused(tiny, options, words):
    refusal = explain("attention", subject_of([tiny["vit"]], paint(60, 60)), Options(**options))
    assert isinstance(refusal, NotOffered)
    assert words in refusal.reason


@pytest.mark.parametrize("options", [{"residual": 0.2}, {"start": 1}, {"start": 99, "discard": 0.5}])
def test_rollout_and_gradient_rollout_read_their_options(tiny, options):
    subject = subject_of([tiny["vit"]], paint(60, 60))
    layout = layout_of(tiny["vit"].network.body, (32, 32))
    given = options | {"start": min(options.get("start", 0), 2)}  # of three layers
    heat = explain("rollout", subject, Options(**options))
    np.testing.assert_allclose(heat.values, rollout(subject.recordings[0], layout, **given)[0], rtol=1e-5)
    if "residual" in options:
        matrices, gradients = gradients_of(score_of(tiny["vit"].network, subject.pixels[0]))
        heat = explain("gradient_rollout", subject, Options(**options))
        np.testing.assert_allclose(heat.values, gradient_rollout(matrices, gradients, layout, 0.2)[0], rtol=1e-4)
