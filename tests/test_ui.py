"""The page without a browser: texts, links, rendering, handlers, cancelling."""

import re
import threading
import time
from pathlib import Path
from urllib.parse import parse_qsl

import gradio as gr
import pytest

from tests.conftest import paint
from vitdemo.attention import tokens
from vitdemo.backbones import default_catalogue
from vitdemo.draw import SCALES
from vitdemo.errors import Cancelled
from vitdemo.explain import EXPLANATIONS, Options
from vitdemo.fusion import FUSIONS
from vitdemo.models import Models
from vitdemo.pipeline import Progress, Request, analyse
from vitdemo.ui import handlers as handlers_module
from vitdemo.ui import permalink, render
from vitdemo.ui.handlers import OPTIONS, PLAIN, RESULTS, Handlers, request_of, values_of
from vitdemo.ui.page import build
from vitdemo.ui.text import LANGUAGES, language_of, speaker, translated, zh
from vitdemo.ui.work import Run

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


def is_used(key: str, source: str) -> bool:
    """In quotes, or as one of a family: f"scale.{name}", or f"{key}.info" of a key in quotes."""
    family, _, last = key.rpartition(".")
    quoted = re.search(rf"""["']{re.escape(key)}["']""", source)
    of_family = family and re.search(rf"""["']{re.escape(family)}\.{{|titled\("{re.escape(family)}\"""", source)
    return bool(quoted or of_family or (last == "info" and is_used(family, source)))


def test_no_text_is_left_over():
    source = "".join(path.read_text() for path in UI.glob("*.py"))
    registered = tuple(f"{kind}." for kind in ("fusion", "method", "baseline"))
    left = [key for key in LANGUAGES["en"] if not key.startswith(registered) and not is_used(key, source)]
    assert left == []
    assert not is_used("nowhere", source) and not is_used("nowhere.info", source)


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


# Links


def test_link_round_trip(catalogue):
    options = Options(head_fusion="min", discard=0.25, baseline="white", steps=20, noise=0.3)
    request = Request("tiny", ("resnet", "vit"), "vote", ("occlusion",), "bee", options)
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
    request = Request("tiny", ("vit",), "vote", ("rollout",), "bee", Options(steps=7, noise=0.5))
    assert request_of(tuple(values_of(request))) == request
    assert len(values_of(request)) == len(PLAIN) + len(OPTIONS)


# Rendering


def test_labels_are_escaped(analysis):
    evil = '<img src=x onerror="alert(1)">'
    from dataclasses import replace

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


def test_one_backbone_stands_alone(catalogue, models, picture):
    one = analyse(picture, Request("tiny", ("vit",), "vote", ("occlusion", "smoothgrad")), catalogue, models)
    colours = render.colours_of(["vit"])
    html = render.answer(one, speaker("en"), colours) + render.maps(one, speaker("en"), "en", colours, "each", "magma")
    assert html.count('class="card"') == 1 and html.count('class="cell"') == 2 and "No map" not in html


def test_verdict_names_who_disagrees(analysis):
    text = render.verdict(analysis, speaker("en"))
    best = analysis.top(1)[0][0]
    others = [row.name for row in analysis.backbones if analysis.top(1, row.name)[0][0] != best]
    assert all(name in text for name in others) and ("agree" in text or "disagrees" in text)


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


def run(page, picture, sample="", values=None, visitor=None):
    return page.run(visitor or Visitor(), picture, sample, "each", "magma", None, *(values or quick()))


def test_run_shows_everything(page, file):
    shown = last(run(page, file))
    assert shown["status"] == "" and 'class="card"' in shown["answer"] and 'class="heat"' in shown["maps"]
    assert shown["analysis"].request.backbones == ("vit",) and "backbones=vit" in shown["query"]


def test_partial_answer_comes_before_the_maps(page, file):
    changes = list(run(page, file, values=values_of(Request("tiny", ("vit",), "mean", ("occlusion",)))))
    first_answer = next(i for i, change in enumerate(changes) if isinstance(change[RESULTS.index("answer")], str))
    first_map = next(i for i, change in enumerate(changes) if isinstance(change[RESULTS.index("maps")], str))
    assert first_answer < first_map


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


def test_a_sample_is_analysed_once_for_all_visitors(page, monkeypatch):
    path = str(page.samples["tiny"]["one"])
    first = last(run(page, path, "one"))
    monkeypatch.setattr(handlers_module, "analyse", lambda *args: pytest.fail("analysed again"))
    second = last(run(page, path, "one", visitor=Visitor("zh-CN")))
    assert first["analysis"] is second["analysis"] and "示例" in second["answer"]


def test_a_visitors_picture_is_never_kept(page, file):
    last(run(page, file))
    assert not page._opened


def test_slow_settings_wait_for_the_button(page, file):
    analysis = last(run(page, file))["analysis"]
    heavy = values_of(Request("tiny", ("vit",), "mean", ("occlusion",), None, Options(patches=32)))
    changes = list(page.run_if_quick(Visitor(), file, "", "each", "magma", analysis, *heavy))
    shown = last(changes)
    assert len(changes) == 1 and re.search(r"about \d+ s", shown["analyse"]["value"])
    assert shown["analyse"]["value"] in shown["status"] and "stale" in shown["status"]
    same = list(page.run_if_quick(Visitor(), file, "", "each", "magma", analysis, *quick()))
    assert last(same)["analysis"] is not None


def test_opening_follows_the_link(page):
    opened = page.open(Visitor(backbones="resnet", fusion="vote", sample="nowhere"))
    assert opened[PLAIN.index("backbones")]["value"] == ["resnet"] and opened[PLAIN.index("fusion")] == "vote"
    assert "sample" in opened[-1] and opened[-2].endswith("one.png")


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
    assert not isinstance(page.cancel(stranger), str)
    assert "Cancelled" in page.cancel(Visitor())
    assert "Cancelled" in last(running)["status"]
    assert not isinstance(page.cancel(Visitor()), str)


# The whole


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
    assert catalogue.suggested("flowers") == ["vit", "hybrid", "resnet"]
    rows = catalogue.get("imagenet", catalogue.suggested("imagenet"))
    assert len({row.family for row in rows}) == 3 and sum(row.bytes for row in rows) < 100e6
    assert len(catalogue.members("imagenet")) >= 14
