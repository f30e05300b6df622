"""The attention tab in a browser: pointing, walking and choosing ask the server nothing."""

import json
import re

import pytest

VIEW = "() => vitdemo.attention.view()"
PIXELS = "() => document.querySelector('.att-stage canvas').toDataURL()"


def opened(visit, query: str = ""):
    """The page as a new visitor sees it, with the attention tab open and the first sample in it."""
    page = visit(f"?tab=attention{query}")
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


def test_two_backbones_share_the_pointer(tab):
    names = json.loads(
        tab.evaluate(
            "() => JSON.stringify([...document.querySelectorAll('.att-panel figcaption b')].map((b) => b.innerText))"
        )
    )
    tab.locator("#att-beside input").click()
    tab.get_by_role("option").nth(1).click()
    tab.wait_for_function("() => document.querySelectorAll('.att-panel').length === 2", timeout=60_000)
    after = tab.locator(".att-panel figcaption b").all_inner_texts()
    assert after[0] == names[0] and after[1] != names[0]
    tab.locator(".att-stage canvas").nth(1).hover(position={"x": 30, "y": 30})
    settled(tab)
    captions = tab.locator(".att-caption").all_inner_texts()
    assert len(captions) == 2 and all("row 1, column 1" in text for text in captions)
