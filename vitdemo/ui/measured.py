"""The figures measured on a collection's test pictures, as `evaluate` wrote them, and how they become HTML."""

from collections.abc import Mapping
from html import escape

from vitdemo.charts import Bin, Point, amount, reliability, scatter
from vitdemo.ui.text import Say

COSTS = ("multiply_adds", "ms32", "ms1")
MEMBERS = ("fusions", "fusions_suggested")  # of all backbones, or of those that the page opens with
PAIRS = ("both_wrong", "error_correlation", "differ")


def everything(data: Mapping, members: str) -> dict[str, tuple[Mapping, bool]]:
    """Each backbone and each fusion by name, and whether it is a fusion."""
    backbones = {name: (row, False) for name, row in data["backbones"].items()}
    return backbones | {name: (row, True) for name, row in data.get(members, {}).items()}


def cost(row: Mapping, kind: str) -> float | None:
    """Multiply-adds of a picture, or milliseconds for it in batches of 32 or one at a time; None if not measured."""
    value = row["multiply_adds"] if kind == "multiply_adds" else (row.get("milliseconds") or {}).get(kind[2:])
    return float(value) if value else None


def title(name: str, fused: bool, say: Say) -> str:
    return say(f"fusion.{name}") if fused else name


def intro(data: Mapping, members: str, say: Say) -> str:
    """What was measured, and what came out: whether fusing pays here, said plainly."""
    best = data["best_single"]
    gains = {name: row["gain"] for name, row in data.get(members, {}).items() if row.get("gain")}
    better = [say(f"fusion.{name}") for name, gain in gains.items() if gain["low"] > 0]
    worse = [say(f"fusion.{name}") for name, gain in gains.items() if gain["high"] < 0]
    share = points(data["backbones"][best]["top1"]["value"])
    found = [say("compare.best", name=best, share=share)]
    of = say(f"members.{members}")
    if better:
        found.append(say("compare.better", names=say("comma").join(better), of=of))
    elif gains:
        found.append(say("compare.none_better", of=of))
    if worse:
        found.append(say("compare.worse", names=say("comma").join(worse), of=of))
    measured = say("compare.measured", pictures=data["pictures"])
    command = f"<code>{escape(data['command'])}</code>" if data.get("command") else ""
    return f'<p class="finding">{escape(" ".join(found))}</p><p class="reading">{escape(measured)} {command}</p>'


def points(share: float) -> str:
    return f"{100 * share:.1f}"


def accuracy_chart(data: Mapping, members: str, kind: str, colours: Mapping[str, str], say: Say) -> str:
    """Accuracy against cost, in a box of its own that scrolls where the screen is narrower than the drawing.

    A drawing as narrow as a telephone would push what costs the same far from its cost.
    """
    found = []
    for name, (row, fused) in everything(data, members).items():
        x = cost(row, kind)
        if x is not None:
            top1 = row["top1"]
            colour = "var(--body-text-color)" if fused else colours[name]
            found.append(Point(title(name, fused, say), x, top1["value"], top1["low"], top1["high"], colour, fused))
    if not found:
        return f'<p class="empty">{escape(say("compare.no_cost"))}</p>'
    best = data["best_single"]
    level = data["backbones"][best]["top1"]["value"], say("compare.level", name=best)
    heading = say("compare.accuracy")
    drawing = scatter(
        found,
        title=heading,
        description=say("compare.accuracy.about", what=say(f"cost.{kind}"), count=len(found)),
        x_title=say(f"cost.{kind}"),
        y_title=say("compare.top1"),
        width=880,
        height=400,
        level=level,
    )
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(heading)}">{drawing}</div>'


def table(data: Mapping, members: str, colours: Mapping[str, str], say: Say) -> str:
    """Every figure, best values in each column in bold."""
    rows = everything(data, members)
    heads = ("name", "top1", "gain", "nll", "ece", "parameters", "multiply_adds", "ms32", "ms1")
    best = {
        "top1": max(row["top1"]["value"] for row, _ in rows.values()),
        "nll": min(row["nll"] for row, _ in rows.values()),
        "ece": min(row["ece"] for row, _ in rows.values()),
    }
    lines = []
    for name, (row, fused) in rows.items():
        top1, gain = row["top1"], row.get("gain")
        taught = say("compare.taught", names=", ".join(row["student_of"])) if row.get("student_of") else ""
        cells = [
            _best(f"{points(top1['value'])} %", top1["value"] == best["top1"])
            + f" <small>{points(top1['low'])}–{points(top1['high'])}</small>",
            _gain(gain) if gain else "",
            _best(f"{row['nll']:.3f}", row["nll"] == best["nll"]),
            _best(f"{100 * row['ece']:.1f} %", row["ece"] == best["ece"]),
            amount(row["parameters"]),
            amount(row["multiply_adds"]),
            _milliseconds(row, "ms32"),
            _milliseconds(row, "ms1"),
        ]
        dot = '<i class="dot square"></i>' if fused else '<i class="dot"></i>'
        colour = "var(--body-text-color)" if fused else colours[name]
        about = row.get("family", "") if not fused else ""
        small = " · ".join(filter(None, [about, taught]))
        head = (
            f'<th scope="row" style="--colour:{colour}">{dot}{escape(title(name, fused, say))} <small>{escape(small)}'
        )
        kind = ' class="fused"' if fused else ""
        lines.append(f"<tr{kind}>{head}</small></th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = "".join(
        f'<th scope="col" title="{escape(say(f"column.{key}.about"))}">{escape(say(f"column.{key}"))}</th>'
        for key in heads
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(say("compare.table"))}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _best(text: str, is_best: bool) -> str:
    return f"<b>{text}</b>" if is_best else text


def _gain(gain: Mapping[str, float]) -> str:
    """The change against the best single backbone, in points, and its interval."""
    low, value, high = (f"{100 * gain[key]:+.1f}" for key in ("low", "value", "high"))
    return f"{_best(value, gain['low'] > 0)} <small>{low} … {high}</small>"


def _milliseconds(row: Mapping, kind: str) -> str:
    value = cost(row, kind)
    return "" if value is None else f"{value:.3g}"


def reliability_chart(data: Mapping, members: str, name: str, colours: Mapping[str, str], say: Say) -> str:
    """One backbone's or fusion's diagram, and what it comes to in words."""
    row, fused = everything(data, members)[name]
    bins = [Bin(each["confidence"], each["accuracy"], each["count"]) for each in row["reliability"]]
    count = sum(each.count for each in bins) or 1
    surer = sum(each.count * (each.confidence - each.accuracy) for each in bins) / count
    kind = "right" if abs(surer) < 0.005 else "over" if surer > 0 else "under"
    words = say(f"calibration.{kind}", name=title(name, fused, say), points=f"{100 * abs(surer):.1f}")
    drawing = reliability(
        bins,
        title=say("compare.reliability"),
        description=words,
        x_title=say("compare.confidence"),
        y_title=say("compare.right_share"),
        colour="var(--body-text-color)" if fused else colours[name],
    )
    ece = say("compare.ece", ece=f"{100 * row['ece']:.1f}")
    return f'<div class="beside">{drawing}<p class="reading">{escape(words)} {escape(ece)}</p></div>'


def matrix(data: Mapping, kind: str, colours: Mapping[str, str], say: Say) -> str:
    """What any two backbones have in common when they err: a number in every field, and a colour after it."""
    found = data["disagreement"]
    names, values = found["names"], found[kind]
    size, diagonal = range(len(names)), kind == "both_wrong"  # there, how often it errs at all
    most = max([0.0, *(values[i][j] for i in size for j in size if i != j or diagonal)]) or 1  # the strongest colour
    percent = kind != "error_correlation"

    def field(i: int, j: int) -> str:
        if i == j and not diagonal:
            return '<td class="self" aria-label="—">·</td>'
        value = values[i][j]
        text = f"{100 * value:.0f} %" if percent else f"{value:.2f}"
        return f'<td style="--share:{max(0, value) / most:.2f}">{text}</td>'

    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    lines = "".join(
        f'<tr><th scope="row" style="--colour:{colours[name]}"><i class="dot"></i>{escape(name)}</th>'
        f"{''.join(field(i, j) for j in range(len(names)))}</tr>"
        for i, name in enumerate(names)
    )
    pairs = [(values[i][j], names[i], names[j]) for i in range(len(names)) for j in range(i)]
    words = ""
    if len(pairs) > 1:
        (_, *alike), (_, *apart) = max(pairs), min(pairs)
        words = say(f"pairs.{kind}.words", most=" + ".join(alike), least=" + ".join(apart))
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(say("compare.pairs"))}">'
        f'<table class="heat"><thead><tr><td></td>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
        f'<p class="reading">{escape(words)}</p>'
    )
