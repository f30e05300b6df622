"""Numbers that are not finite never become an answer: who gives them is named and left out, everywhere."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from tests.conftest import LABELS, paint, write_backbone
from vitdemo import result
from vitdemo.__main__ import _summary
from vitdemo.backbones import Catalogue
from vitdemo.errors import VitdemoError
from vitdemo.evaluate import evaluate, to_json
from vitdemo.explain import EXPLANATIONS
from vitdemo.pipeline import Request, analyse, judge
from vitdemo.types import Heat, NotOffered, View
from vitdemo.ui import render
from vitdemo.ui.text import speaker


@pytest.fixture
def broken(tmp_path) -> Catalogue:
    """Two sound backbones, and one whose training diverged."""
    folder = tmp_path / "backbones"
    folder.mkdir()
    made = [write_backbone(folder, name) for name in ("vit", "resnet", "beit")]
    (path,) = made[2].source.paths
    tensors = load_file(path)
    bias = next(name for name in tensors if name.endswith("head.bias"))
    tensors[bias][1] = float("nan")
    save_file(tensors, path)
    return Catalogue(made)


@pytest.mark.parametrize("fusion", ["mean", "geometric", "vote", "confidence"])
def test_a_broken_member_is_left_out_and_named(broken, models, fusion):
    asked = Request("tiny", ("vit", "beit", "resnet"), fusion, ("rollout", "grad_cam"))
    found = analyse(paint(60, 50), asked, broken, models)
    alone = analyse(paint(60, 50), replace(asked, backbones=("vit", "resnet")), broken, models)
    assert list(found.broken) == ["beit"] and "not finite" in found.broken["beit"]
    assert [row.name for row in found.backbones] == ["vit", "resnet"]
    np.testing.assert_array_equal(found.fused.probabilities, alone.fused.probabilities)
    assert set(found.maps) == {"fused", "vit", "resnet"}
    assert judge(found, models).trust.keys() == found.maps.keys()
    document = json.loads(result.dumps(result.to_json(found)))
    assert document["broken"] == found.broken and "beit" not in document["backbones"]
    assert "left out: beit gives" in _summary(found)
    html = render.answer(found, speaker("en"), render.colours_of(["vit", "beit", "resnet"]))
    assert "Left out: beit gives numbers that are not finite" in html
    assert "beit" in render.answer(
        found, speaker("zh-CN"), render.colours_of(["vit", "beit", "resnet"]), spoken="zh-CN"
    )


def test_nobody_left_is_an_error(broken, models):
    with pytest.raises(VitdemoError, match="beit gives numbers that are not finite here, which are no answer"):
        analyse(paint(60, 50), Request("tiny", ("beit",)), broken, models)


def test_a_broken_backbone_is_not_measured(broken, models, tmp_path):
    for index, label in enumerate(LABELS):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        paint(60, 50, seed=index).save(tmp_path / "pictures" / label / "1.png")
    rows = broken.members("tiny")
    table = evaluate(tmp_path / "pictures", rows, ["mean"], models, rounds=1)
    assert list(table.silent) == ["beit"] and set(table.backbones) == {"vit", "resnet"}
    assert table.groups["fusions"].fusions["mean"].members == ("vit", "resnet")
    assert to_json(table)["silent"] == dict(table.silent)
    with pytest.raises(VitdemoError, match="beit gives numbers"):
        evaluate(tmp_path / "pictures", rows[2:], ["mean"], models, rounds=1)


def test_a_map_of_no_numbers_is_refused(broken, models, monkeypatch):
    entry = EXPLANATIONS.get("grad_cam")
    whole = View((0.0, 0.0, 4.0, 4.0), (4, 4))
    monkeypatch.setitem(
        EXPLANATIONS._entries,
        "grad_cam",
        replace(entry, compute=lambda *given: Heat(np.full((2, 2), np.inf, np.float32), False, whole)),
    )
    found = analyse(paint(60, 50), Request("tiny", ("vit",), explanations=("grad_cam",)), broken, models)
    assert found.maps["vit"]["grad_cam"] == NotOffered("the numbers of this map are not finite")
    assert np.isfinite(found.fused.probabilities).all()
