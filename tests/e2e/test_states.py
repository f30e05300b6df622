"""Between two analyses: whatever was cancelled or refused, picture, answer, maps and files are of one analysis."""

import json

import pytest

from tests.conftest import paint
from tests.e2e.test_page import settled, upload

SLOW = {"backbones": "vit,swin", "explanations": "occlusion", "patches": "24"}
OF_A_SAMPLE = "document.querySelector('.ran').innerText.includes('sample')"
QUICK = {"backbones": "swin,resnet", "explanations": "grad_cam"}


def query(settings: dict, **others) -> str:
    return "?" + "&".join(f"{name}={value}" for name, value in {"sample": "rose", **settings, **others}.items())


def bring(page, path) -> None:
    """Puts a picture in the box, and waits until the page has said something of it."""
    upload(page, path)
    page.wait_for_function("() => document.querySelector('#status').innerText || !" + OF_A_SAMPLE)


def downloaded(page) -> dict:
    with page.expect_download() as download:
        page.locator("#take-json").click()
    return json.loads(download.value.path().read_text())


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "rose.jpg"  # the name of a sample, which it is not
    paint(160, 120).save(path)
    return path


def is_of_the_sample(page) -> bool:
    return "sample" in page.locator(".ran").inner_text()


def is_one_analysis(page, before: str) -> bool:
    """Whether answer, maps and file are all of the sample, as they were, or all of the other picture."""
    maps, told = page.locator("#maps"), downloaded(page)
    if is_of_the_sample(page):
        assert maps.locator(".maps").inner_html() == before and told["maps"]["swin"]
        return True
    assert "were not made" in maps.locator(".empty").inner_text()
    return (told["picture"]["width"], told["picture"]["height"], told["maps"]) == (160, 120, {})


def test_cancelled_before_the_answer_all_is_as_it_was(visit, own):
    page = visit(query(SLOW))
    before = page.locator("#maps .maps").inner_html()
    bring(page, own)
    page.locator("#cancel").click()
    page.wait_for_function("() => document.querySelector('#status').innerText.includes('Cancelled')")
    assert is_one_analysis(page, before)
    if is_of_the_sample(page):
        assert "Below is still the analysis of rose.jpg" in page.locator("#status").inner_text()


def test_cancelled_after_the_answer_its_maps_are_missing(visit, own):
    page = visit(query(SLOW))
    before = page.locator("#maps .maps").inner_html()
    bring(page, own)
    page.wait_for_function("() => !" + OF_A_SAMPLE)
    assert "are being made" in page.locator("#maps .empty").inner_text()
    page.wait_for_function("() => !document.querySelector('#elsewhere').innerText.includes('ImageNet says')")
    page.locator("#cancel").click()
    page.wait_for_function("() => document.querySelector('#status').innerText.includes('Cancelled')")
    assert not is_of_the_sample(page) and is_one_analysis(page, before)


def test_a_picture_that_cannot_be_read_leaves_all_as_it_was(visit, tmp_path):
    page = visit(query(QUICK))
    before = page.locator("#maps .maps").inner_html()
    path = tmp_path / "torn.jpg"
    path.write_bytes(b"not a picture")
    bring(page, path)
    page.wait_for_selector("#status .error")
    assert "Below is still the analysis of rose.jpg" in page.locator("#status").inner_text()
    assert is_of_the_sample(page) and is_one_analysis(page, before)


def test_opening_a_list_and_leaving_it_changes_nothing(visit):
    page = visit(query(SLOW))
    for leave in ("Escape", "outside"):
        for number in range(page.locator("#pane-settings input[role=combobox]:visible").count()):
            page.locator("#pane-settings input[role=combobox]:visible").nth(number).click()
            page.keyboard.press("Escape") if leave == "Escape" else page.locator("#name").click()
        assert "stale" not in page.locator("#status").inner_html()
    page.locator("#samples img").nth(2).click()
    page.wait_for_selector("#status .working")
    page.locator("#pane-settings input[role=combobox]:visible").first.click()
    page.keyboard.press("Escape")
    settled(page)
    assert page.locator("#status").inner_text() == "" and page.locator("#maps .maps").count() == 1
    assert downloaded(page)["picture"]["name"] == "seeds.jpg"


def test_nobody_is_shown_the_picture_of_somebody_who_calls_it_a_sample(visit, own):
    """Two visitors at the real server; the one who lies comes first and asks for exactly the same."""

    def answer(page) -> list[str]:
        return page.locator("#answer .card").all_inner_texts()

    liar = visit(query(QUICK, fusion="geometric"))
    honest = answer(liar)
    bring(liar, own)
    liar.wait_for_function("() => !" + OF_A_SAMPLE)
    settled(liar)
    assert answer(liar) != honest and "sample=" not in liar.url
    liar.locator("#analyse").click()
    settled(liar)
    other = visit(query(QUICK, fusion="geometric"))
    assert answer(other) == honest and is_of_the_sample(other)
    assert downloaded(other)["picture"]["name"] == "rose.jpg"
    assert not is_of_the_sample(liar)
