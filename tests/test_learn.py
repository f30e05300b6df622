"""The lesson without a browser: words, settings, drawings."""

import base64
import io
import json
import re
import string
import subprocess
import sys
from html import escape
from pathlib import Path

import pytest
from PIL import Image

from tests.html import Page
from vitdemo import recorded
from vitdemo.backbones import default_catalogue
from vitdemo.checkpoint import skeleton
from vitdemo.pipeline import Request
from vitdemo.ui import learn, permalink
from vitdemo.ui.learn import LESSON, SPOKEN
from vitdemo.ui.page import TABS

SCRIPT = (Path(learn.__file__).parent / "learn.js").read_text(encoding="utf-8")
ATTENTION = {"layer", "head", "token"}  # read by the attention tab alone


@pytest.fixture(scope="module", params=SPOKEN)
def page(request):
    return request.param, Page(learn.lesson(request.param))


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_step_has_all_its_words_in_every_language():
    keys = [step.key for step in LESSON]
    assert len(set(keys)) == len(keys) == 12
    parts = {key: set(words) for key, words in SPOKEN["en"].STEPS.items()}
    for spoken in SPOKEN.values():
        assert list(spoken.STEPS) == keys
        for key, words in spoken.STEPS.items():
            assert set(words) == parts[key] and all(words.values())
            assert {"title", "text", "look", "drawing", "formula"} <= set(words)
            assert ("question" in words) == ("answer" in words)


@pytest.mark.parametrize("part", ["GLOSSARY", "WORDS", "DRAWING", "UNLABELLED"])
def test_no_word_is_missing_in_a_language(part):
    english, *others = (getattr(spoken, part) for spoken in SPOKEN.values())
    for other in others:
        assert list(other) == list(english)
        for key in english:
            pair = [" ".join(text) if isinstance(text, tuple) else text for text in (english[key], other[key])]
            assert all(pair) and gaps(pair[0]) == gaps(pair[1]), key


def test_a_formula_is_from_a_paper_or_its_source_is_in_words():
    for step in LESSON:
        for language, spoken in SPOKEN.items():
            assert bool(step.source) != ("source" in spoken.STEPS[step.key]), step.key
            assert escape(step.source or spoken.STEPS[step.key]["source"]) in learn.lesson(language)


def test_texts_have_the_length_of_a_step():
    for key, words in SPOKEN["en"].STEPS.items():
        assert 60 <= len(words["text"].split()) <= 110, key
    for key, words in SPOKEN["zh-CN"].STEPS.items():
        assert 100 <= len(words["text"]) <= 240, key
        assert re.search("[\u4e00-\u9fff]", words["text"])


def test_glossary_explains_each_term_once_in_one_sentence():
    for spoken in SPOKEN.values():
        terms = [term for term, _ in spoken.GLOSSARY.values()]
        assert len(terms) == len(set(terms)) >= 25
        assert all(sentence[-1] in ".。" for _, sentence in spoken.GLOSSARY.values())
    assert [term for term, _ in SPOKEN["en"].GLOSSARY.values()] == sorted(
        (term for term, _ in SPOKEN["en"].GLOSSARY.values()), key=str.lower
    )


def test_every_setting_is_allowed():
    catalogue = default_catalogue()
    start = Request("flowers", tuple(catalogue.suggested("flowers")))
    first = catalogue.get("flowers", start.backbones)[0]  # which the attention tab opens with
    body = skeleton(first.architecture, 5, first.arguments)
    for step in LESSON:
        assert step.tab in TABS, step.key
        asked = {name: value for name, value in step.settings.items() if name not in ATTENTION}
        wanted, _, ignored = permalink.from_query(asked, catalogue, start, {})
        assert ignored == []
        assert all(getattr(wanted, name) == tuple(value.split(",")) for name, value in asked.items())
        assert set(step.settings) & ATTENTION in (set(), ATTENTION)
        if step.tab == "attention":
            assert 1 <= int(step.settings["layer"]) <= len(body.blocks)
            assert 1 <= int(step.settings["token"]) <= body.pos_embed.shape[1]
            head = step.settings["head"]
            assert head in ("mean", "max", "min") or 1 <= int(head) <= body.blocks[0].attn.num_heads


def test_every_step_has_a_drawing_and_every_word_of_drawings_is_used():
    block = SCRIPT[SCRIPT.index("const draws = {") : SCRIPT.index("// -- turning the pages")]
    assert re.findall(r"^    (\w+)\(stage\)", block, re.MULTILINE) == [step.key for step in LESSON]
    left = [key for key in SPOKEN["en"].DRAWING if not re.search(rf'"{key}"', SCRIPT)]
    assert left == []


def test_words_around_the_lesson_are_used():
    source = SCRIPT + Path(learn.__file__).read_text(encoding="utf-8")
    whose = ("own", "sample")  # said by the name that stands in data-whose
    assert [
        key for key in SPOKEN["en"].WORDS if not re.search(rf"""["']{key}["']""", source) and key not in whose
    ] == []
    assert "say(root.dataset.whose)" in source


def test_the_lesson_is_whole(page):
    spoken, parsed = page
    sections = [attributes for tag, attributes in parsed.tags if tag == "section"]
    assert [each["data-key"] for each in sections] == [step.key for step in LESSON]
    assert [json.loads(each["data-settings"]) for each in sections] == [dict(step.settings) for step in LESSON]
    assert [each["data-mark"] for each in sections] == [step.mark for step in LESSON]
    for words in SPOKEN[spoken].STEPS.values():
        assert all(text in parsed.text for text in words.values())
    counted = [sum(tag == kind for tag, _ in parsed.tags) for kind in ("dt", "dd")]
    assert counted == [len(SPOKEN[spoken].GLOSSARY)] * 2
    whole = next(attributes for tag, attributes in parsed.tags if "data-words" in attributes)
    assert json.loads(whole["data-words"])["drawing.about"] == SPOKEN[spoken].DRAWING["about"]
    assert whole["data-sample"].startswith("data:image/jpeg;base64,") and len(whole["data-sample"]) < 40_000
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_learning_without_labels_says_what_was_measured(page):
    spoken, parsed = page
    (picture,) = [attributes for tag, attributes in parsed.tags if tag == "img"]
    data = base64.b64decode(picture["src"].removeprefix("data:image/webp;base64,"))
    with Image.open(io.BytesIO(data)) as sheet:
        assert (str(sheet.width), str(sheet.height)) == (picture["width"], picture["height"])
    assert picture["alt"] == SPOKEN[spoken].UNLABELLED["alt"]
    figures = recorded.measured("flowers")
    share = {name: f"{100 * figures['backbones'][name]['top1']['value']:.1f} %" for name in ("vit", "vit_mae")}
    assert all(text in parsed.text for text in (*share.values(), f"{figures['pictures']} "))
    rows = {name: {"top1": {"value": value}} for name, value in (("vit", 0.25), ("vit_mae", 0.5))}
    made_up = learn.unlabelled(spoken, {"pictures": 31, "backbones": rows})
    assert all(text in made_up for text in ("25.0 %", "50.0 %", "31"))
    for unmeasured in (None, {"pictures": 31, "backbones": {"vit": rows["vit"]}}):
        without = learn.unlabelled(spoken, unmeasured)
        assert SPOKEN[spoken].UNLABELLED["honest"][:9] in without and "%" not in without.split("<figure>")[0]


NO_MODEL = """
import gc
from vitdemo.ui import learn
assert len(learn.lesson("en")) > 10_000
import torch
kinds = [type(each).__module__ for each in gc.get_objects() if isinstance(each, torch.nn.Module)]
loaded = [kind for kind in kinds if kind.startswith("timm")]
assert not loaded, loaded
"""


def test_the_lesson_needs_no_model():
    done = subprocess.run([sys.executable, "-c", NO_MODEL], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
