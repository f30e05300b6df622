"""Hidden parts, attacks, two classes, and their tab: exact bounds, and a linear model whose best attack is known."""

import base64
import json
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.conftest import everything_on, paint
from vitdemo import images, whatif
from vitdemo.errors import Cancelled, NotOfferedError, VitdemoError
from vitdemo.explain import Options
from vitdemo.models import Models, Network, _resize
from vitdemo.pipeline import Analysis, Request, analyse
from vitdemo.predict import predict
from vitdemo.types import Heat, View
from vitdemo.ui import render, whatifshow
from vitdemo.ui.handlers import Handlers
from vitdemo.ui.text import speaker
from vitdemo.ui.whatif import WhatIf, read_change
from vitdemo.views import view_of


def p(model, picture, target):
    return predict(model, model.pixels([picture])).probabilities[0, target]


class Linear(nn.Module):
    """Class 0 is bright on the left and dark on the right."""

    num_classes = 2

    def forward(self, x):
        score = x[..., :16].mean((1, 2, 3)) - x[..., 16:].mean((1, 2, 3))
        return torch.stack([score, -score], -1)


@pytest.fixture
def linear(tiny):
    network = Network(Linear(), [0.0] * 3, [1.0] * 3)
    transform = dict(tiny["vit"].transform) | {"crop_pct": 1.0, "input_size": (3, 32, 32)}
    return replace(tiny["vit"], network=network, transform=transform, labels=("left", "right"))


@pytest.mark.parametrize("method", whatif.ATTACKS)
def test_the_best_attack_on_a_linear_model_is_known(linear, method):
    """Every value goes epsilon down on the left and epsilon up on the right, wherever that is within 0..255."""
    picture = Image.fromarray(np.full((32, 32, 3), 100, np.uint8))
    done = whatif.attack(picture, [linear], "mean", target=0, epsilon=4, method=method, steps=5)
    assert (done.perturbation[:, :15] == -4).all()
    assert (done.perturbation[:, 17:] == 4).all()


@pytest.mark.parametrize("method", whatif.ATTACKS)
@pytest.mark.parametrize("name", ["vit", "resnet", "wide"])
def test_the_change_is_bounded_and_misleads(tiny, picture, method, name):
    model = tiny[name]
    target = int(predict(model, model.pixels([picture])).probabilities[0].argmax())
    done = whatif.attack(picture, [model], "mean", target, epsilon=8, method=method, steps=5)
    assert 0 < done.largest <= 8
    np.testing.assert_array_equal(np.asarray(done.attacked).astype(int) - np.asarray(done.picture), done.perturbation)
    assert p(model, done.attacked, target) < p(model, done.picture, target)


def test_no_epsilon_no_change(tiny, picture):
    done = whatif.attack(picture, [tiny["vit"]], "mean", 0, epsilon=0)
    assert done.largest == 0 and done.attacked.tobytes() == done.picture.tobytes()


def test_a_fusion_is_attacked_as_one(tiny, picture):
    members = [tiny["vit"], tiny["resnet"]]
    done = whatif.attack(picture, members, "geometric", 1, epsilon=8)
    fused = [np.mean([np.log(p(m, image, 1)) for m in members]) for image in (done.picture, done.attacked)]
    assert fused[1] < fused[0]


def test_a_vote_has_no_gradient(tiny, picture):
    with pytest.raises(NotOfferedError, match="gradient"):
        whatif.attack(picture, [tiny["vit"], tiny["resnet"]], "vote", 1, epsilon=4)


@pytest.mark.parametrize("wrong", [{"epsilon": 33}, {"epsilon": 1.5}, {"epsilon": True}, {"steps": 0}, {"method": "x"}])
def test_what_is_not_allowed_is_named(tiny, picture, wrong):
    with pytest.raises(VitdemoError, match="allowed"):
        whatif.attack(picture, [tiny["vit"]], "mean", 1, **{"epsilon": 4} | wrong)


def test_nothing_is_left_behind_also_after_a_cancel(tiny, picture):
    before = everything_on(tiny["vit"].network)
    whatif.attack(picture, [tiny["vit"]], "mean", 1, epsilon=4, steps=2)
    assert everything_on(tiny["vit"].network) == before
    ticks = iter(range(2))

    def tick():
        if next(ticks, None) is None:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        whatif.attack(picture, [tiny["vit"]], "mean", 1, epsilon=4, steps=9, tick=tick)
    assert everything_on(tiny["vit"].network) == before


@pytest.mark.parametrize("mode", ["center", "border", "squash"])
@pytest.mark.parametrize("size", [(80, 60), (50, 90)])
def test_what_is_fed_is_what_the_transform_gives(tiny, mode, size):
    """Up to the rounding of PIL's 8 bits and of a crop's edges."""
    model = tiny["vit"]
    transform = dict(model.transform) | {"crop_mode": mode, "crop_pct": 1.0}
    picture = paint(*size)
    canvas = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
    got = whatif.fed(canvas, view_of(picture.size, transform), (32, 32), model.network.mean)
    wanted = _resize(transform)(picture).float() / 255
    inside = got[0][..., 4:-4, 4:-4] - wanted[..., 4:-4, 4:-4]
    assert inside.abs().mean() < 0.03


def test_a_magnified_perturbation_is_grey_where_nothing_changed():
    change = np.array([[[0, 4, -4]]], dtype=np.int16)
    assert np.asarray(whatif.magnified(change, 4)).ravel().tolist() == [128, 255, 0]


def test_hidden_patches_are_grey_and_the_others_untouched():
    picture = paint(80, 60)
    view = View((10.0, 0.0, 70.0, 60.0), picture.size)
    painted = np.asarray(whatif.hide_patches(picture, [0, 5], (2, 3), view))
    expected = np.array(picture)
    expected[0:30, 10:30] = expected[30:60, 50:70] = whatif.GREY
    np.testing.assert_array_equal(painted, expected)


def test_a_patch_that_is_not_there_is_refused():
    picture = paint(20, 20)
    with pytest.raises(VitdemoError, match="allowed: 0 to 5"):
        whatif.hide_patches(picture, [6], (2, 3), View((0, 0, 20, 20), picture.size))


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
def test_paint_over_follows_the_mask(kind):
    picture = paint(40, 20)
    mask = np.zeros((10, 20), kind)
    mask[:, :10] = {bool: True, np.uint8: 255, np.float32: 1.0}[kind]
    painted = np.asarray(whatif.paint_over(picture, mask))
    assert (painted[:, :20] == 128).all()
    np.testing.assert_array_equal(painted[:, 20:], np.asarray(picture)[:, 20:])


def test_verdicts():
    before = {"a": 0, "b": 0, "fused": 0}
    assert whatif.verdict(before, before, "fused") == "nobody"
    assert whatif.verdict(before, before | {"a": 1}, "fused") == "resists"
    assert whatif.verdict(before, before | {"fused": 1}, "fused") == "falls"


# Patches by a map, and asking again


def test_patches_are_ranked_by_what_falls_on_them():
    """A map of 4 x 4 values over the right half of a picture: patches of the left half are not reached."""
    values = np.arange(16, dtype=np.float32).reshape(4, 4)
    picture = (80, 40)
    heat = Heat(values, signed=False, view=View((40.0, 0.0, 80.0, 40.0), picture))
    grid = whatif.Grid("plain", (2, 4), View((0.0, 0.0, 80.0, 40.0), picture))
    assert whatif.ranked(heat, grid) == [7, 6, 3, 2]


def test_every_value_of_a_map_counts_once():
    heat = Heat(np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32), True, View((0, 0, 60, 60), (60, 60)))
    grid = whatif.Grid("plain", (3, 3), heat.view)
    sums = heat.values.reshape(3, 2, 3, 2).sum((1, 3)).ravel()
    assert whatif.ranked(heat, grid) == np.argsort(-sums, kind="stable").tolist()


def test_grids_are_those_of_backbones_with_patches(tiny, picture):
    grids = whatif.grids_of([tiny["vit"], tiny["resnet"], tiny["wide"]], picture)
    assert {grid.name: grid.shape for grid in grids} == {"plain": (8, 8), "vit": (4, 4), "wide": (4, 6)}
    assert grids[0].view.box == (0, 0, *picture.size) and grids[1].view == tiny["vit"].view(picture)


def test_likeness_is_a_correlation():
    view = View((0.0, 0.0, 40.0, 40.0), (40, 40))
    values = np.random.default_rng(1).normal(size=(5, 5)).astype(np.float32)
    heat, flat = Heat(values, True, view), Heat(np.ones((5, 5), np.float32), True, view)
    assert whatif.likeness(heat, Heat(3 * values + 1, True, view)) == pytest.approx(1, abs=1e-6)
    assert whatif.likeness(heat, Heat(-values, True, view)) == pytest.approx(-1, abs=1e-6)
    assert whatif.likeness(heat, flat) == 0 and whatif.likeness(flat, flat) == 1


@pytest.fixture(scope="module")
def store():
    return Models("cpu", memory=1 << 30)


@pytest.fixture(scope="module")
def analysis(catalogue, store):
    request = Request("tiny", ("vit", "resnet"), "mean", ("rollout",), None, Options(steps=16))
    return analyse(paint(80, 60), request, catalogue, store)


def test_asking_again_of_the_same_picture_says_the_same(analysis, catalogue, store):
    again = whatif.ask_again(analysis, analysis.picture, catalogue, store, ("rollout",))
    for name in ("fused", "vit", "resnet"):
        np.testing.assert_allclose(again.probabilities(name), analysis.probabilities(name), atol=1e-6)
    np.testing.assert_allclose(again.maps["fused"]["rollout"].values, analysis.maps["fused"]["rollout"].values)


def test_class_against_class_is_the_difference_where_the_method_is_linear(analysis, catalogue, store):
    """Integrated gradients of p(A) − p(B) are those of p(A) less those of p(B); rollout does not know the class."""
    seen = []
    done = whatif.contrast(
        analysis, "ant", "dog", "integrated_gradients", catalogue, store, lambda now: seen.append(now.done)
    )
    for name in ("fused", "vit", "resnet"):
        maps = [each.maps[name]["integrated_gradients"] for each in (done.first, done.second, done.between)]
        if len({heat.figures["steps"] for heat in maps}) == 1:
            np.testing.assert_allclose(maps[2].values, maps[0].values - maps[1].values, atol=1e-5)
        assert whatif.likeness(maps[0], maps[1]) < 0.999
    assert len({heat.figures["steps"] for heat in maps}) == 1
    rollouts = [each.maps["vit"]["rollout"] for each in (done.first, done.second)]
    np.testing.assert_array_equal(rollouts[0].values, rollouts[1].values)
    assert seen == sorted(seen) and seen[-1] <= 1


@pytest.mark.parametrize(("pair", "method"), [(("ant", "ant"), "gradient"), (("ant", "bee"), "rollout")])
def test_a_comparison_of_nothing_is_refused(analysis, catalogue, store, pair, method):
    with pytest.raises(VitdemoError, match="allowed"):
        whatif.contrast(analysis, *pair, method, catalogue, store)


# The tab


class Visitor:
    """As much of gr.Request as the handlers read."""

    def __init__(self, language: str = "en", session: str = "one"):
        self.headers, self.session_hash, self.query_params = {"accept-language": language}, session, {}


@pytest.fixture
def tab(catalogue, store):
    return WhatIf(Handlers(catalogue, store, {}))


def sent(hidden=(), grid="plain", mask=None, stamp="now") -> str:
    if mask is not None:
        bits = base64.b64encode(np.packbits(mask).tobytes()).decode()
        mask = {"size": list(mask.shape), "bits": bits}
    return json.dumps({"stamp": stamp, "grid": grid, "hidden": list(hidden), "mask": mask})


def test_what_the_browser_sends_is_read():
    mask = np.random.default_rng(0).random((7, 9)) > 0.5
    read = read_change(sent([3, 1], "vit", mask))
    assert (read.grid, read.hidden, read.nothing) == ("vit", (3, 1), False)
    np.testing.assert_array_equal(read.mask, mask)
    assert read_change(sent()).nothing


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        sent().replace("[]", "[1.5]"),
        sent().replace("null", '{"size": [1e9, 2], "bits": ""}'),
        sent().replace("null", '{"size": [9, 9], "bits": "AAAA"}'),
        sent().replace("null", '{"size": [2, 2], "bits": "!"}'),
    ],
)
def test_nonsense_from_a_browser_is_one_sentence(tab, analysis, text):
    shown = tab.change(text, analysis, "now", "", Visitor())
    assert 'role="alert"' in shown and "expected" in shown


def test_hiding_shows_before_and_after(tab, analysis):
    shown = tab.change(sent(range(32)), analysis, "now", "rollout", Visitor())
    assert "50 % of the picture is grey" in shown and shown.count('class="card change"') == 3
    assert shown.count('class="heat"') == 2
    grey = whatif.hide_patches(analysis.picture, range(32), (8, 8), View((0, 0, 80, 60), (80, 60)))
    after = whatif.ask_again(analysis, grey, tab.handlers.catalogue, tab.handlers.models)
    top = int(analysis.probabilities("vit").argmax())
    values = [render.percent(float(each.probabilities("vit")[top])) for each in (analysis, after)]
    assert " → ".join(values) in shown


def test_hiding_speaks_of_what_is_there(tab, analysis):
    assert "Nothing is hidden" in tab.change(sent(), analysis, "now", "", Visitor())
    assert not isinstance(tab.change(sent([1]), analysis, "later", "", Visitor()), str)  # of the picture before
    assert "allowed: 0 to 63" in tab.change(sent([64]), analysis, "now", "", Visitor())
    assert "allowed: plain, vit" in tab.change(sent([1], "<b>"), analysis, "now", "", Visitor())
    assert "遮住" in tab.change(sent(), analysis, "now", "", Visitor("zh-CN"))
    chinese = [
        tab.change(text, analysis, "now", "", Visitor("zh-CN"))
        for text in (sent([64]), sent([1], "<b>"), json.dumps({"hidden": []}))
    ]
    for answer, words in zip(chinese, ("没有小块 64；允许：0 到 63。", "没有网格", "看不懂遮住了什么"), strict=True):
        assert words in answer and "allowed" not in answer and "expected" not in answer
    with pytest.raises(gr.Error, match="没有小块 64"):
        tab.take_changed(sent([64]), analysis, "now", Visitor("zh-CN"))


def test_the_changed_picture_becomes_the_pages(tab, analysis):
    taken = images.load(tab.take_changed(sent([0]), analysis, "now", Visitor()))
    assert taken.size == analysis.picture.size and taken.getpixel((2, 2)) == whatif.GREY
    assert taken.getpixel((70, 50)) == analysis.picture.getpixel((70, 50))
    for text in ("", sent()):
        with pytest.raises(gr.Error, match="Nothing is hidden"):
            tab.take_changed(text, analysis, "now", Visitor())
    with pytest.raises(gr.Error, match="No attack"):
        tab.take_attacked(None, Visitor())


def test_the_tab_explains_itself_without_a_picture(tab, analysis):
    assert "Analyse a picture first" in tab.show(None, Visitor(), "", "")[0]
    shown = tab.show(analysis, Visitor(), "now", "")
    assert shown[0] == "" and json.loads(shown[5])["orders"]["vit"]["rollout"]
    again = tab.show(analysis, Visitor(), "now", "now")
    assert len(again) == len(shown) and not any(isinstance(value, str) for value in again)


@pytest.mark.parametrize("subject", ["fused", "vit"])
def test_an_attack_says_who_falls(tab, analysis, subject):
    *_, (shown, made) = tab.attack(analysis, "pgd", 16, 5, subject, Visitor())
    assert 0 < made.largest <= 16 and "magnified 8 times" in shown and shown.count('class="plain"') == 3
    before, after = (
        whatif.first_choices(whatif.ask_again(analysis, each, tab.handlers.catalogue, tab.handlers.models))
        for each in (made.picture, made.attacked)
    )
    verdict = whatif.verdict(before, after, "fused")
    words = {"nobody": "Nobody changed", "resists": "The fusion resists", "falls": "answer"}
    assert words[verdict] in shown and before[subject] != after[subject]
    assert tab.take_attacked(made, Visitor()).endswith(".png")


def test_verdicts_in_words(analysis):
    say, count = speaker("en"), len(analysis.labels)

    def told(vit: int, resnet: int, fused: int) -> Analysis:
        one = np.eye(count, dtype=np.float32)
        said = tuple(
            replace(each, probabilities=one[[k]]) for each, k in zip(analysis.predictions, (vit, resnet), strict=True)
        )
        return replace(analysis, predictions=said, fused=replace(analysis.fused, probabilities=one[fused]))

    before = told(0, 0, 0)
    assert whatifshow.who_fell(before, before, say) == "Nobody changed their answer."
    assert whatifshow.who_fell(before, told(1, 0, 0), say).startswith("The fusion resists: vit changed")
    assert whatifshow.who_fell(before, told(1, 1, 1), say).startswith("The fusion falls too: vit, resnet")
    assert whatifshow.who_fell(before, told(0, 0, 1), say).startswith("Only the fused answer")


def test_a_vote_is_attacked_by_its_mean(tab, analysis, catalogue, store):
    vote = analyse(analysis.picture, replace(analysis.request, fusion="vote"), catalogue, store)
    assert "no gradient" in tab.show(vote, Visitor(), "now", "")[9]
    *_, (shown, made) = tab.attack(vote, "fgsm", 8, 1, "fused", Visitor())
    assert made.largest > 0 and 'id="wi-verdict"' in shown


def test_what_cannot_be_attacked_is_one_sentence(tab, analysis):
    *_, (shown, _) = tab.attack(analysis, "pgd", 4, 2, "nobody", Visitor())
    assert 'role="alert"' in shown and "allowed: fused, vit, resnet" in shown


@pytest.mark.parametrize("part", ["attack", "classes"])
def test_cancel_ends_the_work_of_its_own_session(tab, analysis, part):
    if part == "attack":
        running = tab.attack(analysis, "pgd", 4, 50, "fused", Visitor())
    else:
        running = tab.contrast(analysis, "ant", "bee", "integrated_gradients", "vit", Visitor())
    next(running)
    assert not isinstance(tab.cancel(part, Visitor(session="two")), str)
    assert "Cancelled" in tab.cancel(part, Visitor())
    *_, (shown, _) = running
    assert "Cancelled" in shown and not tab._runs


def test_class_against_class_is_shown_and_redrawn_without_a_model(tab, analysis, monkeypatch):
    *_, (shown, made) = tab.contrast(analysis, "ant", "dog", "gradient_rollout", "vit", Visitor())
    assert "knows about the class" in shown and shown.count("<figure") == 8 and "ant rather than dog" in shown
    assert "likeness of the maps for A and B: 1.00" in shown
    monkeypatch.setattr("vitdemo.models.Network.forward", lambda *args: pytest.fail("a forward pass"))
    other = tab.redraw(made, "resnet", Visitor())
    assert "no attention" in other and other.count("<figure") == 8
    *_, (refused, _) = tab.contrast(analysis, "ant", "ant", "gradient", "vit", Visitor())
    assert 'role="alert"' in refused and "compared with itself" in refused
