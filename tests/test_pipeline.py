"""The whole way of a picture on tiny backbones."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.conftest import LABELS, TINY, everything_on, paint, stopping_after, subject_of
from vitdemo import pipeline
from vitdemo.backbones import FUSED, Catalogue
from vitdemo.errors import Cancelled, UnknownNameError, VitdemoError
from vitdemo.explain import EXPLANATIONS, Options, explain, gradient
from vitdemo.fusion import FUSIONS, evidence_of, fuse
from vitdemo.labels import first_name
from vitdemo.models import Models, imagenet_labels
from vitdemo.pipeline import Progress, Request, analyse, check, find_target
from vitdemo.predict import predict
from vitdemo.types import Heat, NotOffered

QUICK = Options(steps=4, samples=2, patches=3, batch=4)
EXPLAINED = ("rollout", "integrated_gradients", "smoothgrad", "occlusion")
REQUEST = Request("tiny", ("vit", "wide", "resnet"), "mean", EXPLAINED, None, QUICK)


@pytest.fixture(autouse=True)
def no_doubling(monkeypatch):
    """Integrated gradients stop at the steps asked for, since random backbones are rough."""
    monkeypatch.setattr(gradient, "NEGLIGIBLE", float("inf"))


@pytest.fixture(scope="module")
def shared() -> Models:
    return Models("cpu", memory=1 << 30)


def passes(models: Models, names) -> dict[str, list[int]]:
    """Counts the pictures of every later forward pass, of whichever way in, by backbone."""
    counts: dict[str, list[int]] = {}
    for (_, name), entry in models._entries.items():
        if name in names:
            counts[name] = []
            entry.model.network.body.patch_embed.register_forward_pre_hook(
                lambda module, inputs, name=name: counts[name].append(len(inputs[0]))
            )
    return counts


# what comes out


def test_everything_that_was_asked_for_is_there(shared, catalogue, picture):
    analysis = analyse(picture, REQUEST, catalogue, shared)
    assert list(analysis.maps) == [FUSED, "vit", "wide", "resnet"]
    for name, maps in analysis.maps.items():
        assert list(maps) == list(EXPLAINED)
        refused = [method for method, heat in maps.items() if isinstance(heat, NotOffered)]
        assert refused == (["rollout"] if name == "resnet" else [])
    assert analysis.request is REQUEST
    assert analysis.picture is picture
    assert analysis.labels == LABELS
    assert [row.name for row in analysis.backbones] == ["vit", "wide", "resnet"]
    assert analysis.device == "cpu"
    assert analysis.seconds > 0
    assert analysis.divergence.shape == (3, 3)


def test_predictions_and_fusion_are_those_of_the_parts(shared, catalogue, tiny, picture):
    analysis = analyse(picture, replace(REQUEST, fusion="validation", explanations=()), catalogue, shared)
    parts = [predict(tiny[name], tiny[name].pixels([picture])) for name in REQUEST.backbones]
    for part, prediction, name in zip(parts, analysis.predictions, REQUEST.backbones, strict=True):
        np.testing.assert_allclose(prediction.logits, part.logits, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(prediction.features, part.features, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(analysis.probabilities(name), prediction.probabilities[0])
    evidence = evidence_of([tiny[name].backbone for name in REQUEST.backbones])
    fused = fuse("validation", np.stack([part.probabilities for part in parts]), evidence)[0]
    np.testing.assert_allclose(analysis.fused.probabilities, fused.probabilities, atol=1e-6)
    np.testing.assert_allclose(analysis.fused.weights, fused.weights)
    assert analysis.target == fused.probabilities.argmax()
    assert analysis.maps == {name: {} for name in (FUSED, *REQUEST.backbones)}


@pytest.mark.parametrize("method", EXPLANATIONS.names())
def test_maps_are_those_of_the_parts(shared, catalogue, tiny, picture, method):
    request = replace(REQUEST, explanations=(method,), target="cat")
    analysis = analyse(picture, request, catalogue, shared)
    models = [tiny[name] for name in REQUEST.backbones]
    for name, used in [(FUSED, models), *((model.backbone.name, [model]) for model in models)]:
        expected = explain(method, subject_of(used, picture, target=2), QUICK)
        heat = analysis.maps[name][method]
        if isinstance(expected, NotOffered):
            assert heat == expected
        else:
            assert heat.view == expected.view
            np.testing.assert_allclose(heat.values, expected.values, rtol=1e-4, atol=1e-6)


def test_the_most_probable_come_first(shared, catalogue, picture):
    analysis = analyse(picture, replace(REQUEST, explanations=()), catalogue, shared)
    for name in (FUSED, *REQUEST.backbones):
        top = analysis.top(3, name)
        assert len(top) == 3
        assert [p for _, p in top] == sorted(analysis.probabilities(name).tolist(), reverse=True)[:3]
        assert all(analysis.probabilities(name)[LABELS.index(label)] == pytest.approx(p) for label, p in top)
    assert len(analysis.top(50)) == len(LABELS)


@pytest.mark.parametrize("fusion", ["mean", "geometric", "confidence"])
def test_the_order_of_the_backbones_does_not_matter(shared, catalogue, picture, fusion):
    request = replace(REQUEST, fusion=fusion, target="1", explanations=("rollout", "integrated_gradients", "occlusion"))
    one = analyse(picture, request, catalogue, shared)
    other = analyse(picture, replace(request, backbones=("resnet", "vit", "wide")), catalogue, shared)
    np.testing.assert_allclose(one.fused.probabilities, other.fused.probabilities, atol=1e-6)
    np.testing.assert_allclose(one.fused.weights, other.fused.weights[[1, 2, 0]], atol=1e-6)
    for name in one.maps:
        for method in request.explanations:
            heats = one.maps[name][method], other.maps[name][method]
            if isinstance(heats[0], Heat):
                np.testing.assert_allclose(heats[0].values, heats[1].values, rtol=1e-3, atol=1e-6)


def test_the_same_twice(shared, catalogue, picture):
    one, other = (analyse(picture, REQUEST, catalogue, shared) for _ in range(2))
    np.testing.assert_array_equal(one.fused.probabilities, other.fused.probabilities)
    for name, maps in one.maps.items():
        for method, heat in maps.items():
            if isinstance(heat, Heat):
                np.testing.assert_array_equal(heat.values, other.maps[name][method].values)
                assert heat.figures == other.maps[name][method].figures


def test_two_visitors_at_once_get_their_own(shared, catalogue):
    pictures = [paint(80, 60, 5), paint(50, 70, 6)]
    alone = [analyse(one, REQUEST, catalogue, shared) for one in pictures]
    together = [None, None]

    def run(index):
        together[index] = analyse(pictures[index], REQUEST, catalogue, shared)

    threads = [threading.Thread(target=run, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.fused.probabilities, other.fused.probabilities)
        for name, maps in one.maps.items():
            for method, heat in maps.items():
                if isinstance(heat, Heat):
                    np.testing.assert_allclose(heat.values, other.maps[name][method].values, rtol=1e-4, atol=1e-7)


OWN_HEAD = {"stacking", "features", "multiscale"}  # these answer for a single backbone, too, with what they learned


@pytest.mark.parametrize("fusion", [name for name in FUSIONS.names() if name not in OWN_HEAD])
def test_one_backbone_is_its_own_fusion(shared, catalogue, picture, fusion):
    request = replace(REQUEST, backbones=("vit",), fusion=fusion, explanations=("rollout", "occlusion"))
    analysis = analyse(picture, request, catalogue, shared)
    np.testing.assert_allclose(analysis.probabilities(), analysis.probabilities("vit"), rtol=1e-6)
    for method in request.explanations:
        np.testing.assert_allclose(
            analysis.maps[FUSED][method].values, analysis.maps["vit"][method].values, rtol=1e-3, atol=1e-6
        )


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (900, 2), (33, 31)])
def test_pictures_of_any_proportions(shared, catalogue, size):
    analysis = analyse(paint(*size), REQUEST, catalogue, shared)
    for maps in analysis.maps.values():
        for heat in maps.values():
            assert isinstance(heat, NotOffered) or np.isfinite(heat.values).all()


# how much work it is


def test_a_pass_is_timed_when_the_networks_are_warm(shared, catalogue, picture, monkeypatch):
    cold = 0.5  # seconds that the first pass of a network just loaded is slower

    def slow(*given, first=pipeline.look):
        time.sleep(cold)
        return first(*given)

    monkeypatch.setattr(pipeline, "look", slow)
    assert analyse(picture, REQUEST, catalogue, shared).forward < cold
    assert analyse(picture, replace(REQUEST, explanations=()), catalogue, shared).forward > 3 * cold


def test_one_forward_pass_gives_prediction_and_rollout(catalogue, picture):
    names = ("vit", "wide", "registers")
    models = Models("cpu", memory=1 << 30)
    with models.use(catalogue.get("tiny", names)):
        counts = passes(models, names)
    analyse(picture, replace(REQUEST, backbones=names, explanations=("rollout",)), catalogue, models)
    assert counts == {name: [1] for name in names}


def test_the_same_explanation_twice_is_computed_once(shared, catalogue, picture):
    said = []
    request = replace(REQUEST, backbones=("vit",), explanations=("occlusion", "occlusion"))
    analyse(picture, request, catalogue, shared, said.append)
    assert len({(one.method, one.subject, one.done) for one in said if one.stage == "explaining"}) == 2


# progress


def test_progress_never_falls_and_brings_the_predictions(shared, catalogue, picture):
    said: list[Progress] = []
    analysis = analyse(picture, REQUEST, catalogue, shared, said.append)
    shares = [one.done for one in said]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] < 1
    assert {one.stage for one in said} == {"loading", "predicted", "explaining"}
    (predicted,) = [one for one in said if one.analysis]
    assert predicted.stage == "predicted"
    assert predicted.analysis.maps == {}
    np.testing.assert_array_equal(predicted.analysis.fused.probabilities, analysis.fused.probabilities)
    work = list(dict.fromkeys((one.method, one.subject) for one in said if one.stage == "explaining"))
    assert work == [(m, s) for m in REQUEST.explanations for s in (*REQUEST.backbones, FUSED)]
    assert all(one.message.strip() for one in said)
    assert Progress("fetching", 0, subject="vit", fetched=(2_000_000, 8_000_000)).message == "fetching vit: 2 of 8 MB"


def test_it_can_be_stopped_at_every_report(rows, picture):
    """Whenever it stops, nothing is left behind and the cache is usable."""
    catalogue, models = Catalogue(rows.values()), Models("cpu", memory=1 << 30)
    request = replace(REQUEST, backbones=("vit", "resnet"), options=replace(QUICK, patches=2, batch=16))
    whole: list[Progress] = []
    first = analyse(picture, request, catalogue, models, whole.append)
    before = [everything_on(entry.model.network) for entry in models._entries.values()]
    held = models.held
    for stop_at in range(len(whole)):
        with pytest.raises(Cancelled):
            analyse(picture, request, catalogue, models, stopping_after(stop_at))
        assert not any(entry.users for entry in models._entries.values())
    assert models.held == held
    assert [everything_on(entry.model.network) for entry in models._entries.values()] == before
    again = analyse(picture, request, catalogue, models)
    np.testing.assert_array_equal(again.fused.probabilities, first.fused.probabilities)


# what is asked for


@pytest.mark.parametrize(
    ("target", "index"), [("cat", 2), ("2", 2), (" Dog ", 3), (0, 0), ("003", 3), (None, None), ("ANT", 0)]
)
def test_a_target_by_name_or_number(shared, catalogue, picture, target, index):
    analysis = analyse(picture, replace(REQUEST, target=target, explanations=()), catalogue, shared)
    assert analysis.target == (analysis.fused.probabilities.argmax() if index is None else index)


@pytest.mark.parametrize(
    ("target", "index"),
    [("tench", 0), ("Tinca tinca", 0), ("tench, Tinca tinca", 0), ("999", 999), ("crane (class 517)", 517)],
)
def test_a_target_by_any_of_its_names(target, index):
    assert find_target(target, imagenet_labels()) == index


@pytest.mark.parametrize("target", ["cow", "4", "-1", "1.5", "", "ant, bee", "9" * 5000, "²", True, ("cat",)])
def test_an_unknown_target_names_the_known_ones(target):
    with pytest.raises(UnknownNameError, match=r"Unknown target class .*allowed: ant, bee, cat, dog"):
        find_target(target, LABELS)


def test_an_ambiguous_target_is_refused():
    with pytest.raises(UnknownNameError):
        find_target("crane", imagenet_labels())
    with pytest.raises(UnknownNameError):
        find_target("ROSE", ("rose", "Rose"))
    assert find_target("Rose", ("rose", "Rose")) == 1


def test_a_comma_in_a_label_of_somebody_elses_is_part_of_it():
    labels = ("red, round", "red, long", "tench, Tinca tinca")
    assert [find_target(label.upper(), labels) for label in labels] == [0, 1, 2]
    with pytest.raises(UnknownNameError):
        find_target("round", labels)
    assert [first_name(label) for label in labels] == ["red, round", "red, long", "tench"]


@pytest.mark.parametrize(("target", "index"), [("second", 3), ("#2", 3), (" Second", 3), ("#1", 1), ("#4", 2)])
def test_a_target_by_its_rank(target, index):
    assert find_target(target, LABELS, np.array([0.2, 0.4, 0.1, 0.3])) == index
    with pytest.raises(UnknownNameError):
        find_target(target, LABELS)  # nothing says which class is more probable


@pytest.mark.parametrize("target", ["#0", "#5", "#", "#-1", "#two", "2nd"])
def test_ranks_that_there_are_not(target):
    with pytest.raises(UnknownNameError, match="allowed: ant"):
        find_target(target, LABELS, np.array([0.2, 0.4, 0.1, 0.3]))


def test_a_class_named_like_a_rank_is_a_name_first():
    assert find_target("#2", ("#2", "#1"), np.array([0.9, 0.1])) == 0


def test_two_classes_compared_are_the_difference_of_their_maps(shared, catalogue, picture):
    request = replace(REQUEST, explanations=("rollout", "occlusion"), target="second")
    both = analyse(picture, replace(request, against="#1"), catalogue, shared)
    order = np.argsort(-both.fused.probabilities)
    assert (both.target, both.against) == (order[1], order[0])
    one, other = (
        analyse(picture, replace(request, target=target), catalogue, shared).maps for target in ("second", "#1")
    )
    for name, maps in both.maps.items():
        expected = one[name]["occlusion"].values - other[name]["occlusion"].values
        np.testing.assert_allclose(maps["occlusion"].values, expected, atol=1e-6)
        assert "same for every class" in maps["rollout"].reason
    with pytest.raises(VitdemoError, match="compared with itself"):
        analyse(picture, replace(request, target="#1", against=both.labels[order[0]]), catalogue, shared)


def test_a_name_that_is_a_number_is_a_name_first():
    assert find_target("1", ("1", "0")) == 0


@pytest.mark.parametrize(
    ("change", "known"),
    [
        ({"collection": "huge"}, "collection 'huge'; allowed: tiny"),
        ({"backbones": ("vit", "bert")}, "'bert'; allowed: " + ", ".join(TINY)),
        ({"backbones": ()}, "No backbone is chosen"),
        ({"backbones": ("vit", "vit")}, "chosen twice"),
        ({"fusion": "stack"}, "fusion 'stack'; allowed: " + ", ".join(FUSIONS.names())),
        (
            {"explanations": ("rollout", "feeling")},
            "explanation 'feeling'; allowed: " + ", ".join(EXPLANATIONS.names()),
        ),
        ({"target": "cow"}, "target class 'cow'; allowed: ant"),
        ({"target": "#9"}, "target class '#9'; allowed: ant"),
        ({"against": "cow"}, "target class 'cow'; allowed: ant"),
    ],
)
def test_unknown_names_are_refused_before_any_work(catalogue, picture, change, known):
    models, said = Models("cpu", memory=1 << 30), []
    with pytest.raises(VitdemoError, match=known):
        analyse(picture, replace(REQUEST, **change), catalogue, models, said.append)
    assert said == []
    assert models.held == 0


def test_check_gives_the_rows(catalogue, rows):
    assert check(REQUEST, catalogue) == [rows["vit"], rows["wide"], rows["resnet"]]


def test_no_backbone_may_have_the_fused_models_name(rows):
    with pytest.raises(VitdemoError, match="called 'fused'"):
        Catalogue([replace(rows["vit"], name=FUSED)])


def test_attention_that_cannot_be_recorded_does_not_stop_the_rest(catalogue, picture, monkeypatch):
    """Only backbones with a checked rollout are recorded."""
    models = Models("cpu", memory=1 << 30)
    request = replace(REQUEST, backbones=("resnet",), explanations=("rollout", "occlusion"))
    with models.use(catalogue.get("tiny", ["resnet"])) as (model,):
        forward = model.network.body.forward_features

        def with_causal_attention(x):
            query = torch.zeros(1, 1, 2, 2)
            torch.nn.functional.scaled_dot_product_attention(query, query, query, is_causal=True)
            return forward(x)

        monkeypatch.setattr(model.network.body, "forward_features", with_causal_attention)
        maps = analyse(picture, request, catalogue, models).maps["resnet"]
    assert isinstance(maps["rollout"], NotOffered)
    assert isinstance(maps["occlusion"], Heat)
