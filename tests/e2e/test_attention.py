"""The attention tab in a browser: pointing, walking and choosing ask the server nothing."""

import re

import pytest

VIEW = "() => vitdemo.attention.view()"
PIXELS = "() => document.querySelector('.att-stage canvas').toDataURL()"


def opened(visit, query: str = "", backbones: str = "vit"):
    """The page with the attention tab open, the first sample in it, and no more maps than have to be."""
    page = visit(f"?tab=attention&backbones={backbones}&fusion=mean&explanations=rollout{query}")
    page.wait_for_selector(".att-stage canvas")
    settled(page)
    return page


@pytest.fixture
def tab(visit):
    return opened(visit)


def asked(page) -> list[str]:
    """Every request from now on, but for the beat that keeps a session alive."""
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url) if "heartbeat" not in request.url else None)
    return seen


def settled(page) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_pointing_and_walking_change_the_map_with_no_request(tab):
    requests, before = asked(tab), tab.evaluate(PIXELS)
    canvas = tab.locator(".att-stage canvas").first
    canvas.hover(position={"x": 20, "y": 20})
    settled(tab)
    hovered = tab.evaluate(PIXELS)
    assert hovered != before
    assert "row 1, column 1" in tab.locator(".att-caption").first.inner_text()
    canvas.focus()
    tab.keyboard.press("ArrowRight")
    settled(tab)
    assert tab.evaluate(PIXELS) != hovered
    assert "column 2" in tab.locator("#att-said").inner_text()
    tab.keyboard.press("Enter")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    settled(tab)
    assert len(tab.evaluate(VIEW)["pins"]) == 2
    tab.mouse.move(5, 5)
    canvas.blur()
    settled(tab)
    assert tab.locator(".att-caption .pinned").count() == 2
    tab.locator(".att .pick button[data-head='1']").click()
    tab.locator("#att-layer").fill("2")
    settled(tab)
    assert requests == []


def test_the_overview_chooses_and_isolates(tab):
    thumb = tab.locator(".att .thumb").nth(4)
    where = thumb.evaluate("(button) => [+button.dataset.layer, +button.dataset.head]")
    thumb.click()
    settled(tab)
    assert [tab.evaluate(VIEW)[key] for key in ("layer", "head")] == where
    thumb.dblclick()
    settled(tab)
    assert tab.locator(".att .thumb:visible").count() == 1
    tab.keyboard.press("Escape")
    settled(tab)
    assert tab.locator(".att .thumb:visible").count() > 1


def test_the_arithmetic_sums_to_one(tab):
    tab.locator(".att .pick button[data-head='0']").click()
    settled(tab)
    cells = tab.locator(".att-arithmetic tbody tr:not(.sum) td:nth-of-type(2)").all_inner_texts()
    assert sum(map(float, cells)) == pytest.approx(1, abs=0.004)
    scores = [
        float(text)
        for text in tab.locator(".att-arithmetic tbody tr:not(.rest):not(.sum) td:nth-of-type(1)").all_inner_texts()
    ]
    weights = list(map(float, cells))[:-1]
    assert scores == sorted(scores, reverse=True) and weights == sorted(weights, reverse=True)


def test_the_film_moves_and_can_be_scrubbed(tab):
    frame = "() => document.querySelector('.att-frame canvas').toDataURL()"
    last = tab.evaluate(frame)
    tab.locator("#att-frame").fill("1")
    settled(tab)
    first = tab.evaluate(frame)
    assert first != last
    requests = asked(tab)
    tab.locator("#att-play").click()
    tab.wait_for_function("() => document.querySelector('#att-frame').value === '2'", timeout=5000)
    assert requests == []
    assert re.search(r"\d", tab.locator(".att-depth tbody tr.chosen").first.inner_text())


def test_a_link_restores_layer_head_and_token(visit):
    tab = opened(visit, "&at_layer=2&at_head=max&token=5,9")
    view = tab.evaluate(VIEW)
    assert (view["layer"], view["head"], view["pins"]) == (1, "max", [4, 8])
    tab.locator(".att .pick button[data-head='mean']").click()
    settled(tab)
    assert "at_head=mean" in tab.url and "token=5,9" in tab.url and "at_layer=2" in tab.url


def beside(tab, name: str) -> None:
    tab.locator("#att-beside input").click()
    tab.get_by_role("option", name=name, exact=True).click()
    tab.wait_for_function("() => document.querySelectorAll('.att-panel').length === 2", timeout=60_000)
    settled(tab)


def test_a_link_restores_both_backbones_and_the_brightness(visit):
    tab = opened(visit, backbones="vit,hybrid,swin")
    tab.locator("#att-backbone input").click()
    tab.get_by_role("option", name="swin", exact=True).click()
    tab.wait_for_function("() => document.querySelector('.att-panel figcaption b').innerText === 'swin'")
    beside(tab, "hybrid")
    tab.locator("button[data-scale='layer']").click()
    settled(tab)
    assert "at=swin" in tab.url and "beside=hybrid" in tab.url and "at_scale=layer" in tab.url
    again = visit("?" + tab.url.partition("?")[2])
    again.wait_for_function("() => document.querySelectorAll('.att-panel').length === 2")
    assert again.locator(".att-panel figcaption b").all_inner_texts() == ["swin", "hybrid"]
    assert again.evaluate(VIEW)["scale"] == "layer"
    assert again.locator("#att-layer-is").inner_text().count(" / ") == 2


def test_two_backbones_share_the_pointer(visit):
    tab = opened(visit, backbones="vit,deit")
    beside(tab, "deit")
    assert tab.locator(".att-panel figcaption b").all_inner_texts() == ["vit", "deit"]
    tab.locator(".att-stage canvas").nth(1).hover(position={"x": 30, "y": 30})
    settled(tab)
    captions = tab.locator(".att-caption").all_inner_texts()
    assert len(captions) == 2 and all("row 1, column 1" in text for text in captions)


def point(tab, x: float, y: float, panel: int = 0) -> None:
    """At a share of a panel's picture."""
    canvas = tab.locator(".att-stage canvas").nth(panel)
    box = canvas.bounding_box()
    canvas.hover(position={"x": x * box["width"], "y": y * box["height"]})
    settled(tab)


def asking(tab, panel: int = 0) -> tuple[int, int]:
    """Row and column of the patch that is said to look."""
    return tuple(
        map(int, re.search(r"row (\d+), column (\d+)", tab.locator(".att-caption").nth(panel).inner_text()).groups())
    )


def test_a_pyramid_is_pointed_at_on_the_grid_of_each_layer(visit):
    tab = opened(visit, backbones="swin")
    requests = asked(tab)
    point(tab, 0.8, 0.3)
    assert asking(tab) == (10, 26)  # of 32 x 32
    assert "only inside its window" in tab.locator(".att-caption").inner_text()
    first = tab.evaluate(PIXELS)
    tab.locator(".att-stage canvas").click(position={"x": 8, "y": 8})
    tab.locator("#att-layer").focus()
    for layer, where in ((3, (1, 1)), (8, (1, 1))):
        tab.locator("#att-layer").fill(str(layer))
        settled(tab)
        assert asking(tab) == where
    assert tab.evaluate(PIXELS) != first
    canvas = tab.locator(".att-stage canvas")
    canvas.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        tab.keyboard.press(key)
        settled(tab)
    assert asking(tab) == (2, 3)  # of 8 x 8: a step is a patch of this layer
    assert tab.evaluate(VIEW)["at"] == 6 * 32 + 10  # the finest patch at its centre
    assert tab.locator(".att .pick button[data-head='7']").is_enabled()
    tab.locator("#att-layer").fill("1")
    settled(tab)
    assert tab.locator(".att .pick button[data-head='7']").is_disabled()
    tab.locator(".att .pick button[data-head='1']").click()
    settled(tab)
    cells = tab.locator(".att-arithmetic tbody tr:not(.sum) td:nth-of-type(2)").all_inner_texts()
    assert sum(map(float, cells)) == pytest.approx(1, abs=0.004)
    assert tab.locator(".att .thumb").count() == sum((2, 2, 4, 4, 8, 8, 8, 8))
    assert tab.locator("table.att-depth, .att-depth table").count() == 0
    assert requests == []


def test_backbones_of_different_grids_share_the_place_not_the_number(visit):
    tab = opened(visit, "&token=11", backbones="vit,swin")  # the patch in row 2, column 2 of 8 x 8
    beside(tab, "swin")
    assert [asking(tab, panel) for panel in (0, 1)] == [(2, 2), (7, 7)]
    point(tab, 0.7, 0.2, panel=0)
    assert [asking(tab, panel) for panel in (0, 1)] == [(2, 6), (7, 23)]
    point(tab, 0.05, 0.95, panel=1)
    assert [asking(tab, panel) for panel in (0, 1)] == [(8, 1), (31, 2)]
    tab.locator(".chip").first.hover()  # vit's class token, which swin has not
    settled(tab)
    assert "class token" in tab.locator(".att-caption").nth(0).inner_text().lower()
    assert asking(tab, 1) == (7, 7)


def test_a_pin_stays_at_its_place_when_another_backbone_is_chosen(visit):
    tab = opened(visit, "&token=11", backbones="vit,swin")
    tab.locator("#att-backbone input").click()
    tab.get_by_role("option", name="swin", exact=True).click()
    tab.wait_for_function("() => document.querySelector('.att-panel b').innerText === 'swin'", timeout=60_000)
    settled(tab)
    assert asking(tab) == (7, 7)
    assert tab.evaluate(VIEW)["pins"] == [6 * 32 + 6] and "token=199" in tab.url
