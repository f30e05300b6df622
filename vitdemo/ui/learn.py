"""The tab "Learn": twelve steps from a picture to a fused answer, each with a drawing and an example on the page.

The lesson is data (`LESSON`); its words stand in `text/lesson_en.py` and `text/lesson_zh.py` under the same keys. The
server sends it once, with a small sample picture, and asks no network: drawings are made in the browser (`learn.js`),
from the visitor's picture where there is one. After the lesson stands what a network without labels makes of pictures
that are mostly hidden: a file that `python -m vitdemo.training.pretrain mae --figure FILE --samples` wrote.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from types import ModuleType

import gradio as gr
from PIL import Image

from vitdemo import recorded
from vitdemo.samples import FOLDER, shipped
from vitdemo.ui import measured, render
from vitdemo.ui.shared import QUIET, Shared
from vitdemo.ui.text import lesson_en, lesson_zh, speaker
from vitdemo.ui.visitor import language

SPOKEN: Mapping[str, ModuleType] = {"en": lesson_en, "zh-CN": lesson_zh}
SAMPLE_SIDE = 256  # pixels; what the drawings work on
RECONSTRUCTIONS = recorded.FOLDER / "mae.webp"
MASKED = "He et al. 2022, Masked Autoencoders Are Scalable Vision Learners"
CENTRE = "80"  # token of a patch near the middle of a 12 x 12 grid: the first is the class token, and counts as 1


@dataclass(frozen=True)
class Step:
    """One step of the lesson, and its example on the page."""

    key: str  # of its words, and of its drawing in `learn.js`
    tab: str  # where its example is
    mark: str  # CSS selector of what it speaks of there
    formula: str
    source: str  # the paper that the formula is from, "" where the step's words say it
    settings: Mapping[str, str] = field(default_factory=dict)  # as in a link; lists are ticked, nothing is unticked


LESSON = (
    Step(
        "picture",
        "analyse",
        "#picture",
        "x ∈ {0, …, 255}^(H × W × 3)",
        "",
    ),
    Step(
        "patches",
        "attention",
        ".att-stage canvas",
        "N = (H / P) · (W / P)",
        "Dosovitskiy et al. 2021, An Image is Worth 16x16 Words, section 3.1",
        {"layer": "1", "head": "mean", "token": CENTRE},
    ),
    Step(
        "tokens",
        "attention",
        ".att-chips",
        "z₀ = [x_class; x₁E; x₂E; …; x_N E] + E_pos",
        "Dosovitskiy et al. 2021, equation 1",
        {"layer": "1", "head": "mean", "token": "1"},
    ),
    Step(
        "qkv",
        "attention",
        ".att-arithmetic",
        "q = z W_q,  k = z W_k,  v = z W_v;  score_j = q · k_j / √d",
        "Vaswani et al. 2017, Attention Is All You Need, section 3.2.1",
        {"layer": "1", "head": "1", "token": CENTRE},
    ),
    Step(
        "head",
        "attention",
        ".att-stage canvas",
        "a_j = exp(score_j) / Σᵢ exp(score_i);  output = Σ_j a_j v_j",
        "Vaswani et al. 2017, equation 1",
        {"layer": "2", "head": "2", "token": CENTRE},
    ),
    Step(
        "heads",
        "attention",
        ".att-overview",
        "MSA(z) = [head₁; head₂; …; head_h] W_O",
        "Vaswani et al. 2017, section 3.2.2",
        {"layer": "2", "head": "3", "token": CENTRE},
    ),
    Step(
        "layers",
        "attention",
        ".att-depth",
        "z′ = z + MSA(LN(z));  z″ = z′ + MLP(LN(z′))",
        "Dosovitskiy et al. 2021, equations 2 and 3",
        {"layer": "12", "head": "mean", "token": "1"},
    ),
    Step(
        "rollout",
        "attention",
        "#att-play",
        "Ã_l = ½ A_l + ½ I;  R = Ã_L · … · Ã₂ · Ã₁",
        "Abnar and Zuidema 2020, Quantifying Attention Flow in Transformers, section 3",
        {"layer": "12", "head": "mean", "token": "1"},
    ),
    Step(
        "proof",
        "analyse",
        "#target",
        "effect of token j = a_j · (v_j · w)",
        "compare Jain and Wallace 2019, Attention is not Explanation",
        {"explanations": "rollout,grad_cam"},
    ),
    Step(
        "gradients",
        "analyse",
        "#maps .method:has(.figures details)",
        "IG_i = (x_i − x′_i) · ∫₀¹ ∂F(x′ + α (x − x′)) / ∂x_i dα",
        "Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks, equation 1",
        {"explanations": "integrated_gradients"},
    ),
    Step(
        "fusion",
        "compare",
        "#compare-this",
        "p = Σ_b w_b · p_b,  Σ_b w_b = 1",
        "the mean rule of Kittler et al. 1998, On Combining Classifiers, with weights",
    ),
    Step(
        "robustness",
        "whatif",
        "#wi-attack",
        "x_attack = x + ε · sign(∂L(x, y) / ∂x)",
        "Goodfellow et al. 2015, Explaining and Harnessing Adversarial Examples, section 3",
    ),
)


def build(shared: Shared) -> dict:
    """The tab; it needs nothing of the page and the page needs nothing of it."""
    waiting = " / ".join(spoken.WORDS["coming"] for spoken in SPOKEN.values())
    place = gr.HTML(f'<p class="empty">{escape(waiting)}</p>', elem_id="learn")

    def show(request: gr.Request) -> str:
        return lesson(language(request))

    opened = gr.on(None, show, None, place, **QUIET)  # when the page opens
    opened.then(None, None, None, js="() => vitdemo.learn.begin()")
    return {}


def lesson(language: str) -> str:
    """The whole lesson as HTML, with all that the browser needs to draw.

    Args:
        language: a key of `SPOKEN`.
    """
    spoken = SPOKEN[language]
    words = {**spoken.WORDS, **{f"drawing.{key}": text for key, text in spoken.DRAWING.items()}}
    words |= {f"tab.{name}": speaker(language)(f"tab.{name}") for name in ("learn", *(step.tab for step in LESSON))}
    jumps = "".join(
        f'<li><button type="button" data-jump="{index}"><b>{index + 1}</b> <span>{_text(step, "title", spoken)}</span>'
        "</button></li>"
        for index, step in enumerate(LESSON)
    )
    steps = "".join(_step(step, index, spoken) for index, step in enumerate(LESSON))
    return (
        f'<div class="learn" data-words="{escape(json.dumps(words))}" data-sample="{sample()}">'
        f'<nav class="jumps" aria-label="{escape(spoken.WORDS["steps"])}"><ol>{jumps}</ol></nav>'
        f'<div class="lesson">{steps}{_turning(spoken)}</div>'
        f"{unlabelled(language, recorded.measured('flowers'))}{_glossary(spoken)}</div>"
    )


def _step(step: Step, index: int, spoken: ModuleType) -> str:
    title = f"learn-{step.key}"
    words = spoken.WORDS
    return (
        f'<section class="step" data-key="{step.key}" data-tab="{step.tab}" data-mark="{escape(step.mark)}" '
        f'data-settings="{escape(json.dumps(dict(step.settings)))}" aria-labelledby="{title}">'
        f'<p class="progress">{escape(words["progress"].format(step=index + 1, steps=len(LESSON)))}</p>'
        f'<h2 id="{title}" tabindex="-1">{_text(step, "title", spoken)}</h2>'
        f'<div class="both"><div class="words"><p>{_text(step, "text", spoken)}</p>'
        f'<p class="look"><b>{escape(words["look"])}</b> <span>{_text(step, "look", spoken)}</span></p>'
        f'<p><button type="button" class="show" data-show="{index}">{escape(words["show"])}</button></p>'
        f"{_question(step, spoken)}"
        f'<details class="formula"><summary>{escape(words["formula"])}</summary>'
        f'<p class="maths">{escape(step.formula)}</p><p>{_text(step, "formula", spoken)}</p>'
        f"<p>{_source(step, spoken)}</p></details></div>"
        f'<figure class="drawing"><div class="stage"></div><figcaption>{_text(step, "drawing", spoken)} '
        f'<small class="whose"></small></figcaption></figure></div></section>'
    )


def _text(step: Step, part: str, spoken: ModuleType) -> str:
    return escape(spoken.STEPS[step.key][part])


def _source(step: Step, spoken: ModuleType) -> str:
    """Where the formula is from: a paper, whose name stays as it is, or in words."""
    return f'<cite lang="en">{escape(step.source)}</cite>' if step.source else _text(step, "source", spoken)


def _question(step: Step, spoken: ModuleType) -> str:
    if "question" not in spoken.STEPS[step.key]:
        return ""
    return (
        f'<div class="question"><p><b>{escape(spoken.WORDS["question"])}</b> {_text(step, "question", spoken)}</p>'
        f"<details><summary>{escape(spoken.WORDS['answer'])}</summary><p>{_text(step, 'answer', spoken)}</p></details>"
        "</div>"
    )


def _turning(spoken: ModuleType) -> str:
    """Back, how far, and on."""
    words = spoken.WORDS
    return (
        f'<div class="turning"><button type="button" data-turn="-1">{escape(words["previous"])}</button>'
        f'<progress max="{len(LESSON)}" value="1" aria-label="{escape(words["steps"])}"></progress>'
        f'<button type="button" data-turn="1">{escape(words["next"])}</button></div>'
    )


def unlabelled(language: str, figures: Mapping | None) -> str:
    """What a masked pre-training made of drawn pictures, and what came of it.

    Args:
        language: a key of `SPOKEN`.
        figures: what was measured on the flowers, as `recorded.measured` gives it; None leaves that sentence out.
    """
    words = SPOKEN[language].UNLABELLED
    with Image.open(RECONSTRUCTIONS) as sheet:
        width, height = sheet.size
    source = f"data:image/webp;base64,{base64.b64encode(RECONSTRUCTIONS.read_bytes()).decode()}"
    texts = [words["text"], words["honest"]]
    rows = figures["backbones"] if figures else {}
    if {"vit", "vit_mae"} <= set(rows):
        share = {name: measured.points(rows[name]["top1"]["value"]) for name in ("vit", "vit_mae")}
        texts.append(words["measured"].format(pictures=figures["pictures"], **share))
    columns = "".join(f"<span>{escape(words[key])}</span>" for key in ("seen", "guessed", "whole"))
    return (
        f'<article class="unlabelled" aria-labelledby="learn-unlabelled">'
        f'<h2 id="learn-unlabelled">{escape(words["title"])}</h2><div class="both"><div class="words">'
        f"{''.join(f'<p>{escape(text)}</p>' for text in texts)}"
        f'<p><cite lang="en">{escape(MASKED)}</cite></p></div>'
        f'<figure><figcaption aria-hidden="true">{columns}</figcaption>'
        f'<img src="{source}" width="{width}" height="{height}" alt="{escape(words["alt"])}"></figure></div></article>'
    )


def _glossary(spoken: ModuleType) -> str:
    terms = "".join(
        f"<div><dt>{escape(term)}</dt><dd>{escape(sentence)}</dd></div>" for term, sentence in spoken.GLOSSARY.values()
    )
    return (
        f'<details class="glossary"><summary>{escape(spoken.WORDS["glossary"])}</summary>'
        f'<p class="reading">{escape(spoken.WORDS["glossary.reading"])}</p><dl>{terms}</dl></details>'
    )


def sample() -> str:
    """The first sample picture as a small data URI, for drawings while there is no other picture."""
    with Image.open(FOLDER / shipped()[0].file) as picture:
        small = picture.convert("RGB").resize((SAMPLE_SIDE, SAMPLE_SIDE), Image.Resampling.LANCZOS)
    return render.uri(small, "JPEG", quality=85)
