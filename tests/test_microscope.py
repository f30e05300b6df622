"""Every layer and head, against timm's own unfused attention and against the definitions."""

import numpy as np
import pytest
import torch

from tests.conftest import everything_on, paint
from vitdemo import microscope
from vitdemo.attention import HEAD_FUSIONS, Recorder, rollout
from vitdemo.errors import NotOfferedError, VitdemoError
from vitdemo.predict import predict

EXAMINED = ["vit", "wide", "pooled", "registers", "distilled", "beit"]


@pytest.fixture(params=EXAMINED)
def examined(request, tiny, picture):
    model = tiny[request.param]
    return model, microscope.examine(model, picture)


def test_shapes_and_rows(examined):
    model, one = examined
    layers, heads, tokens, _ = one.attention.shape
    assert tokens == len(one.prefix) + one.grid[0] * one.grid[1]
    assert one.scores.shape == one.attention.shape
    assert one.values.shape == (layers, heads, tokens)
    assert one.film.shape == (layers, *one.grid)
    assert one.depth.shape == (layers, len(model.labels))
    assert one.seen.size == tuple(model.transform["input_size"][:0:-1])
    np.testing.assert_allclose(one.attention.sum(-1), 1, atol=1e-5)


def test_attention_is_the_softmax_of_the_scores(examined):
    _, one = examined
    weights = np.exp(one.scores - one.scores.max(-1, keepdims=True))
    np.testing.assert_allclose(one.attention, weights / weights.sum(-1, keepdims=True), atol=1e-6)


def test_scores_and_values_are_those_of_the_layer(tiny, picture):
    """Query, key and value of the first block, worked out by hand from its weights."""
    model = tiny["vit"]
    one = microscope.examine(model, picture)
    body = model.network.body
    with torch.inference_mode():
        x = (model.pixels([picture]) - model.network.mean) / model.network.std
        tokens = body.norm_pre(body.patch_drop(body._pos_embed(body.patch_embed(x))))
        block = body.blocks[0]
        qkv = block.attn.qkv(block.norm1(tokens)).view(1, tokens.shape[1], 3, block.attn.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
    np.testing.assert_allclose(
        one.scores[0], (query @ key.mT / query.shape[-1] ** 0.5)[0].numpy(), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(one.values[0], value.norm(dim=-1)[0].numpy(), rtol=1e-5)


def test_the_last_layer_says_what_the_backbone_says(examined, picture):
    model, one = examined
    expected = predict(model, model.pixels([picture])).probabilities[0]
    np.testing.assert_allclose(one.depth[-1], expected, atol=1e-5)
    np.testing.assert_allclose(one.depth.sum(-1), 1, atol=1e-5)


def test_the_film_ends_with_the_rollout(examined, picture):
    model, one = examined
    with Recorder(HEAD_FUSIONS["mean"]) as recorder:
        predict(model, model.pixels([picture]))
    expected = rollout(recorder.matrices, microscope.offered(model))[0].numpy()
    np.testing.assert_allclose(one.film[-1], expected, atol=1e-6)


def test_the_film_begins_with_half_the_first_layer(tiny, picture):
    """Behind one layer the class token holds half itself and half what it attended to."""
    one = microscope.examine(tiny["vit"], picture)
    np.testing.assert_allclose(one.film[0].ravel(), one.attention[0, :, 0, 1:].mean(0) / 2, atol=1e-6)


def test_names_of_the_prefix(tiny, picture):
    names = {name: microscope.examine(tiny[name], picture).prefix for name in EXAMINED}
    assert names["vit"] == ("class",)
    assert names["pooled"] == ()
    assert names["distilled"] == ("class", "distillation")
    assert names["registers"] == ("class", "register 1", "register 2", "register 3", "register 4")


def test_arithmetic_multiplies_out(examined):
    _, one = examined
    terms = microscope.arithmetic(one, layer=1, head=0, query=2)
    assert [t.weight for t in terms] == sorted((t.weight for t in terms), reverse=True)
    row = one.scores[1, 0, 2].astype(np.float64)
    for term in terms:
        assert term.token >= len(one.prefix)
        assert term.weight == pytest.approx(np.exp(term.score) / np.exp(row).sum(), rel=1e-4)
        assert term.product == pytest.approx(term.weight * term.value, rel=1e-5)


@pytest.mark.parametrize("where", [(9, 0, 0), (0, -1, 0), (0, 0, 99)])
def test_arithmetic_refuses_what_is_not_there(tiny, picture, where):
    with pytest.raises(VitdemoError, match="allowed: 0 to"):
        microscope.arithmetic(microscope.examine(tiny["vit"], picture), *where)


def test_a_convolutional_network_is_refused(tiny, picture):
    with pytest.raises(NotOfferedError, match="no attention"):
        microscope.examine(tiny["resnet"], picture)


def test_nothing_is_left_behind(tiny):
    before = everything_on(tiny["vit"].network)
    microscope.examine(tiny["vit"], paint(50, 40))
    assert everything_on(tiny["vit"].network) == before


def test_a_document_says_the_same(examined):
    _, one = examined
    document = microscope.pack(one)
    layers, heads, tokens, _ = one.attention.shape
    bytes_ = microscope.unpacked(document["attention"], "u1", one.attention.shape)
    most = np.array(document["most"])
    assert np.abs(bytes_ / 255 * most[..., None, None] - one.attention).max() <= most.max() / 510 + 1e-7
    parts = document["arithmetic"]
    shape = (layers, heads, tokens, parts["count"])
    strongest = microscope.unpacked(parts["strongest"], "u2", shape)
    scores = microscope.unpacked(parts["scores"], "f4", shape)
    logsum = microscope.unpacked(parts["logsum"], "f4", shape[:-1])
    values = microscope.unpacked(parts["values"], "f4", shape[:-1])
    for query in (0, tokens - 1):
        terms = microscope.arithmetic(one, 1, 1, query)
        assert [t.token for t in terms] == strongest[1, 1, query].tolist()
        np.testing.assert_allclose(
            [t.weight for t in terms], np.exp(scores[1, 1, query] - logsum[1, 1, query]), rtol=1e-4
        )
        np.testing.assert_allclose([t.value for t in terms], values[1, 1][strongest[1, 1, query]], rtol=1e-6)


def test_a_document_that_would_be_too_large_holds_the_means(tiny, picture):
    one = microscope.examine(tiny["vit"], picture)
    whole = microscope.pack(one)
    small = microscope.pack(one, largest=len(whole["attention"]) - 1)
    assert whole["heads_sent"] and not small["heads_sent"] and small["arithmetic"] is None
    shape = (one.attention.shape[0], 1, *one.attention.shape[2:])
    weights = microscope.unpacked(small["attention"], "u1", shape) / 255 * np.array(small["most"])[..., None, None]
    np.testing.assert_allclose(weights[:, 0], one.attention.mean(1), atol=2e-3)
    layer = microscope.pack_layer(one, 2)
    weights = microscope.unpacked(layer["attention"], "u1", one.attention.shape[1:])
    np.testing.assert_allclose(weights / 255 * np.array(layer["most"])[:, None, None], one.attention[2], atol=2e-3)


def test_quantised_zero_stays_zero():
    weights, most = microscope.quantised(np.zeros((2, 3, 3), np.float32))
    assert not weights.any() and not most.any()
