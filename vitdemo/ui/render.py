"""An analysis becomes HTML. No arithmetic beyond rounding, nothing of Gradio.

One column per subject, the fusion first, so that reading down is reading one backbone and reading across is comparing.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape

from PIL import Image

from vitdemo import draw
from vitdemo.backbones import Backbone
from vitdemo.elsewhere import Elsewhere
from vitdemo.explain import EXPLANATIONS
from vitdemo.explain.gradient import NEGLIGIBLE, TOLERANCE
from vitdemo.fusion import FUSIONS
from vitdemo.labels import first_name
from vitdemo.pipeline import FUSED, Analysis, Progress
from vitdemo.types import Heat, NotOffered
from vitdemo.ui import trust
from vitdemo.ui.text import Say, known, translated

# Okabe and Ito's colours, safe for the colour-blind, with a yellow that can be seen on white, and two more; a name
# always stands beside a colour. The fusion has the text's own.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#A89B00", "#8A63D2", "#7B4A12")
SIDE = 320  # pixels on the long side of a map on the page


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """A colour for each backbone of a collection, by name; they begin again after ten. The fusion has the text's."""
    return {FUSED: "var(--body-text-color)"} | {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}


def percent(probability: float) -> str:
    """A probability as a person says it: "97 %", "0.4 %", "< 0.1 %"."""
    value = 100 * probability
    if 0 < value < 0.1:
        return "< 0.1 %"
    return f"{value:.1f} %" if value < 1 and value else f"{value:.0f} %"


def answer(
    analysis: Analysis,
    say: Say,
    colours: Mapping[str, str],
    sample: bool = False,
    whence: str = "",
    spoken: str = "en",
) -> str:
    """The fused answer, who agrees, and each backbone's own five best classes and weight.

    Args:
        sample: whether the picture is one of the samples.
        whence: "prepared" or "kept" where nothing was computed for this visitor.
        spoken: the visitor's language.
    """
    label, probability = analysis.top(1)[0]
    ran = say(
        f"ran.{whence}" if whence else "ran",
        fusion=say(f"fusion.{analysis.request.fusion}"),
        count=len(analysis.backbones),
        device=analysis.device,
        seconds=f"{analysis.seconds:.1f}",
    )
    if sample:
        ran = f"{say('ran.sample')} · {ran}"
    agreement = say("agreement", percent=f"{100 * analysis.fused.agreement:.0f}")
    cards = [_card(analysis, FUSED, say, say("fused"), "", colours[FUSED])] if len(analysis.backbones) > 1 else []
    for row, weight in zip(analysis.backbones, analysis.fused.weights, strict=True):
        note = say("weight", weight=f"{100 * weight:.0f}") if weight > 0 else say("weight.none")
        about = f"{row.family} · {say('backbone.weights', millions=f'{row.parameters / 1e6:.1f}')}"
        cards.append(_card(analysis, row.name, say, row.name, note, colours[row.name], about))
    broken = "".join(
        f'<p class="broken" role="alert">{escape(say("broken", reason=translated(sentence, spoken)))}</p>'
        for sentence in analysis.broken.values()
    )
    return f"""<section class="answer" aria-live="polite">
  <h2><span class="top">{escape(short(label, say))} <b>{percent(probability)}</b></span>
    <span class="verdict">{escape(verdict(analysis, say))}</span></h2>
  <p class="ran"><span title="{escape(say("agreement.more"))}">{agreement}</span> · {escape(ran)}</p>
  {broken}<div class="columns" style="--columns:{len(cards)}">{"".join(cards)}</div>
</section>"""


def verdict(analysis: Analysis, say: Say) -> str:
    """Who agrees with the fused answer, in words."""
    if len(analysis.backbones) == 1:
        return say("agree.one")
    best = analysis.top(1)[0][0]
    others: dict[str, list[str]] = {}
    for row in analysis.backbones:
        own = analysis.top(1, row.name)[0][0]
        if own != best:
            others.setdefault(own, []).append(row.name)
    if not others:
        return say("agree.all", count=len(analysis.backbones))
    parts = [
        say(
            "agree.not",
            names=", ".join(names),
            verb=say("agree.disagrees" if len(names) == 1 else "agree.disagree"),
            label=short(label, say),
        )
        for label, names in others.items()
    ]
    return "; ".join(parts)


def _card(analysis: Analysis, name: str, say: Say, title: str, note: str, colour: str, about: str = "") -> str:
    bars = "".join(
        f'<li><span class="label" title="{escape(label_of(label, say))}">{escape(short(label, say))}</span>'
        f'<span class="bar" aria-hidden="true"><i style="width:{100 * probability:.1f}%"></i></span>'
        f'<span class="value">{percent(probability)}</span></li>'
        for label, probability in analysis.top(5, name)
    )
    return (
        f'<div class="card" style="--colour:{colour}"><h3 title="{escape(about)}">{_dot(name)}{escape(title)}'
        f"<small>{escape(note)}</small></h3><ol>{bars}</ol></div>"
    )


def _dot(name: str) -> str:
    return "" if name == FUSED else '<i class="dot"></i>'


def label_of(label: str, say: Say) -> str:
    """A class as people read it, who may have their own word for it. What is sent back stays the label."""
    return known(f"class.{label}", say, label)


def short(label: str, say: Say) -> str:
    """The first name of a class, as people read it."""
    return label_of(first_name(label), say)


def figure_name(name: str, say: Say) -> str:
    """What one of a map's own figures is called."""
    return known(f"raw.{name}", say, name.replace("_", " "))


def maps(
    analysis: Analysis,
    say: Say,
    language: str,
    colours: Mapping[str, str],
    scale: str,
    colour_map: str,
    coming: bool = False,
) -> str:
    """Every map over the picture, one row per method and one column per subject; or that they are not there, or not
    yet where they are `coming`."""
    if analysis.unfinished is not None:
        return f'<p class="empty">{say("maps.coming" if coming else "maps.missing")}</p>'
    if not analysis.request.explanations:
        return f'<p class="empty">{say("no_methods")}</p>'
    bounds = draw.scaled(analysis.maps, scale)
    base = uri(draw.shrunk(analysis.picture, SIDE), "JPEG", quality=85)
    shown = {name: each for name, each in analysis.maps.items() if name != FUSED or len(analysis.backbones) > 1}
    unit = f" {escape(say('unit.own'))}" if scale == "each" and len(shown) > 1 else ""
    rows = []
    for method in analysis.request.explanations:
        cells = "".join(
            _cell(analysis, say, language, name, colours[name], method, bounds.get((name, method)), colour_map)
            for name in shown
        )
        limits = f"{escape(say(f'method.{method}.limits'))} <cite>{escape(EXPLANATIONS.get(method).paper)}</cite>"
        about = f": {escape(question(analysis, say))}" if EXPLANATIONS.get(method).class_specific else ""
        rows.append(
            f'<section class="method"><h3>{say(f"method.{method}")}{about}</h3>'
            f'<span class="sentence">{escape(say(f"method.{method}.sentence"))}{unit}</span>'
            f'<details class="limits"><summary>{say("limits")}</summary>{limits}</details>'
            f'<div class="columns" style="--columns:{len(shown)}">{cells}</div></section>'
        )
    hatched = any('class="unseen"' in row for row in rows)
    note = f"{say('footnote')} {say('not_seen') if hatched else ''} {say('judge.reading') if analysis.trust else ''}"
    style = f"--picture:url('{base}');--ratio:{analysis.picture.width}/{analysis.picture.height}"
    words = " ".join(
        f'data-{name}="{escape(say(key))}"'
        for name, key in (
            ("close", "loupe.close"),
            ("download", "loupe.download"),
            ("figures", "loupe.figures"),
            ("scrutinise", "scrutiny"),
            ("scrutiny", "scrutiny.info"),
        )
    )
    return f'<div class="maps" style="{style}" {words}>{"".join(rows)}<p class="note">{note}</p></div>'


def question(analysis: Analysis, say: Say) -> str:
    """The class that maps are for, or the two that are compared."""
    target = short(analysis.labels[analysis.target], say)
    if analysis.against is None:
        return target
    return say("versus", target=target, against=short(analysis.labels[analysis.against], say))


def _cell(
    analysis: Analysis,
    say: Say,
    language: str,
    name: str,
    colour: str,
    method: str,
    bounds: tuple[float, float] | None,
    colour_map: str,
) -> str:
    subject = say("fused") if name == FUSED else name
    heat = analysis.maps[name][method]
    head = f'<figcaption style="--colour:{colour}">{_dot(name)}{escape(subject)}</figcaption>'
    if isinstance(heat, NotOffered):
        reason = escape(say("not_offered", reason=translated(heat.reason, language)))
        return f'<figure class="cell none">{head}<p>{reason}</p></figure>'
    alternative = escape(say("map_of", method=say(f"method.{method}"), subject=subject, target=question(analysis, say)))
    layers = f'<img class="heat" alt="{alternative}" src="{uri(draw.layer(heat, bounds, colour_map, SIDE), "WEBP")}">'
    hatching = draw.unseen(heat, SIDE)
    if hatching:
        layers += f'<img class="unseen" alt="" src="{uri(hatching, "WEBP", lossless=True)}">'
    judged = analysis.trust.get(name, {}).get(method)
    return (
        f'<figure class="cell" data-subject="{escape(name)}" data-method="{method}">{head}'
        f'<button type="button" class="stack" aria-haspopup="dialog" '
        f'title="{escape(say("enlarge"))}">{layers}</button>{_bar(heat, bounds, colour_map)}'
        f'<div class="figures">{_figures(analysis, say, heat, method)}</div>'
        f"{trust.block(judged, say) if judged else ''}{_raw(heat, say, language)}</figure>"
    )


def _raw(heat: Heat, say: Say, language: str) -> str:
    """What is shown beside an enlarged map: its figures as the method gave them, and what it takes for granted."""
    rows, columns = heat.values.shape
    figures = {
        say("raw.grid"): f"{rows} × {columns}",
        say("raw.lowest"): f"{heat.values.min():.3g}",
        say("raw.highest"): f"{heat.values.max():.3g}",
        say("raw.sum"): f"{heat.values.sum():.3g}",
    }
    figures |= {figure_name(name, say): f"{value:.4g}" for name, value in heat.figures.items()}
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in figures.items())
    note = f"<p>{escape(translated(heat.note, language))}</p>" if heat.note else ""
    return f'<div class="raw" hidden><dl>{listed}</dl>{note}</div>'


def _bar(heat: Heat, bounds: tuple[float, float], colour_map: str) -> str:
    """The colour bar, with the values at its ends."""
    stops = ",".join(draw.colour_bar(bounds[0] < 0, colour_map))
    return (
        f'<div class="scale"><span>{bounds[0]:.1g}</span>'
        f'<i style="background:linear-gradient(90deg,{stops})"></i><span>{bounds[1]:.1g}</span></div>'
    )


def _figures(analysis: Analysis, say: Say, heat: Heat, method: str) -> str:
    figures = heat.figures
    if "relative_error" in figures:
        difference = figures["picture"] - figures["baseline"]
        if abs(difference) < 1e-6:
            return say("adds_up.nothing")
        text = say("adds_up", sum=f"{100 * figures['sum']:+.1f}", difference=f"{100 * difference:+.1f}")
        if figures["relative_error"] > TOLERANCE and figures["error"] > NEGLIGIBLE:
            text += say("adds_up.off")
        more = say(
            "adds_up.more",
            target=short(analysis.labels[analysis.target], say),
            picture=f"{100 * figures['picture']:.1f}",
            baseline=f"{100 * figures['baseline']:.1f}",
            error=f"{100 * figures['relative_error']:.2g}",
            steps=f"{figures['steps']:.0f}",
        )
        return f"<details><summary>{escape(text)}</summary>{escape(more)}</details>"
    if "members" in figures and figures["members"] < figures["of"]:
        return escape(say("members", members=f"{figures['members']:.0f}", of=f"{figures['of']:.0f}"))
    return "" if EXPLANATIONS.get(method).class_specific else escape(say("same_for_all"))


def working(progress: Progress, say: Say, besides: str = "", kind: str = "working") -> str:
    """A bar and a sentence while the work goes on, and what else there is to say."""
    mapped = {
        "method": say(f"method.{progress.method}") if progress.method else "",
        "subject": say("fused") if progress.subject == FUSED else progress.subject,
    }
    words = {
        "fetching": {"subject": progress.subject, "done": f"{progress.fetched[0] / 1e6:.0f}",
                     "total": f"{progress.fetched[1] / 1e6:.0f}"},
        "explaining": mapped,
        "judging": mapped,
        "scrutinising": mapped,
    }.get(progress.stage, {})  # fmt: skip
    share = progress.fetched[0] / progress.fetched[1] if progress.fetched[1] else progress.done
    text = escape(say(f"working.{progress.stage}", **words))
    bar = f'<progress max="1" value="{share:.3f}" aria-label="{text}"></progress>'
    more = f"<span>{escape(besides)}</span>" if besides else ""
    return f'<div class="status {kind}" role="status">{bar}<span>{text}</span>{more}</div>'


def elsewhere(analysis: Analysis, other: Elsewhere | None, say: Say) -> str:
    """That the classes are all that is known here, and what another collection says."""
    told = say("elsewhere.only", count=len(analysis.labels))
    if other is not None:
        told += f" {say('elsewhere.says', label=short(other.label, say), percent=percent(other.probability))}"
    return f'<p class="elsewhere">{escape(told)}</p>'


def judging(progress: Progress, say: Say) -> str:
    """A bar and a sentence while maps that are there are judged."""
    return working(progress, say, kind="judging")


def line(text: str) -> str:
    """One quiet sentence."""
    return f'<div class="status judging" role="status"><span>{escape(text)}</span></div>'


def notice(text: str, kind: str = "") -> str:
    """One sentence above the results; kind "error" is read out at once."""
    role = "alert" if kind == "error" else "status"
    return f'<div class="status {kind}" role="{role}">{escape(text)}</div>' if text else ""


def hint(fusion: str, refused: Mapping[str, str], say: Say, language: str) -> str:
    """What the chosen fusion does, and its formula; then which fusions are not offered, and why."""
    entry = FUSIONS.get(fusion)
    paper = f" <cite>{escape(entry.paper)}</cite>" if entry.paper else ""
    return (
        f'<div class="hint"><span>{escape(say(f"fusion.{fusion}.sentence"))}</span> <details><summary>'
        f"{escape(say('hint.more'))}</summary> <code>{escape(entry.formula)}</code>{paper}</details></div>"
        f"{refusals(refused, say, language)}"
    )


def refusals(refused: Mapping[str, str], say: Say, language: str) -> str:
    """Which fusions are not offered, and why, the same reason only once."""
    reasons: dict[str, list[str]] = {}
    for name, reason in refused.items():
        reasons.setdefault(why_not(name, reason, language), []).append(say(f"fusion.{name}"))
    return "".join(
        f'<p class="hint">{escape(say("fusions.refused", names=say("comma").join(names), reason=reason))}</p>'
        for reason, names in reasons.items()
    )


def why_not(fusion: str, reason: str, language: str) -> str:
    """A refusal without the fusion's name, in the language."""
    return translated(reason.removeprefix(f"{FUSIONS.get(fusion).title} "), language)


def backbone_label(row: Backbone, here: bool, say: Say) -> str:
    """A backbone's name, and if it is not here, how much has to be fetched or what has to be typed."""
    if here:
        return row.name
    if command := row.source.command():
        return f"{row.name} · {say('backbone.command', command=command)}"
    return f"{row.name} · {say('backbone.download', megabytes=f'{row.megabytes:.0f}')}"


def fusion_label(name: str, say: Say) -> str:
    """A fusion's title, marked where it was fitted on pictures set aside."""
    title = say(f"fusion.{name}")
    return say("fusion.fitted", title=title) if FUSIONS.get(name).fitted else title


def uri(picture: Image.Image, kind: str, **options) -> str:
    """A picture as a data URI, for a page that fetches nothing."""
    buffer = io.BytesIO()
    settings: dict = {"quality": 88, "method": 2} if kind == "WEBP" else {}
    picture.save(buffer, kind, **(settings | options))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def order(names: Sequence[str], chosen: Sequence[str]) -> list[str]:
    """The chosen ones in the order of all names, so that a colour belongs to a backbone and not to a click."""
    return [name for name in names if name in set(chosen)]
