"""The report and the lines of Python: self-contained, complete, in every language, and what they say comes true."""

import io
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import paint
from tests.html import Page
from vitdemo import draw, images, result
from vitdemo.backbones import default_catalogue
from vitdemo.explain import EXPLANATIONS, Options
from vitdemo.models import Models
from vitdemo.pipeline import Request, analyse
from vitdemo.samples import FOLDER
from vitdemo.script import script
from vitdemo.ui import permalink, render, report
from vitdemo.ui.text import LANGUAGES, speaker

ROOT = Path(__file__).parents[1]
NAMES = ("vit", "resnet")
WHEN = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
REQUEST = Request("tiny", NAMES, explanations=("rollout", "gradient"), options=Options(seed=3), trust=True)


@pytest.fixture(scope="module")
def analysis(catalogue):
    return analyse(paint(80, 60), REQUEST, catalogue, Models("cpu"))


def composed(analysis, language: str = "en", **look) -> report.Report:
    return report.compose(analysis, language, render.colours_of(NAMES), WHEN, name="noise.png", **look)


@pytest.mark.parametrize("language", LANGUAGES)
def test_html_stands_alone_and_says_everything(analysis, language):
    document = report.html(composed(analysis, language))
    reader, say = Page(document), speaker(language)
    assert reader.tags[0] == ("html", {"lang": language})
    sources = [attributes["src"] for tag, attributes in reader.tags if tag == "img"]
    assert len(sources) == 1 + 5  # the picture, three gradients, two rollouts: the convolutional network has none
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not re.search(r"https?://|<script|<link|@import|url\(", document)
    assert all(attributes["alt"] for tag, attributes in reader.tags if tag == "img")
    assert "prefers-color-scheme: dark" in document and "size: A4" in document
    for label, probability in analysis.top(4):
        assert label in reader.text and render.percent(probability) in reader.text
    for name, weight in zip(NAMES, analysis.fused.weights, strict=True):
        assert name in reader.text and say("weight", weight=f"{100 * weight:.0f}") in reader.text
    for method in REQUEST.explanations:
        assert say(f"method.{method}") in reader.text and say(f"method.{method}.limits") in reader.text
        assert EXPLANATIONS.get(method).paper in reader.text
    assert say("agreement", percent=f"{100 * analysis.fused.agreement:.0f}") in reader.text
    assert say("report.licences") in reader.text and "vit: Apache-2.0" in reader.text
    assert "2026-05-04 12:30 UTC" in reader.text and f"torch {result.versions()['torch']}" in reader.text


def test_every_map_has_its_bar_and_what_it_is_worth(analysis):
    methods = composed(analysis).methods
    bounds = draw.scaled(analysis.maps, "each")
    for method, entry in zip(REQUEST.explanations, methods, strict=True):
        for subject, one in zip(("fused", *NAMES), entry.maps, strict=True):
            if (subject, method) not in bounds:
                assert one.picture is None and "no attention" in one.lines[0]
                continue
            assert one.bounds == tuple(f"{edge:.2g}" for edge in bounds[subject, method])
            assert one.lines[0] == analysis.trust[subject][method].word
            assert one.colours == tuple(draw.colour_bar(bounds[subject, method][0] < 0))


def test_it_is_drawn_as_the_page_draws(analysis):
    with_map = composed(analysis, colour_map="cividis", opacity=1.0).methods[0].maps[1].picture
    without = composed(analysis, opacity=0.0).methods[0].maps[1].picture
    plain = draw.shrunk(analysis.picture)
    assert np.abs(np.asarray(with_map, int) - np.asarray(plain, int)).max() > 50
    box = analysis.maps["vit"]["rollout"].view.box
    inside = (slice(int(box[1]) + 1, int(box[3]) - 1), slice(int(box[0]) + 1, int(box[2]) - 1))
    np.testing.assert_array_equal(np.asarray(without)[inside], np.asarray(plain)[inside])


def test_what_a_stranger_named_is_escaped(analysis):
    document = report.html(report.compose(analysis, "en", render.colours_of(NAMES), WHEN, name='<b>"x"'))
    assert '<b>"x"' not in document and "&lt;b&gt;" in document


@pytest.mark.parametrize("language", LANGUAGES)
def test_png_has_everything_in_one_picture(analysis, language):
    spoken = report.drawable(language)
    assert spoken == language or draw.font_file(language) is None
    image = Image.open(io.BytesIO(report.png(composed(analysis, spoken))))
    assert image.size[0] == report.WIDTH and image.size[1] > 1000
    pixels = np.asarray(image.convert("L"))
    assert (pixels[:, : report.MARGIN - 1] == 255).all() and (pixels[:, -report.MARGIN + 1 :] == 255).all()
    assert (pixels < 128).any(axis=1).sum() > 300


def test_one_backbone_without_maps(catalogue, models, picture):
    analysis = analyse(picture, Request("tiny", ("vit",), explanations=()), catalogue, models)
    reader = Page(report.html(composed(analysis)))
    assert [tag for tag, _ in reader.tags].count("img") == 1 and "One backbone" in reader.text
    assert Image.open(io.BytesIO(report.png(composed(analysis)))).height < 1400


@pytest.mark.parametrize(
    "text", ["a few words that go on and on", "一段没有空格的中文文字需要换行", "averyveryverylongword x", ""]
)
def test_lines_fit_and_nothing_is_lost(text):
    lines = report.wrapped(text, lambda piece: 10 * len(piece), 80)
    assert all(10 * len(line) <= 80 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_the_commit_is_read_from_gits_files(tmp_path):
    assert result.commit_of(tmp_path) == ""
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"# pack-refs\n{'a' * 40} refs/heads/main\n{'c' * 40} refs/heads/main2\n")
    assert result.commit_of(tmp_path) == "a" * 40
    (git / "refs" / "heads" / "main").write_text("b" * 40 + "\n")
    assert result.commit_of(tmp_path) == "b" * 40
    (git / "HEAD").write_text("d" * 40 + "\n")
    assert result.commit_of(tmp_path) == "d" * 40


# Copy as Python


def test_the_lines_make_the_same_analysis_again(tmp_path):
    """In a process of its own, on a sample, with options that are not as usual."""
    options = Options(baseline="white", steps=2, discard=0.25)
    wanted = Request("flowers", ("vit", "resnet"), "geometric", ("rollout",), "tulips", options)
    sample = "tulips.jpg"
    first = analyse(images.load(FOLDER / sample), wanted, default_catalogue(), Models("cpu"))
    (tmp_path / "again.py").write_text(script(first, sample), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "again.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    again = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    here = result.to_json(first)
    for name in ("vit", "resnet"):
        assert again["backbones"][name] == here["backbones"][name]  # to the last digit
    assert again["fused"] == here["fused"] and again["settings"] == here["settings"] | {
        key: list(value) for key, value in here["settings"].items() if isinstance(value, tuple)
    }
    maps = np.load(tmp_path / "maps.npz")
    np.testing.assert_array_equal(maps["vit/rollout/raw"], first.maps["vit"]["rollout"].values)
    assert f"'{here['fused']['top']}'" in done.stdout


def test_a_visitors_picture_and_a_hosts_backbone_are_asked_for(analysis):
    lines = script(analysis, added=("vit",))
    compile(lines, "again.py", "exec")
    assert 'images.load("picture.jpg")' in lines and "vit=local-dir:PATH" in lines and "default_catalogue" not in lines
    assert "options=Options(seed=3)" in lines and "trust=True" in lines and "target" not in lines


# Links


@pytest.mark.parametrize(
    ("query", "display"),
    [
        ({}, ("each", "magma", 0.6)),
        ({"scale": "all", "colours": "cividis", "opacity": "0.25"}, ("all", "cividis", 0.25)),
        ({"scale": "<script>", "colours": "jet", "opacity": "7"}, ("each", "magma", 0.6)),
        ({"opacity": "nan"}, ("each", "magma", 0.6)),
        ({"opacity": "1"}, ("each", "magma", 1.0)),
        ({"opacity": "0"}, ("each", "magma", 0.0)),
    ],
)
def test_a_link_says_how_maps_are_drawn(query, display):
    assert permalink.display_of(query) == display
