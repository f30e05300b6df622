"""The lesson in a browser: its pages, its drawings, and its examples on the page."""

import pytest

from vitdemo.ui.learn import LESSON
from vitdemo.ui.text import lesson_en, lesson_zh

TITLE = ".learn .step:visible h2"
STAGE = ".learn .step:visible .stage"
# How many colours the first canvas of the step shows; one that was never painted has a single one.
COLOURS = """stage => {
    const canvas = stage.querySelector("canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
}"""
INSIDE = """() => {
    const box = vitdemo.learn.marked().getBoundingClientRect();
    return box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.left < innerWidth;
}"""
WIDE = "() => document.documentElement.scrollWidth > innerWidth"


@pytest.fixture
def lesson(visit):
    def open_lesson(query: str = "", **options):
        page = visit(f"?tab=learn&backbones=dino,resnet&explanations=rollout{query}", **options)
        page.locator(".learn.on .step:visible").wait_for()
        return page

    return open_lesson


def test_every_step_shows_its_words_and_a_drawing(lesson):
    page = lesson()
    seen = []
    for index, step in enumerate(LESSON):
        words = lesson_en.STEPS[step.key]
        assert page.locator(TITLE).inner_text() == words["title"]
        assert f"Step {index + 1} of {len(LESSON)}" in page.locator(".learn .step:visible").inner_text()
        stage = page.locator(STAGE)
        if stage.locator("canvas").count():
            assert stage.evaluate(COLOURS) > 20, step.key
        assert stage.inner_text().strip() or stage.locator("svg, canvas").count(), step.key
        seen.append(stage.inner_html())
        if index + 1 < len(LESSON):
            page.get_by_role("button", name="Next", exact=True).click()
            assert f"step={index + 2}" in page.url
    assert len(set(seen)) == len(LESSON)
    assert page.get_by_role("button", name="Next", exact=True).is_disabled()


def test_drawings_answer(lesson):
    page = lesson("&step=5")
    shares = page.locator(f"{STAGE} tbody tr:not(.sum) td:last-child")
    before = shares.all_inner_texts()
    assert sum(map(float, before)) == pytest.approx(1, abs=0.03)
    board = page.locator(f"{STAGE} .board")
    board.hover(position={"x": 5, "y": 5})
    assert shares.all_inner_texts() != before
    hovered = shares.all_inner_texts()
    board.focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    assert shares.all_inner_texts() != hovered
    page.locator("[data-jump='10']").click()
    page.locator(f"{STAGE} input").fill("0")
    assert "rose" in page.locator(f"{STAGE} .said").inner_text()


def test_a_link_opens_its_step_and_the_keyboard_turns_pages(lesson):
    page = lesson("&step=4")
    assert page.locator(TITLE).inner_text() == lesson_en.STEPS["qkv"]["title"]
    page.get_by_role("button", name="Next", exact=True).focus()
    page.keyboard.press("Enter")
    assert page.locator(TITLE).inner_text() == lesson_en.STEPS["head"]["title"]
    assert page.evaluate("() => document.activeElement.tagName") == "H2"
    assert page.locator(".learn [aria-current='step']").count() == 1
    page.locator(".learn .glossary summary").click()
    assert page.locator(".learn dt:visible").count() == len(lesson_en.GLOSSARY)


def test_a_drawing_needs_no_picture(lesson):
    page = lesson("&step=2")
    page.locator(".learn .whose:visible", has_text=lesson_en.WORDS["own"]).wait_for()
    page.get_by_label("remove").or_(page.get_by_label("Clear")).first.click()
    page.locator(".learn .whose:visible", has_text=lesson_en.WORDS["sample"]).wait_for()
    assert page.locator(STAGE).evaluate(COLOURS) > 20


def test_every_example_marks_its_place_on_the_page(lesson):
    page = lesson()
    for index, step in enumerate(LESSON):
        page.locator(f"[data-jump='{index}']").click()
        page.locator(".learn .step:visible .show").click()
        page.locator(f"#tab-{step.tab}-button[aria-selected='true']").wait_for()
        page.locator("[data-lesson-mark]").wait_for()
        page.wait_for_function(INSIDE)
        page.wait_for_selector("#status .working", state="detached")
        assert page.evaluate("mark => vitdemo.learn.marked().matches(mark)", step.mark), step.key
        page.locator(".guide [aria-live]", has_text=lesson_en.STEPS[step.key]["look"]).wait_for()
        for name in step.settings.get("explanations", "").split(","):
            assert not name or page.locator(f"#methods input[name='{name}']").is_checked()
        if step.tab == "attention":
            view = page.evaluate("() => vitdemo.attention.view()")
            head = step.settings["head"]
            assert view["layer"] == int(step.settings["layer"]) - 1
            assert view["head"] == (int(head) - 1 if head.isdigit() else head)
            assert view["pins"] == [int(step.settings["token"]) - 1]
        page.get_by_role("button", name=lesson_en.WORDS["back"]).click()
        assert page.locator(TITLE).inner_text() == lesson_en.STEPS[step.key]["title"]
        assert page.locator("[data-lesson-mark], .guide").count() == 0


@pytest.mark.parametrize("query", ["", "&lang=zh&__theme=dark"])
def test_the_lesson_fits_a_phone(lesson, query):
    page = lesson(query, width=390, height=844)
    words = lesson_zh if query else lesson_en
    for index, step in enumerate(LESSON):
        page.locator(f"[data-jump='{index}']").click()
        assert page.locator(TITLE).inner_text() == words.STEPS[step.key]["title"]
        assert not page.evaluate(WIDE), step.key
    page.locator("[data-jump='3']").click()
    page.locator(".learn .step:visible .show").click()  # its tab may be in the menu of those that have no room
    page.locator("[data-lesson-mark]").wait_for()
    page.get_by_role("button", name=words.WORDS["back"]).click()
    page.locator(TITLE).wait_for()
