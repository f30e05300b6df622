"""What the page shows between two analyses: one whole one, that looks as finished as it is."""

import json

import pytest

from tests.conftest import paint
from vitdemo.images import load

OPACITY = "() => getComputedStyle(document.querySelector('#maps')).opacity"


@pytest.fixture
def own(tmp_path) -> str:
    """A picture that is no sample."""
    path = tmp_path / "holiday $1.png"
    paint(300, 200, 5).save(path)
    return str(path)


def put(page, path: str) -> None:
    page.get_by_label("remove").or_(page.get_by_label("Clear")).first.click()
    page.locator("#picture input[type=file]").set_input_files(path)


def bring(page, path: str) -> None:
    put(page, path)
    page.wait_for_function("() => location.search.includes('own=1')")
    page.wait_for_selector("#maps .maps")
    page.wait_for_selector("#status .working", state="detached")


def test_a_list_that_is_opened_and_left_ends_nothing(visit, own):
    page = visit("?backbones=resnet&explanations=grad_cam")
    bring(page, own)
    before = page.locator("#maps .maps").inner_html()
    for leave in (lambda: page.keyboard.press("Escape"), lambda: page.locator("#name").click()):
        for name in ("target", "against", "fusion"):
            page.locator(f"#{name} input").click()
            leave()
    page.wait_for_timeout(1500)
    assert page.locator("#status .stale").count() == 0 and page.locator("#maps .maps").inner_html() == before
    page.locator("#methods").get_by_text("Occlusion").click()
    page.locator("#target input").click()
    page.keyboard.press("Escape")
    page.locator("#analyse").click()
    page.wait_for_function("() => document.querySelectorAll('#maps .method').length === 2")
    page.wait_for_selector("#status .working", state="detached")
    assert "Cancelled" not in page.locator("#status").inner_text()


def test_maps_that_are_judged_look_finished_and_can_be_taken_home(visit, own):
    page = visit("?backbones=vit,swin,resnet&explanations=grad_cam&trust=1&fusion=geometric")
    bring(page, own)
    page.locator("#judge:visible, #stop-judging:visible, #maps .trust").first.wait_for()
    if page.locator("#judge").is_visible():
        page.locator("#judge").click()
        page.locator("#judging progress").wait_for()
        assert page.evaluate(OPACITY) == "1"
        with page.expect_download() as download:
            page.locator("#take-json").click()
        with open(download.value.path(), encoding="utf-8") as file:
            told = json.load(file)
        assert told["picture"]["width"] == load(own).width and set(told["maps"]) == {"fused", "vit", "swin", "resnet"}
        if page.locator("#stop-judging").is_visible():
            page.locator("#stop-judging").click()
    page.locator("#maps .trust, #judging :text('Judging was stopped')").first.wait_for()
    assert page.evaluate(OPACITY) == "1" and page.locator("#maps .heat").count() == 4


def test_a_start_that_fails_keeps_the_old_analysis_and_names_its_picture(visit, own, tmp_path):
    page = visit("?backbones=resnet&explanations=grad_cam")
    bring(page, own)
    before = page.locator("#maps .maps").inner_html()
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    put(page, str(broken))
    page.locator("#status .error").wait_for()
    assert "Below is still the analysis of" in page.locator("#status").inner_text()
    assert page.locator("#maps .maps").inner_html() == before
