"""The attention tab of models too large for one document: what comes later comes when it is first wanted."""

import json
import re

import pytest
import timm
import torch
from timm.models import save_for_hf

from tests.e2e.conftest import running
from tests.e2e.test_attention import PIXELS, asked, opened, settled
from vitdemo.backbones import bundled

TOKENS = 785  # 28 x 28 patches and the class token
LAYERS = {"means": 4, "nothing": 8}  # how many layers a model has, of whose attention that much is sent at first
HERE = "() => document.querySelector('.att-arithmetic table')"
BLANK = "(canvas) => new Set(canvas.getContext('2d').getImageData(0, 0, 28, 28).data).size <= 3"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The program with two untrained transformers of many tokens beside the bundled backbones."""
    folder, flags = tmp_path_factory.mktemp("large"), []
    labels = list(next(row for row in bundled() if row.collection == "flowers").labels)
    for name, depth in LAYERS.items():
        arguments = {"img_size": 224, "patch_size": 8, "embed_dim": 48, "depth": depth, "num_heads": 3}
        torch.manual_seed(depth)
        body = timm.create_model("vit_tiny_patch16_224", num_classes=len(labels), **arguments)
        for part, parameter in body.named_parameters():
            if "qkv.weight" in part:
                torch.nn.init.normal_(parameter, std=0.1)  # so that attention is far from even, and packs badly
        config = {"label_names": labels}
        save_for_hf(body, folder / name, model_config=config, model_args=arguments, safe_serialization=True)
        flags += ["--backbone", f"{name}=local-dir:{folder / name}"]
    with running(folder, flags=flags) as address:
        yield address


def arrived(tab) -> None:
    tab.wait_for_function(HERE)
    settled(tab)


def agrees(tab, layer: int, head: int) -> None:
    """The map, whose shares came in 8 bits, and the arithmetic, whose numbers are exact, are of one layer and head."""
    assert f"layer {layer}, head {head} of" in tab.locator(".att-arithmetic .finding").inner_text()
    cells = tab.locator(".att-arithmetic tbody tr:not(.sum) td:nth-of-type(2)").all_inner_texts()
    assert sum(map(float, cells)) == pytest.approx(1, abs=0.004)
    best = tab.locator(".att-arithmetic tbody th").first.inner_text().strip()
    caption = tab.locator(".att-caption").inner_text()
    share = float(re.search(rf"{re.escape(best)} \((?:< )?([\d.]+) %\)", caption).group(1)) / 100
    assert share == pytest.approx(float(cells[0]), abs=0.006)


def test_means_come_first_and_the_heads_of_a_layer_when_they_are_wanted(visit):
    tab = opened(visit, backbones="means")
    assert tab.locator(".att .thumb").count() == LAYERS["means"]
    assert not tab.locator(".att .thumb canvas").first.evaluate(BLANK)
    requests, mean = asked(tab), tab.evaluate(PIXELS)
    tab.locator(".att-stage canvas").hover(position={"x": 200, "y": 200})
    settled(tab)
    assert tab.evaluate(PIXELS) != mean and requests == []
    tab.locator(".att .pick button[data-head='0']").click()
    arrived(tab)
    agrees(tab, 1, 1)
    assert requests
    requests.clear()
    first = tab.evaluate(PIXELS)
    tab.locator(".att .pick button[data-head='2']").click()
    settled(tab)
    agrees(tab, 1, 3)
    assert tab.evaluate(PIXELS) != first and requests == []


def test_layers_that_are_wanted_in_haste_all_come(visit):
    tab = opened(visit, backbones="means")
    tab.locator(".att .pick button[data-head='1']").click()
    for layer in (2, 3, 4):
        tab.locator("#att-layer").fill(str(layer))
        settled(tab)
    arrived(tab)
    agrees(tab, 4, 2)
    for layer in (1, 2, 3):  # what is on its way is not asked for again, so that one that was lost would never come
        tab.locator("#att-layer").fill(str(layer))
        settled(tab)
        arrived(tab)
    requests = asked(tab)
    for layer in (1, 2, 3):
        tab.locator("#att-layer").fill(str(layer))
        settled(tab)
        agrees(tab, layer, 2)
    assert requests == []


def test_where_even_the_means_are_too_large_a_layer_comes_whole(visit):
    tab = opened(visit, backbones="nothing")
    thumbs = tab.locator(".att .thumb canvas")
    assert thumbs.count() == LAYERS["nothing"]
    tab.wait_for_function(f"() => !({BLANK})(document.querySelector('.att .thumb canvas'))")
    assert thumbs.nth(5).evaluate(BLANK)
    tab.locator("#att-layer").fill("6")
    tab.wait_for_function(f"() => !({BLANK})(document.querySelectorAll('.att .thumb canvas')[5])")
    requests = asked(tab)
    tab.locator(".att .pick button[data-head='1']").click()
    arrived(tab)
    agrees(tab, 6, 2)
    assert requests == []
    assert json.loads(tab.evaluate("() => JSON.stringify(vitdemo.attention.view())"))["layer"] == 5
