"""Every layer and head, against timm's own unfused attention and against the definitions."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests import families
from tests.conftest import TRANSFORM, everything_on, paint
from vitdemo import microscope
from vitdemo.attention import HEAD_FUSIONS, Recorder, rollout
from vitdemo.attention.transitions import Attend
from vitdemo.errors import NotOfferedError, VitdemoError
from vitdemo.models import Model, Network
from vitdemo.predict import predict

EXAMINED = ["vit", "wide", "pooled", "registers", "distilled", "beit"]
PYRAMIDS = ["Swin", "Swin v2", "LeViT", "CoAtNet", "MaxViT", "PiT", "TinyViT", "CaiT"]


def model_of(tiny, family: str) -> Model:
    """A family's body as a loaded backbone."""
    size = families.every_family()[family][2]
    return replace(
        tiny["vit"],
        backbone=replace(tiny["vit"].backbone, name=family),
        network=Network(families.body(family), TRANSFORM["mean"], TRANSFORM["std"]),
        labels=tuple("abcde"),
        transform=TRANSFORM | {"input_size": (3, size, size)},
        resize=lambda picture: torch.from_numpy(np.array(picture.resize((size, size)))).permute(2, 0, 1),
    )


def named(tiny, name: str) -> Model:
    return tiny[name] if name in tiny else model_of(tiny, name)


@pytest.fixture(params=EXAMINED)
def examined(request, tiny, picture):
    model = tiny[request.param]
    return model, microscope.examine(model, picture)


@pytest.fixture(params=EXAMINED + PYRAMIDS)
def anything(request, tiny, picture):
    model = named(tiny, request.param)
    return model, microscope.examine(model, picture)


def softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def test_shapes_and_rows(anything):
    model, one = anything
    assert one.film.shape == (len(one.layers), *one.grid)
    assert one.seen.size == tuple(model.transform["input_size"][:0:-1])
    for layer in one.layers:
        windows, queries, keys = layer.step.shape
        assert layer.attention.shape == layer.scores.shape == (layer.heads, windows, queries, keys)
        assert layer.values is None or layer.values.shape == (layer.heads, windows, keys)
        np.testing.assert_allclose(layer.attention.sum(-1), 1, atol=1e-5)


def test_a_plain_transformer_has_one_window_of_all_tokens(examined):
    model, one = examined
    tokens = len(one.prefix) + one.grid[0] * one.grid[1]
    assert {layer.step.shape for layer in one.layers} == {(1, tokens, tokens)}
    assert one.depth.shape == (len(one.layers), len(model.labels))
    for layer in one.layers:
        np.testing.assert_array_equal(layer.dense(), layer.attention[:, 0])


def test_attention_is_the_softmax_of_the_scores(anything):
    _, one = anything
    for layer in one.layers:
        np.testing.assert_allclose(layer.attention, softmax(layer.scores), atol=1e-6)


def test_values_are_unknown_only_where_heads_are_mixed_before_them(anything):
    model, one = anything
    mixed = len(model.network.body.blocks) if model.backbone.name == "CaiT" else 0
    assert [layer.values is None for layer in one.layers] == [True] * mixed + [False] * (len(one.layers) - mixed)


def test_scores_and_values_are_those_of_the_layer(tiny, picture):
    """Query, key and value of the first block, worked out by hand from its weights."""
    model = tiny["vit"]
    first = microscope.look(model, picture)[0]
    body = model.network.body
    with torch.inference_mode():
        x = (model.pixels([picture]) - model.network.mean) / model.network.std
        tokens = body.norm_pre(body.patch_drop(body._pos_embed(body.patch_embed(x))))
        block = body.blocks[0]
        qkv = block.attn.qkv(block.norm1(tokens)).view(1, tokens.shape[1], 3, block.attn.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
    scores = (query @ key.mT / query.shape[-1] ** 0.5)[0].numpy()
    np.testing.assert_allclose(first.scores[:, 0], scores, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(first.values[:, 0], value.norm(dim=-1)[0].numpy(), rtol=1e-5)


def test_scores_and_values_of_windows_are_those_of_the_layer(tiny, picture):
    """Swin's first block attends in windows of 4 x 4 with a position bias: token by token from its weights, without
    windows, for every pair that the step says lies in one window."""
    model = model_of(tiny, "Swin")
    first = microscope.look(model, picture)[0]
    body = model.network.body
    with torch.inference_mode():
        x = body.patch_embed((model.pixels([picture]) - model.network.mean) / model.network.std)
        block = body.layers[0].blocks[0]
        tokens = block.norm1(x).flatten(1, 2)[0]  # (N, D), row by row
        query, key, value = block.attn.qkv(tokens).view(len(tokens), 3, block.attn.num_heads, -1).permute(1, 2, 0, 3)
        bias = block.attn.relative_position_bias_table.view(7, 7, -1)
    scores = (query @ key.mT / query.shape[-1] ** 0.5).numpy()  # (H, N, N)
    columns = first.step.asked.grid[1]
    assert columns == 16
    pairs = [(q, k) for q in (0, 37, 130, 255) for k in range(256) if (q // 64, q % 16 // 4) == (k // 64, k % 16 // 4)]
    assert len(pairs) == 4 * 16
    lengths = value.norm(dim=-1).numpy()
    for q, k in pairs:
        window, place = first.place(q)
        (where,) = np.flatnonzero(first.step.keys[window] == k)
        offset = bias[q // columns - k // columns + 3, q % columns - k % columns + 3].numpy()
        np.testing.assert_allclose(first.scores[:, window, place, where], scores[:, q, k] + offset, atol=1e-4)
        np.testing.assert_allclose(first.values[:, window, where], lengths[:, k], rtol=1e-4)


def test_the_last_layer_says_what_the_backbone_says(examined, picture):
    model, one = examined
    expected = predict(model, model.pixels([picture])).probabilities[0]
    np.testing.assert_allclose(one.depth[-1], expected, atol=1e-5)
    np.testing.assert_allclose(one.depth.sum(-1), 1, atol=1e-5)


def test_a_pyramid_has_no_depth(tiny, picture):
    assert all(microscope.examine(model_of(tiny, name), picture).depth is None for name in PYRAMIDS)


def test_the_film_ends_with_the_rollout(anything, picture):
    model, one = anything
    with Recorder(HEAD_FUSIONS["mean"]) as recorder:
        predict(model, model.pixels([picture]))
    expected = rollout(recorder.matrices, microscope.offered(model))[0].numpy()
    np.testing.assert_allclose(one.film[-1], expected, atol=1e-6)


def test_the_film_begins_with_half_the_first_layer(tiny, picture):
    """Behind one layer the class token holds half itself and half what it attended to."""
    one = microscope.examine(tiny["vit"], picture)
    np.testing.assert_allclose(one.film[0].ravel(), one.layers[0].attention[:, 0, 0, 1:].mean(0) / 2, atol=1e-6)


def test_dense_layers_multiplied_are_the_film(anything):
    """Every layer as a whole matrix, half identity where it has a skip connection, times those before it: the windows
    lie where rollout says. What is read is written anew: class tokens where they ask, else the mean of the patches."""
    model, one = anything
    layout, layers = microscope.offered(model), iter(one.layers)
    patches, classed = slice(len(one.prefix), None), max(one.readout) < len(one.prefix)
    product, frames = np.eye(layout.tokens), []
    for step in layout.steps:
        if not isinstance(step, Attend):
            merged = np.zeros((step.outputs, step.inputs))
            for after, sources in enumerate(step.sources):
                merged[after, sources[sources >= 0]] = 1 / (sources >= 0).sum()
            product = merged @ product
            continue
        attention = next(layers).dense().mean(0).astype(np.float64)
        if step.residual:
            asking = np.isin(np.arange(step.outputs), step.queries)
            attention = np.where(asking[:, None], (attention + np.eye(step.outputs)) / 2, np.eye(step.outputs))
        product = attention @ product
        reads = list(one.readout) if classed and (step.queries == 0).any() else list(step.asked.tokens)
        frames.append(product[reads].mean(0)[patches].reshape(one.grid))
    np.testing.assert_allclose(one.film, frames, atol=2e-6)


def test_names_of_the_prefix(tiny, picture):
    names = {name: microscope.examine(tiny[name], picture).prefix for name in EXAMINED}
    assert names["vit"] == ("class",)
    assert names["pooled"] == ()
    assert names["distilled"] == ("class", "distillation")
    assert names["registers"] == ("class", "register 1", "register 2", "register 3", "register 4")


def test_arithmetic_multiplies_out(anything):
    _, one = anything
    for number, layer in enumerate(one.layers):
        query = int(layer.step.queries[0].max())
        terms = microscope.arithmetic(one.layers, number, layer.heads - 1, query)
        assert terms and [t.weight for t in terms] == sorted((t.weight for t in terms), reverse=True)
        window, place = layer.place(query)
        row = layer.scores[layer.heads - 1, window, place].astype(np.float64)
        shares = microscope.row_of(one.layers, number, layer.heads - 1, query)
        np.testing.assert_array_equal(shares, layer.dense()[-1, query])
        for term in terms:
            assert term.token in layer.step.seen.tokens
            assert term.weight == pytest.approx(np.exp(term.score) / np.exp(row).sum(), rel=1e-4)
            assert term.weight == pytest.approx(shares[term.token], rel=1e-6)
            if layer.values is None:
                assert term.value is None and term.product is None
            else:
                assert term.product == pytest.approx(term.weight * term.value, rel=1e-5)


@pytest.mark.parametrize("where", [(9, 0, 0), (0, -1, 0), (0, 0, 99)])
def test_arithmetic_refuses_what_is_not_there(tiny, picture, where):
    with pytest.raises(VitdemoError, match="allowed: 0 to"):
        microscope.arithmetic(microscope.look(tiny["vit"], picture), *where)


def test_a_token_that_asks_nothing_is_refused(tiny, picture):
    layers = microscope.look(model_of(tiny, "CaiT"), picture)
    with pytest.raises(VitdemoError, match="token 0 asks nothing in layer 0; allowed: 1 to 16"):
        microscope.row_of(layers, 0, None, 0)
    with pytest.raises(VitdemoError, match="token 5 asks nothing in layer 3; allowed: 0 to 0"):
        microscope.row_of(layers, 3, None, 5)


@pytest.mark.parametrize(
    ("family", "reason"),
    [
        ("resnet", "no attention"),
        ("CrossViT", "two grids"),
        ("ConViT", "content with attention by position"),
        ("ViT, parallel", "side by side"),
        ("ViT, attention-pooled", "a query of its own"),
    ],
)
def test_what_cannot_be_examined_is_refused_with_its_reason(tiny, picture, family, reason):
    with pytest.raises(NotOfferedError, match=reason):
        microscope.examine(named(tiny, family), picture)


def test_nothing_is_left_behind(tiny):
    before = everything_on(tiny["vit"].network)
    microscope.examine(tiny["vit"], paint(50, 40))
    assert everything_on(tiny["vit"].network) == before


def layers_in(document: dict, one: microscope.Examination, heads=None) -> list[np.ndarray]:
    """The attention that a document holds, each (H, W, n, m)."""
    kinds = [document["steps"][layer["step"]] for layer in document["layers"]]
    shapes = [
        (heads or layer["heads"], kind["windows"], kind["queries"], kind["keys"])
        for layer, kind in zip(document["layers"], kinds, strict=True)
    ]
    flat = microscope.unpacked(document["attention"], "u1", (-1,))
    assert len(flat) == sum(map(np.prod, shapes))
    ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
    return [
        part.reshape(shape) / 255 * np.array(most)[:, None, None, None]
        for part, shape, most in zip(np.split(flat, ends), shapes, document["most"], strict=True)
    ]


def test_a_document_says_the_same(anything):
    _, one = anything
    document = json.loads(json.dumps(microscope.pack(one)))
    for layer, weights in zip(one.layers, layers_in(document, one), strict=True):
        bound = layer.attention.max((1, 2, 3), keepdims=True) / 510 + 1e-7
        assert (np.abs(weights - layer.attention) <= bound).all()


def test_a_document_holds_the_maps_of_each_kind_of_layer_once(anything):
    _, one = anything
    document = microscope.pack(one)
    assert len(document["steps"]) == len({microscope._kind(layer.step) for layer in one.layers})
    for layer, packed in zip(one.layers, document["layers"], strict=True):
        kind, step = document["steps"][packed["step"]], layer.step
        assert (packed["heads"], kind["outputs"], kind["inputs"]) == (layer.heads, step.outputs, step.inputs)
        if kind["maps"] is None:
            np.testing.assert_array_equal(step.queries, np.arange(step.outputs)[None])
            np.testing.assert_array_equal(step.keys, np.arange(step.inputs)[None])
        else:
            for name in ("queries", "keys"):
                whole = getattr(step, name)
                unpacked = microscope.unpacked(kind["maps"][name], "u2", whole.shape).astype(int)
                np.testing.assert_array_equal(np.where(unpacked == 65535, -1, unpacked), whole)


def test_a_plain_document_sends_no_maps(examined):
    _, one = examined
    assert [step["maps"] for step in microscope.pack(one)["steps"]] == [None]


def test_a_document_has_the_same_arithmetic(anything):
    """Read as a page reads it: one array for all layers, cut into parts."""
    _, one = anything
    document = microscope.pack(one)
    kinds = {"strongest": "u2", "scores": "f4", "logsum": "f4", "values": "f4"}
    flat = {name: microscope.unpacked(document["arithmetic"][name], kind, (-1,)) for name, kind in kinds.items()}

    def take(name: str, *shape: int) -> np.ndarray:
        part, flat[name] = np.split(flat[name], [np.prod(shape)])
        return part.reshape(shape)

    for number, (layer, packed) in enumerate(zip(one.layers, document["layers"], strict=True)):
        windows, queries, keys = layer.step.shape
        rows = (layer.heads, windows, queries)
        strongest, scores = (take(name, *rows, packed["strongest"]) for name in ("strongest", "scores"))
        logsum = take("logsum", *rows)
        values = take("values", layer.heads, windows, keys) if packed["valued"] else None
        for window, place in ((0, 0), (windows - 1, queries - 1)):
            at = (layer.heads - 1, window, place)
            if layer.step.queries[window, place] < 0:
                continue
            terms = microscope.arithmetic(one.layers, number, layer.heads - 1, int(layer.step.queries[window, place]))
            tokens = layer.step.keys[window, strongest[at]]
            shown = np.isin(tokens, layer.step.seen.tokens)  # a page leaves out what is no patch
            assert [t.token for t in terms] == tokens[shown].tolist()
            np.testing.assert_allclose([t.weight for t in terms], np.exp(scores[at] - logsum[at])[shown], rtol=1e-4)
            if values is not None:
                lengths = values[-1, window, strongest[at]][shown]
                np.testing.assert_allclose([t.value for t in terms], lengths, rtol=1e-6)
    assert all(len(rest) == 0 for rest in flat.values())


@pytest.mark.parametrize("name", ["vit", "Swin"])
def test_a_document_that_would_be_too_large_holds_less(tiny, picture, name):
    one = microscope.examine(named(tiny, name), picture)
    whole = microscope.pack(one)
    length = len(json.dumps(whole))
    bare = microscope.pack(one, largest=length - 1)
    assert (whole["sent"], bare["sent"], bare["arithmetic"]) == ("heads", "heads", None)
    means = microscope.pack(one, largest=len(json.dumps(bare)) - 1)
    assert (means["sent"], means["arithmetic"]) == ("means", None)
    for layer, weights in zip(one.layers, layers_in(means, one, heads=1), strict=True):
        np.testing.assert_allclose(weights[0], layer.attention.mean(0), atol=2e-3)
    nothing = microscope.pack(one, largest=len(json.dumps(means)) - 1)
    assert (nothing["sent"], nothing["most"]) == ("nothing", [])
    assert not len(microscope.unpacked(nothing["attention"], "u1", (-1,)))
    assert nothing["film"] == whole["film"]


def test_the_heads_of_one_layer(tiny, picture):
    layer = microscope.look(model_of(tiny, "LeViT"), picture)[2]
    packed = json.loads(json.dumps(microscope.pack_layer(layer, 2)))
    weights = microscope.unpacked(packed["attention"], "u1", layer.attention.shape)
    most = np.array(packed["most"])[:, None, None, None]
    assert packed["layer"] == 2
    assert (np.abs(weights / 255 * most - layer.attention) <= most / 510 + 1e-7).all()
    values = microscope.unpacked(packed["arithmetic"]["values"], "f4", layer.values.shape)
    np.testing.assert_array_equal(values, layer.values)


def test_quantised_zero_stays_zero():
    weights, most = microscope.quantised(np.zeros((2, 3, 3), np.float32))
    assert not weights.any() and not most.any()
