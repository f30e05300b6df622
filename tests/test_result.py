"""An analysis as JSON, NPZ and PNG: nothing is lost, nothing is made up, and the JSON is strict."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.conftest import LABELS, paint
from vitdemo import result
from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.explain import Options
from vitdemo.models import Models
from vitdemo.pipeline import Request, analyse
from vitdemo.types import Heat, NotOffered
from vitdemo.views import canvas_shape

NAMES = ("vit", "wide", "resnet")


@pytest.fixture(scope="module")
def analysis(catalogue):
    request = Request("tiny", NAMES, explanations=("rollout", "occlusion"), options=Options(patches=4))
    return analyse(paint(80, 60), request, catalogue, Models("cpu"))


def strict(text: str):
    """JSON as its standard has it: Python would also take NaN."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_says_what_the_analysis_says(analysis):
    document = strict(result.dumps(result.to_json(analysis, "noise.png")))
    assert document["version"] == 1
    assert document["picture"] == {"name": "noise.png", "width": 80, "height": 60}
    assert list(document["backbones"]) == list(NAMES) and list(document["fused"]["probabilities"]) == list(LABELS)
    each = np.array([list(document["backbones"][name]["probabilities"].values()) for name in NAMES])
    fused = np.array(list(document["fused"]["probabilities"].values()))
    weights = np.array([document["backbones"][name]["weight"] for name in NAMES])
    np.testing.assert_allclose(weights @ each, fused, atol=1e-6)
    assert document["fused"]["top"] == LABELS[fused.argmax()] == document["target"]
    assert [one["label"] for one in document["fused"]["top5"]] == [LABELS[k] for k in np.argsort(-fused)]
    assert {name: one["top"] for name, one in document["backbones"].items()} == dict(
        zip(NAMES, (LABELS[k] for k in each.argmax(1)), strict=True)
    )
    assert set(document["divergence"]) == {"vit/wide", "vit/resnet", "wide/resnet"}
    half = each[:2].mean(0)
    bits = (each[:2] * np.log2(each[:2] / half)).sum() / 2  # mean of the two Kullback-Leibler divergences
    assert document["divergence"]["vit/wide"] == pytest.approx(bits, abs=1e-5)
    assert document["settings"]["options"]["patches"] == 4
    assert document["settings"]["explanations"] == ["rollout", "occlusion"]
    assert set(document["versions"]) - {"vitdemo"} == {"python", "torch", "timm", "captum"}


def test_json_describes_every_map(analysis):
    maps = result.to_json(analysis)["maps"]
    assert {name: set(each) for name, each in maps.items()} == {
        name: {"rollout", "occlusion"} for name in ("fused", *NAMES)
    }
    assert (
        set(maps["resnet"]["rollout"]) == {"not_offered"} and "no attention" in maps["resnet"]["rollout"]["not_offered"]
    )
    assert maps["vit"]["rollout"]["shape"] == [4, 4] and maps["vit"]["rollout"]["signed"] is False
    hidden = maps["vit"]["occlusion"]
    assert hidden["shape"] == [4, 4] and hidden["signed"] is True and hidden["figures"]["patches"] == 16
    # the transform scales the short side to 32 / 0.9 = 35 pixels and keeps 32 of them in the middle
    assert hidden["view"]["picture"] == [80, 60]
    assert hidden["view"]["box"] == pytest.approx([40 - 27.4, 30 - 27.4, 40 + 27.4, 30 + 27.4], abs=1)


def test_what_is_not_finite_is_null(analysis):
    heat = analysis.maps["vit"]["rollout"]
    figures = {"nan": float("nan"), "inf": np.float32("inf"), "half": np.float32(0.5), "three": 3}
    odd = replace(analysis, maps={"vit": {"rollout": replace(heat, figures=figures)}})
    described = strict(result.dumps(result.to_json(odd)))["maps"]["vit"]["rollout"]
    assert described["figures"] == {"nan": None, "inf": None, "half": 0.5, "three": 3}


def test_maps_are_raw_and_in_place(analysis):
    arrays = np.load(io.BytesIO(result.save_maps(analysis)))
    offered = [(s, m) for s, each in analysis.maps.items() for m, heat in each.items() if isinstance(heat, Heat)]
    assert len(offered) == 7  # the convolutional network has no rollout
    assert set(arrays) == {f"{s}/{m}{end}" for s, m in offered for end in ("", "/raw", "/seen")}
    for subject, method in offered:
        heat = analysis.maps[subject][method]
        whole, seen, raw = (arrays[f"{subject}/{method}{end}"] for end in ("", "/seen", "/raw"))
        np.testing.assert_array_equal(raw, heat.values)
        assert whole.dtype == np.float32 and whole.shape == seen.shape == canvas_shape((80, 60), 448) == (60, 80)
        assert seen.dtype == bool and not whole[~seen].any() and np.isfinite(whole).all()
        left, top, right, bottom = heat.view.box
        inside = [[left <= x + 0.5 <= right and top <= y + 0.5 <= bottom for x in range(80)] for y in range(60)]
        np.testing.assert_array_equal(seen, inside)
        assert raw.min() - 1e-9 <= whole[seen].min() and whole.max() <= raw.max() + 1e-9  # drawn smoothly, never beyond


def test_the_figure_draws_all_maps_and_follows_the_settings(analysis):
    looks = (("each", "magma", 0.6), ("all", "cividis", 0.6), ("each", "magma", 0.0))
    images = {look: result.figure(analysis, *look) for look in looks}
    assert len(set(images.values())) == 3
    assert result.figure(analysis) == images["each", "magma", 0.6]  # the same again, to the byte
    assert all(min(Image.open(io.BytesIO(image)).size) > 400 for image in images.values())


@pytest.mark.parametrize("settings", [("none", "magma", 0.5), ("each", "jet", 0.5)])
def test_unknown_ways_to_draw(analysis, settings):
    with pytest.raises(UnknownNameError):
        result.figure(analysis, *settings)


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan")])
def test_opacity_is_a_share(analysis, opacity):
    with pytest.raises(VitdemoError, match="allowed: 0 to 1"):
        result.figure(analysis, opacity=opacity)


def test_captions_speak_of_the_target(analysis):
    target = analysis.target
    others = [name for name in NAMES if analysis.probabilities(name).argmax() != target]
    lines = result.captions(analysis)
    assert lines["fused"] == f"fused: {LABELS[target]} {100 * analysis.probabilities()[target]:.0f} %"
    for name in NAMES:
        start = f"{name} {100 * analysis.probabilities(name)[target]:.0f} %, weight 0.33"
        first = LABELS[analysis.probabilities(name).argmax()]
        assert lines[name] == (f"{start}\nsays {first}" if name in others else start)


def test_files_without_maps(picture, catalogue, models):
    analysis = analyse(picture, Request("tiny", ("vit",), explanations=()), catalogue, models)
    files = dict(result.files(analysis, "x"))
    assert set(files) == {"result.json", "figure.png"} and np.load(io.BytesIO(result.save_maps(analysis))).files == []


def test_a_fused_map_that_is_refused_is_no_file(analysis):
    refused = replace(analysis, maps={"fused": {"occlusion": NotOffered("because")}})
    assert set(dict(result.files(refused))) == {"result.json", "figure.png"}
