"""What a visitor does, in a browser."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import paint
from tests.e2e.conftest import PATIENCE, running
from vitdemo.fusion import FUSIONS
from vitdemo.images import load
from vitdemo.samples import draw
from vitdemo.ui.page import TABS

# whether there are maps, and of another picture than the one whose style is given
NEW_MAPS = "old => (document.querySelector('#maps .maps')?.getAttribute('style') ?? old) !== old"
SAMPLES_ARE_SHOWN = "() => [...document.querySelectorAll('#samples img')].every(image => image.naturalWidth > 0)"


@pytest.fixture
def photograph(tmp_path):
    """A picture that is not among the samples."""
    path = tmp_path / "garden.jpg"
    Image.fromarray(draw(["sunflowers"], seed=321, size=256).picture).save(path, quality=92)
    return path


def upload(page, path):
    page.get_by_label("remove").or_(page.get_by_label("Clear")).first.click()
    page.locator("#picture input[type=file]").set_input_files(path)


def settled(page):
    page.wait_for_selector("#status .working", state="detached")


def judged(page):
    """Waits until the maps are judged; where that would take more than a few seconds it is asked for."""
    page.locator("#maps .trust, #judge:visible").first.wait_for()
    if page.locator("#judge").is_visible():
        page.locator("#judge").click()
        page.locator("#maps .trust").first.wait_for()


def test_page_is_alive_with_a_sample_analysed(visit):
    page = visit()
    assert page.locator("#answer .card").count() == 4
    assert page.locator("#maps .method").count() == 2
    assert page.locator("#maps .cell img.heat").count() == 7  # a ResNet has no attention to roll out
    assert "sample" in page.locator(".ran").inner_text()
    assert re.search(r"adds up to [+-]", page.locator("#maps").inner_text())


def test_the_page_opens_with_an_analysis_that_was_prepared(visit):
    """Whole, judged, and on the first screen of a projector."""
    page = visit("", 1280, 720, usual=False)
    assert "prepared" in page.locator(".ran").inner_text()
    assert page.locator("#maps .trust").count() == page.locator("#maps button.stack").count() > 0
    page.locator("#elsewhere p").wait_for()
    assert "nothing else" in page.locator("#elsewhere").inner_text()
    for selector in ("#answer .top", "#maps .method .stack"):
        box = page.locator(selector).first.bounding_box()
        assert box["y"] + box["height"] <= 720, selector


def test_imagenet_is_one_click_away(visit, photograph):
    page = visit("?backbones=resnet&explanations=grad_cam")
    upload(page, photograph)
    page.wait_for_function("() => location.search.includes('own=1')")
    settled(page)
    page.locator("#ask-imagenet").click()
    page.wait_for_function(
        "() => ['collection=imagenet', 'backbones=lite0', 'own=1'].every((part) => location.search.includes(part))"
    )
    page.locator("#ask-imagenet").wait_for(state="hidden")  # there is nobody else to ask
    assert page.locator("#answer .card").count() == 1


def test_upload_gives_a_result(visit, photograph):
    page = visit()
    before = page.locator("#maps .maps").get_attribute("style")
    upload(page, photograph)
    page.wait_for_function(NEW_MAPS, arg=before)
    settled(page)
    assert "sample" not in page.locator(".ran").inner_text()
    assert "sunflowers" in page.locator("#answer .top").inner_text()
    assert "sample=" not in page.url


def test_a_link_says_that_it_cannot_hold_a_picture_of_ones_own(visit, photograph):
    page = visit()
    page.locator("#copy").click()
    page.get_by_role("button", name="Copied", exact=True).wait_for()
    upload(page, photograph)
    page.wait_for_function("() => !location.search.includes('sample=')")
    page.locator("#copy").click()
    page.locator("#copy", has_text="without your picture").wait_for()
    settled(page)
    assert "sample=" not in page.url


def test_bad_file_gives_one_sentence_and_loses_nothing(visit, photograph, tmp_path):
    page = visit()
    before = page.locator("#answer .top").inner_text()
    broken = tmp_path / "notes.png"
    broken.write_text("these are notes, not a picture")
    upload(page, broken)
    sentence = page.locator("#status .error")
    sentence.wait_for()
    assert "JPEG, PNG, WebP, GIF" in sentence.inner_text() and "/" not in sentence.inner_text()
    assert sentence.get_attribute("role") == "alert"
    assert page.locator("#answer .top").inner_text() == before
    upload(page, photograph)
    page.locator("#answer .top", has_text="sunflowers").wait_for()
    settled(page)
    assert page.locator("#status .error").count() == 0


def test_cancel_stops_at_once_and_keeps_what_was_there(visit):
    page = visit()
    before = page.locator("#maps .maps").inner_html()
    page.locator("#methods").get_by_text("Occlusion").click()
    page.locator("#more").get_by_text("Settings of the maps").click()
    patches = page.locator("#set-patches input[type=number]")
    patches.fill("32")
    patches.press("Enter")
    page.locator("#analyse").click()
    page.wait_for_selector("#status .working")
    page.wait_for_timeout(1500)
    page.locator("#cancel").click()
    page.wait_for_selector("#status .working", state="detached", timeout=5000)
    assert "Cancelled" in page.locator("#status").inner_text()
    if page.locator("#maps .maps").count():  # the new answer was not there yet: all is as it was
        assert page.locator("#maps .maps").inner_html() == before
    else:  # it was: nothing is left of the old one
        assert "were not made" in page.locator("#maps .empty").inner_text()
    page.locator("#methods").get_by_text("Occlusion").click()
    page.locator("#analyse").click()
    page.wait_for_function("() => document.querySelectorAll('#maps .method').length === 2")


def test_the_last_click_wins(visit):
    page = visit()
    page.locator("#methods").get_by_text("Occlusion").click()
    page.locator("#methods").get_by_text("SmoothGrad").click()
    page.locator("#samples img").nth(2).click()
    for pause in (150, 450, 750, 1050):
        page.locator("#analyse").click()
        page.wait_for_timeout(pause)
        page.locator("#cancel").click()
        page.wait_for_timeout(pause)
    page.locator("#status", has_text="Cancelled").wait_for(timeout=10_000)
    page.wait_for_timeout(3000)
    assert "Cancelled" in page.locator("#status").inner_text()
    assert page.locator("#maps .method").count() == 2 or page.locator("#maps .empty").count() == 1


def test_opacity_asks_the_server_nothing(visit):
    page = visit()
    page.wait_for_timeout(2000)  # the other tabs hear of the analysis
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    slider = page.locator("#opacity input[type=range]")
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.documentElement.style.getPropertyValue('--opacity') === '0.8'")
    shown = page.locator("#maps img.heat").first.evaluate("image => getComputedStyle(image).opacity")
    assert float(shown) == pytest.approx(0.8)
    assert asked == []


def test_colours_change_the_maps_and_nothing_else(visit):
    page = visit()
    before = page.locator("#maps img.heat").first.get_attribute("src")
    ran = page.locator(".ran").inner_text()
    page.locator("#colours input").click()
    page.get_by_role("option", name="cividis").click()
    page.wait_for_function("old => document.querySelector('#maps img.heat').src !== old", arg=before)
    assert page.locator(".ran").inner_text() == ran


def test_target_changes_gradient_maps_and_not_rollout(visit):
    page = visit()
    rollout = page.locator("#maps .method").nth(0).locator("img.heat").nth(1)
    gradients = page.locator("#maps .method").nth(1).locator("img.heat").nth(1)
    before = rollout.get_attribute("src"), gradients.get_attribute("src")
    page.locator("#target input").click()
    page.get_by_role("option", name="tulips").click()
    page.wait_for_function(
        "() => location.search.includes('target=tulips')"
        " || document.querySelector('#analyse').innerText.includes('about')"
    )
    if "about" in page.locator("#analyse").inner_text():  # it takes so long that the page waits for the button
        page.locator("#analyse").click()
    page.wait_for_function("() => location.search.includes('target=tulips')")
    settled(page)
    assert rollout.get_attribute("src") == before[0]
    assert gradients.get_attribute("src") != before[1]
    assert "tulips" in gradients.get_attribute("alt")


def test_link_restores_what_it_says(visit):
    page = visit("?collection=flowers&backbones=vit,resnet&fusion=geometric&explanations=rollout&head_fusion=max")
    assert page.locator("#answer .card").count() == 3
    assert page.locator("#maps .method").count() == 1
    assert "Geometric mean" in page.locator(".ran").inner_text()
    assert "head_fusion=max" in page.url and "backbones=vit,resnet" in page.url


def test_link_with_nonsense_says_so_and_works(visit):
    page = visit(
        "?backbones=hf-hub:evil/model&steps=9999999&fusion=%3Cscript%3E&sample=../../etc/passwd&explanations=rollout"
    )
    page.get_by_text("backbones, fusion, steps, sample").first.wait_for()
    assert page.locator("#answer .card").count() == 4


def test_downloads(visit, tmp_path):
    page = visit()
    for name, suffix in (("figure", "png"), ("raw", "npz"), ("json", "json")):
        with page.expect_download() as download:
            page.locator(f"#take-{name}").click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        assert path.suffix == f".{suffix}"
        if suffix == "png":
            assert load(path).width > 600
        elif suffix == "npz":
            maps = np.load(path)
            assert maps["fused/rollout"].ndim == 2 and np.isfinite(maps["vit/integrated_gradients"]).all()
        else:
            result = json.loads(path.read_text())
            assert result["fused"]["top"] in result["fused"]["probabilities"]


@pytest.mark.parametrize("width", [390, 1440])
def test_no_sideways_scrolling(visit, width):
    page = visit(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_phone_shows_picture_then_answer_then_maps_then_settings(visit):
    page = visit(width=390, height=844)
    tops = [page.locator(f"#{name}").bounding_box()["y"] for name in ("picture", "answer", "maps", "pane-settings")]
    assert tops == sorted(tops)


def test_chinese_browser_sees_chinese(visit):
    page = visit(locale="zh-CN")
    text = page.locator("body").inner_text()
    for words in ("注意力展开", "积分梯度", "骨干网络", "分析", "取消", "融合"):
        assert words in text
    for words in ("Attention rollout", "Backbones", "Analyse", "Cancel", "weight"):
        assert words not in text


def test_dark_page_is_dark(visit):
    page = visit("?__theme=dark")
    assert "dark" in page.locator("body").get_attribute("class")
    text = page.locator("#answer .top").evaluate("element => getComputedStyle(element).color")
    assert min(int(part) for part in re.findall(r"\d+", text)[:3]) > 200
    assert "__theme=dark" in page.url


def test_tall_picture(visit, tmp_path):
    page = visit()
    path = tmp_path / "tower.png"
    paint(40, 400).save(path)
    before = page.locator("#maps .maps").get_attribute("style")
    upload(page, path)
    page.wait_for_function(NEW_MAPS, arg=before)
    settled(page)
    assert page.locator("#maps img.unseen").count() == 7
    assert "Hatched" in page.locator("#maps .note").inner_text()


def test_imagenet_says_what_it_needs_and_flowers_work_on(visit):
    """The server of these tests has no network."""
    page = visit()
    page.locator("#collection").get_by_text("ImageNet").click()
    page.locator("#backbones").get_by_text("resnet50").click()
    page.wait_for_function("() => document.querySelector('#analyse').innerText.includes('MB once')")
    assert "fetches" in page.locator("#backbones").inner_text()
    samples = page.locator("#samples img")
    samples.first.wait_for()
    page.wait_for_function(SAMPLES_ARE_SHOWN)
    samples.first.click()
    sentence = page.locator("#status .error")
    sentence.wait_for()
    assert "network" in sentence.inner_text()
    page.locator("#collection").get_by_text("Flowers").click()
    page.wait_for_function("() => document.querySelector('#backbones').innerText.includes('hybrid')")
    page.locator("#samples img").nth(1).click()
    page.wait_for_function("() => location.search.includes('sample=dandelion')")
    settled(page)
    assert page.locator("#answer .card").count() == 4 and page.locator("#status .error").count() == 0


def test_started_in_another_folder_it_still_shows_its_samples(chromium, tmp_path):
    with running(tmp_path, cwd=tmp_path) as address:
        page = chromium.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.locator("#samples img").first.wait_for()
        page.wait_for_function(SAMPLES_ARE_SHOWN)
        page.close()


def open_tab(page, name):
    page.locator(f"#tab-{name}-button").click()
    page.locator(f"#tab-{name}").wait_for()


def test_tabs_switch_and_the_link_holds_them(visit):
    page = visit()
    assert "tab=" not in page.url
    open_tab(page, "compare")
    page.wait_for_function("() => location.search.includes('tab=compare')")
    assert not page.locator("#maps").is_visible() and page.locator("#picture").is_visible()
    page.locator("#samples img").nth(2).click()
    page.wait_for_function("() => location.search.includes('sample=seeds')")
    assert "tab=compare" in page.url
    address = page.url
    open_tab(page, "analyse")
    page.wait_for_function("() => !location.search.includes('tab=')")
    page.goto(address)
    page.locator("#compare-this table").wait_for()
    assert "tab=compare" in page.url and not page.locator("#maps").is_visible()


def test_compare_shows_this_picture_and_what_was_measured(visit):
    page = visit()
    fused = page.locator("#answer .card").first.locator("li").first.inner_text()
    open_tab(page, "compare")
    chosen = page.locator("#compare-this tr.chosen")
    chosen.wait_for()
    assert fused.split()[0] in chosen.inner_text() and "vit" in chosen.inner_text()
    assert page.locator("#compare-this tbody tr").count() == len(FUSIONS)
    assert page.locator("#compare-accuracy svg:visible").count() == 1
    names = page.locator("#compare-table tbody th").all_inner_texts()
    assert {"dino", "hybrid", "lite"} <= {name.split()[0] for name in names}
    before = page.locator("#compare-accuracy svg:visible").inner_html()
    page.locator("#cost").get_by_text("one at a time").click()
    page.wait_for_function("old => document.querySelector('#compare-accuracy svg').innerHTML !== old", arg=before)
    assert page.locator("#compare-pairs td").count() >= 9


@pytest.mark.parametrize("width", [390, 1440])
def test_comparing_does_not_scroll_sideways(visit, width):
    page = visit("?tab=compare", width=width)  # on a phone some tabs are behind a button
    page.locator("#compare-table table").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_language_switch_changes_every_text_and_keeps_the_rest(visit):
    page = visit("?fusion=geometric&explanations=rollout")
    page.locator("#language").click()
    page.wait_for_function("() => location.search.includes('lang=zh')")
    page.locator("#answer", has_text="权重").wait_for()
    page.locator("#methods", has_text="积分梯度").wait_for()
    assert "fusion=geometric" in page.url and page.locator("#maps .method").count() == 1
    assert "Opacity" not in page.locator("body").inner_text()
    page.goto(page.url.split("?")[0])  # chosen once, it holds
    page.locator("#answer", has_text="权重").wait_for()
    page.locator("#language").click()
    page.wait_for_function("() => location.search.includes('lang=en')")
    page.locator("#answer", has_text="counts").wait_for()


def test_projector_and_dark_are_remembered(visit):
    page = visit()
    small = page.locator("#answer .label").first.evaluate("element => parseFloat(getComputedStyle(element).fontSize)")
    page.locator("#projector").click()
    page.locator("#look").click()
    page.wait_for_function("() => document.body.classList.contains('dark')")
    large = page.locator("#answer .label").first.evaluate("element => parseFloat(getComputedStyle(element).fontSize)")
    assert large >= 1.25 * small
    page.goto(page.url.split("?")[0])
    page.wait_for_selector("#maps .maps")
    assert "projector" in page.locator("html").get_attribute("class")
    assert "dark" in page.locator("body").get_attribute("class")
    assert page.locator("#projector").get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440


# What is seen at once


def test_answer_first_maps_and_first_methods_are_above_the_fold(visit):
    page = visit(width=1440, height=900)
    for selector in ("#picture", "#answer", "#analyse", "#fusion", "#methods fieldset", "#maps .method .stack"):
        box = page.locator(selector).first.bounding_box()
        assert box["y"] + box["height"] <= 900, selector


def test_only_settings_of_the_chosen_methods_are_there(visit):
    page = visit("?explanations=rollout")
    page.locator("#more > button").click()
    page.locator("#set-discard").wait_for()
    assert not page.locator("#set-steps").is_visible() and not page.locator("#options-perturbation").is_visible()
    page.locator("#methods").get_by_text("Occlusion").click()
    page.locator("#set-window").wait_for()
    assert page.locator("#set-baseline").is_visible() and not page.locator("#set-steps").is_visible()


# One map


def test_a_click_enlarges_a_map_and_asks_the_server_nothing(visit):
    page = visit()
    page.wait_for_timeout(2000)  # the other tabs hear of the analysis
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    stack = page.locator("#maps .method").nth(1).locator("button.stack").first
    stack.focus()
    page.keyboard.press("Enter")
    loupe = page.locator("#loupe")
    loupe.wait_for()
    assert loupe.locator(".stack").bounding_box()["width"] > 2 * stack.bounding_box()["width"]
    for words in ("Integrated gradients: daisy · Fused", "What it cannot tell", "It depends on the blank", "highest"):
        assert words in loupe.inner_text()
    with page.expect_download() as download:
        loupe.locator("button.download").click()
    size = Image.open(download.value.path()).size
    assert download.value.suggested_filename.endswith(".png") and max(size) == 320
    page.keyboard.press("Escape")
    loupe.wait_for(state="detached")
    assert stack.evaluate("button => button === document.activeElement")
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == []


def test_judged_maps_say_in_a_word_how_far_to_believe_them(visit):
    page = visit("?backbones=resnet&explanations=grad_cam&trust=1")
    judged(page)
    summary = page.locator("#maps .trust summary")
    assert re.search("(better|worse|like) .*chance|like chance", summary.inner_text())
    summary.click()
    assert "object" in page.locator("#maps .trust dl").inner_text()  # a drawn sample's mask is known
    assert "trust=1" in page.url
    page.locator("#maps button.stack").click()
    assert page.locator("#loupe .trust svg").bounding_box()["width"] > 200
    page.locator("#loupe .further button").click()
    page.locator("#loupe .scrutiny dl").first.wait_for()
    assert page.locator("#loupe .scrutiny dl").count() == 4


def test_every_map_of_an_ordinary_analysis_is_judged(visit):
    page = visit("?trust=1&backbones=swin,resnet&explanations=grad_cam")
    judged(page)
    assert page.locator("#maps .trust").count() == page.locator("#maps button.stack").count() > 0


# For everybody

AXE = Path(find_spec("axe_playwright_python").origin).with_name("axe.min.js")
FOUND = """() => axe.run(document, {resultTypes: ["violations"]}).then((all) => all.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ` + one.nodes.map((node) => `${node.target} ${node.any[0]?.message}`).join("; ")))"""


@pytest.mark.parametrize("look", ["light", "dark", "projector", "dark projector"])
def test_every_tab_is_accessible(visit, look):
    page = visit("?__theme=dark" if "dark" in look else "")
    if "projector" in look:
        page.locator("#projector").click()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = {}
    for name in TABS:
        open_tab(page, name)
        page.wait_for_timeout(1000)  # what a tab shows comes from the server
        found[name] = page.evaluate(FOUND)
    open_tab(page, "analyse")
    page.locator("#more > button").click()
    found["settings"] = page.evaluate(FOUND)
    page.locator("#maps button.stack").first.click()
    page.locator("#loupe").wait_for()
    found["loupe"] = page.evaluate(FOUND)
    assert {name: each for name, each in found.items() if each} == {}


def test_who_wants_less_motion_gets_none(visit):
    page = visit(reduced_motion="reduce")
    longest = page.evaluate(
        "() => Math.max(...[...document.querySelectorAll('#pane-settings *, #tabs *')].flatMap((element) =>"
        " getComputedStyle(element).transitionDuration.split(',').map(parseFloat)))"
    )
    assert longest <= 0.001
