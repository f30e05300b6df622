"""The tab "What if" in a browser: hiding changes the words, an attack ends in a verdict, two classes in maps."""

import json

import pytest

NUMBERS = "() => [...document.querySelectorAll('#wi-change .card.change .value')].map((value) => value.innerText)"

# from within the page, so that a slow browser is not slower than the attack
CANCEL_AT_ONCE = """() => {
  const watch = setInterval(() => {
    if (!document.querySelector("#wi-attacked progress")) return;
    clearInterval(watch);
    document.querySelector("#wi-attack-cancel").click();
  }, 20);
}"""


@pytest.fixture
def tab(visit):
    """The page with the tab open and the first sample in it."""
    page = visit("?tab=whatif")
    page.wait_for_selector("#wi-canvas canvas")
    page.get_by_text("Nothing is hidden yet").wait_for()
    return page


def view(page) -> dict:
    return page.evaluate("() => vitdemo.whatif.view()")


def test_hiding_patches_changes_what_is_said(tab):
    canvas = tab.locator("#wi-canvas canvas")
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] / 2 + 4, "y": box["height"] / 2 + 4})
    tab.get_by_text("2 % of the picture is grey.").wait_for()  # one of 64
    assert view(tab)["hidden"] == [36]
    first = tab.evaluate(NUMBERS)
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Enter")
    tab.get_by_text("3 % of the picture is grey.").wait_for()
    assert view(tab)["hidden"] == [36, 37] and "row 5, column 6" in tab.locator("#wi-said").inner_text().lower()
    tab.locator("#wi-share input[type=number]").fill("90")
    tab.locator("#wi-share input[type=number]").press("Enter")
    tab.locator("#wi-most").click()
    tab.get_by_text("of the picture is grey.").filter(has_text="91 %").wait_for()
    assert len(view(tab)["hidden"]) == 58 and tab.evaluate(NUMBERS) != first
    tab.locator("#wi-reset").click()
    tab.get_by_text("Nothing is hidden yet").wait_for()
    assert view(tab)["hidden"] == []


def test_painting_hides_and_the_changed_picture_can_be_analysed(tab):
    tab.locator("#wi-tool").get_by_text("brush").click()
    canvas = tab.locator("#wi-canvas canvas")
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + box["width"] / 2, y, steps=5)
    tab.mouse.up()
    tab.get_by_text("of the picture is grey.").wait_for()
    assert view(tab)["hidden"] == []
    before = canvas.evaluate("(canvas) => canvas.toDataURL()")
    tab.locator("#wi-take").click()
    tab.get_by_text("Nothing is hidden yet").wait_for()  # for another picture has come
    grey = (
        "(canvas) => [...canvas.getContext('2d').getImageData(canvas.width / 2 + 9, canvas.height / 2 + 9, 1, 1).data]"
    )
    assert canvas.evaluate(grey)[:3] == pytest.approx([128, 128, 128], abs=6)
    assert canvas.evaluate("(canvas) => canvas.toDataURL()") != before


def test_an_attack_can_be_cancelled(visit):
    page = visit("?tab=whatif&explanations=rollout&backbones=vit,hybrid,resnet,deit,swin,coatnet")  # long enough
    page.wait_for_selector("#wi-canvas canvas")
    page.locator("#wi-steps input[type=number]").fill("50")
    page.locator("#wi-steps input[type=number]").press("Enter")
    page.evaluate(CANCEL_AT_ONCE)
    page.locator("#wi-attack").click()
    page.locator("#wi-attacked").get_by_text("Cancelled.").wait_for()


def test_an_attack_ends_in_a_verdict(tab):
    tab.locator("#wi-method").get_by_text("FGSM", exact=True).click()
    tab.locator("#wi-attack").click()
    verdict = tab.wait_for_selector("#wi-verdict").inner_text()
    assert "answer" in verdict and "FGSM, ε = 4 of 255" in verdict
    assert tab.locator("#wi-attacked img.plain").count() == 3 and tab.locator("#wi-attacked .card.change").count() == 4
    assert "magnified 32 times" in tab.locator("#wi-attacked").inner_text()


def test_class_against_class_shows_both_maps_and_their_difference(tab):
    tab.locator("#wi-with input").click()
    tab.get_by_role("option", name="Gradient rollout").click()
    tab.locator("#wi-compare").click()
    assert "knows about the class" in tab.wait_for_selector("#wi-knows").inner_text()
    captions = tab.locator("#wi-compared figcaption").all_inner_texts()
    assert len(captions) == 8 and captions[3].startswith("The difference:") and captions[:4] == captions[4:]
    shown = [tab.locator(f"#wi-compared figure:nth-of-type({n}) img.heat").first.get_attribute("src") for n in (2, 3)]
    assert shown[0] != shown[1]
    tab.locator("#wi-backbone input").click()
    tab.get_by_role("option", name="resnet").click()
    tab.locator("#wi-compared .cell.none").first.wait_for()


def test_a_finger_hides_and_a_phone_needs_no_scrolling_sideways(visit):
    page = visit("?tab=whatif", width=390, height=844, has_touch=True)
    page.wait_for_selector("#wi-canvas canvas")
    page.get_by_text("Nothing is hidden yet").wait_for()
    page.locator("#wi-canvas canvas").tap(position={"x": 20, "y": 20})
    page.get_by_text("of the picture is grey.").wait_for()
    assert view(page)["hidden"] == [0]
    sent = json.loads(page.locator("#wi-ask textarea").input_value())
    assert sent["hidden"] == [0] and sent["mask"] is None
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
