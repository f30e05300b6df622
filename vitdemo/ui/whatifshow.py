"""What the tab "What if" shows, as HTML: before and after, an attack, two classes side by side. Nothing of Gradio."""

from collections.abc import Mapping
from html import escape

import numpy as np
from PIL import Image

from vitdemo import draw, whatif
from vitdemo.explain import EXPLANATIONS
from vitdemo.pipeline import FUSED, Analysis
from vitdemo.types import Heat, NotOffered
from vitdemo.ui import render
from vitdemo.ui.text import Say, translated


def changes(before: Analysis, after: Analysis, say: Say, colours: Mapping[str, str], lead: str = "") -> str:
    """What everybody says before and after, and in words whether the answer changed."""
    chosen, now = whatif.first_choices(before), whatif.first_choices(after)
    main = next(iter(chosen))
    was, is_now = (render.short(before.labels[each[main]], say) for each in (chosen, now))
    chances = [float(each.probabilities(main)[chosen[main]]) for each in (before, after)]
    if chosen[main] == now[main]:
        words = say("whatif.same", label=was, before=render.percent(chances[0]), after=render.percent(chances[1]))
    else:
        words = say("whatif.changed", before=was, after=is_now)
    cards = "".join(_change_card(name, before, after, say, colours[name]) for name in chosen)
    return (
        f'<section class="wi-result" aria-live="polite"><p class="finding"><b>{escape(words)}</b> {escape(lead)}</p>'
        f'<div class="columns" style="--columns:{len(chosen)}">{cards}</div>'
        f'<p class="note">{escape(say("whatif.bars"))}</p></section>'
    )


def _change_card(name: str, before: Analysis, after: Analysis, say: Say, colour: str) -> str:
    was, now = before.probabilities(name), after.probabilities(name)
    first, last = int(was.argmax()), int(now.argmax())
    shown = list(dict.fromkeys([first, last, *np.argsort(-now, kind="stable")[:3].tolist()]))[:3]
    bars = "".join(
        f'<li><span class="label" title="{escape(render.label_of(before.labels[k], say))}">'
        f"{escape(render.short(before.labels[k], say))}</span>"
        f'<span class="bars" aria-hidden="true"><i class="was" style="width:{100 * was[k]:.1f}%"></i>'
        f'<i style="width:{100 * now[k]:.1f}%"></i></span>'
        f'<span class="value">{render.percent(float(was[k]))} → {render.percent(float(now[k]))}</span></li>'
        for k in shown
    )
    label, other = (render.short(before.labels[k], say) for k in (first, last))
    verdict = f"<b>{escape(f'{label} → {other}')}</b>" if first != last else escape(say("whatif.still", label=label))
    title = escape(say("fused")) if name == FUSED else f'<i class="dot"></i>{escape(name)}'
    return (
        f'<div class="card change" style="--colour:{colour}"><h3>{title}</h3><p class="turned">{verdict}</p>'
        f"<ol>{bars}</ol></div>"
    )


def two_maps(before: Analysis, after: Analysis, method: str, say: Say, spoken: str) -> str:
    """The fused map of the picture as it was and as it is, on one scale."""
    heats = [each.maps[FUSED][method] for each in (before, after)]
    drawn = [heat for heat in heats if isinstance(heat, Heat)]
    bounds = draw.limits(drawn) if drawn else None
    cells = "".join(
        _map(each.picture, heat, bounds, say(f"whatif.map.{when}", method=say(f"method.{method}")), say, spoken)
        for when, each, heat in zip(("before", "after"), (before, after), heats, strict=True)
    )
    target = render.short(before.labels[before.target], say)
    about = say("whatif.map.about", label=target) if EXPLANATIONS.get(method).class_specific else say("same_for_all")
    return f'<div class="columns wi-maps" style="--columns:2">{cells}</div><p class="note">{escape(about)}</p>'


def _map(
    picture: Image.Image,
    heat: Heat | NotOffered,
    bounds: tuple[float, float] | None,
    caption: str,
    say: Say,
    spoken: str,
    below: str = "",
) -> str:
    """A map over its picture with its colour bar, or why there is none."""
    head = f"<figcaption>{escape(caption)}</figcaption>"
    if isinstance(heat, NotOffered):
        reason = escape(say("not_offered", reason=translated(heat.reason, spoken)))
        return f'<figure class="cell none">{head}<p>{reason}</p></figure>'
    base = render.uri(draw.shrunk(picture, render.SIDE), "JPEG", quality=85)
    style = f"--picture:url('{base}');--ratio:{picture.width}/{picture.height}"
    source = render.uri(draw.layer(heat, bounds, side=render.SIDE), "WEBP")
    layers = f'<img class="heat" alt="{escape(caption)}" src="{source}">'
    if hatching := draw.unseen(heat, render.SIDE):
        layers += f'<img class="unseen" alt="" src="{render.uri(hatching, "WEBP", lossless=True)}">'
    stops = ",".join(draw.colour_bar(bounds[0] < 0))
    return (
        f'<figure class="cell" style="{style}">{head}<div class="stack">{layers}</div>'
        f'<div class="scale"><span>{bounds[0]:.1g}</span><i style="background:linear-gradient(90deg,{stops})"></i>'
        f'<span>{bounds[1]:.1g}</span></div><div class="figures">{escape(below)}</div></figure>'
    )


def misled(
    made: whatif.Attack, before: Analysis, after: Analysis, subject: str, say: Say, colours: Mapping[str, str]
) -> str:
    """An attack: who fell and who resists in words, the pictures, and what everybody said before and after."""
    times = f"{127.5 / max(made.epsilon, 1):.0f}"
    pictures = {
        say("whatif.original"): made.picture,
        say("whatif.perturbation", times=times): whatif.magnified(made.perturbation, made.epsilon),
        say("whatif.attacked", largest=made.largest): made.attacked,
    }
    figures = "".join(
        f'<figure class="cell" style="--ratio:{picture.width}/{picture.height}">'
        f"<figcaption>{escape(title)}</figcaption>"
        f'<img class="plain" alt="{escape(title)}" src="{render.uri(picture, "PNG")}"></figure>'
        for title, picture in pictures.items()
    )
    name = say("whatif.fused.of") if subject == FUSED else subject
    lead = say("whatif.made.for", name=name, method=made.method.upper(), epsilon=made.epsilon)
    return (
        f'<p class="finding" id="wi-verdict" role="status"><b>{escape(who_fell(before, after, say))}</b> '
        f'{escape(lead)}</p><div class="columns wi-maps" style="--columns:3">{figures}</div>'
        f"{changes(before, after, say, colours)}"
    )


def who_fell(before: Analysis, after: Analysis, say: Say) -> str:
    """In words, whether the fusion resists where its members fall."""
    was, now = whatif.first_choices(before), whatif.first_choices(after)
    fallen = [name for name in was if was[name] != now[name] and name != FUSED]
    names = say("comma").join(fallen)
    if FUSED not in was:
        return say("whatif.verdict.alone.falls" if fallen else "whatif.verdict.alone.stands", name=next(iter(was)))
    verdict = whatif.verdict(was, now, FUSED)
    if verdict == "falls" and not fallen:
        return say("whatif.verdict.only")
    return say(f"whatif.verdict.{verdict}", names=names)


def side_by_side(made: whatif.Contrast, name: str, say: Say, spoken: str, colours: Mapping[str, str]) -> str:
    """Rollout, then the method for each of two classes and for their difference: the fused model, and one backbone."""
    one, two = (render.short(each.labels[each.target], say) for each in (made.first, made.second))
    names = (
        [FUSED, name] if len(made.first.backbones) > 1 and name in made.first.maps else [made.first.backbones[0].name]
    )
    method = say(f"method.{made.method}")
    rows, alike = [], {}
    for subject in names:
        first, second = (each.maps[subject] for each in (made.first, made.second))
        between = made.between.maps[subject][made.method]
        for key, kind in (("rollout", "rollout"), (made.method, "method")):
            if isinstance(first[key], Heat) and isinstance(second[key], Heat):
                alike[subject, kind] = whatif.likeness(first[key], second[key])
        both = [heat for heat in (first[made.method], second[made.method]) if isinstance(heat, Heat)]
        shared = draw.limits(both) if both else None
        cells = [
            (first["rollout"], None, say("whatif.column.rollout"), "rollout"),
            (first[made.method], shared, say("whatif.column.for", method=method, label=one), "method"),
            (second[made.method], shared, say("whatif.column.for", method=method, label=two), "method"),
            (between, None, say("whatif.column.difference", first=one, second=two), ""),
        ]
        drawn = "".join(
            _map(
                made.first.picture,
                heat,
                bounds or (draw.limits([heat]) if isinstance(heat, Heat) else None),
                caption,
                say,
                spoken,
                say("whatif.alike", value=f"{alike[subject, kind]:.2f}") if (subject, kind) in alike else "",
            )
            for heat, bounds, caption, kind in cells
        )
        title = escape(say("fused")) if subject == FUSED else f'<i class="dot"></i>{escape(subject)}'
        rows.append(
            f'<div class="card" style="--colour:{colours[subject]}"><h3>{title}</h3></div>'
            f'<div class="columns wi-maps" style="--columns:4">{drawn}</div>'
        )
    found = [value for (_, kind), value in alike.items() if kind == "method"]
    key = "whatif.knows.none" if not found else "whatif.knows.same" if min(found) > 0.999 else "whatif.knows"
    words = say(key, method=method)
    return f'<p class="finding" id="wi-knows" role="status"><b>{escape(words)}</b></p>{"".join(rows)}' + (
        f'<p class="note">{escape(say("whatif.alike.about"))}</p>'
    )


def heading(name: str, say: Say) -> str:
    title, about = escape(say(f"whatif.{name}")), escape(say(f"whatif.{name}.reading"))
    return f'<section class="part"><h3>{title}</h3><p class="reading">{about}</p></section>'


def sentence(text: str, role: str = "status") -> str:
    return f'<p class="empty" role="{role}">{escape(text)}</p>'


def working(done: float, text: str) -> str:
    return (
        f'<div class="status" role="status"><progress max="1" value="{done:.3f}" aria-label="{escape(text)}">'
        f"</progress><span>{escape(text)}</span></div>"
    )
