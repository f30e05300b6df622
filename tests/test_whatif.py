"""Hidden parts and attacks: bounds that hold exactly, and a linear model whose best attack is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.conftest import everything_on, paint
from vitdemo import whatif
from vitdemo.errors import Cancelled, NotOfferedError, VitdemoError
from vitdemo.models import Network, _resize
from vitdemo.predict import predict
from vitdemo.types import View
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
