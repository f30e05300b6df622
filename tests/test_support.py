"""What is offered for which family of timm: measured here, written in the README.

`python -m tests.test_support` writes the table anew. Numbers of matrices come from two sides: those expected from the
modules of the architecture, those recorded from a forward pass.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.families import body, every_family, expected_matrices, pixels
from vitdemo.attention import Layout, Recorder, gradients_of, layout_of, relevance, rollout
from vitdemo.explain.cam import places_of

README = Path(__file__).parents[1] / "README.md"
MARKS = ("<!-- support -->", "<!-- /support -->")
PLAIN = {"ResNet", "RepVGG and kin", "ConvNeXt"}  # without attention


@dataclass(frozen=True)
class Support:
    """What was seen of one family."""

    recorded: int
    expected: int
    logits: float  # greatest difference of a recorded forward pass from a plain one, over the greatest logit
    rows: float  # greatest difference of a row's sum from 1
    layout: object
    sums: tuple[float, float]  # smallest and greatest sum of a rollout
    relevant: bool  # relevance is finite, not negative, and another for another class
    cam: bool


@cache
def support(family: str) -> Support:
    model, pictures = body(family), pixels(family)
    layout = layout_of(model, tuple(pictures.shape[-2:]))
    with torch.no_grad():
        plain = model(pictures)
        with Recorder() as recorder:
            kept = model(pictures)
    rows = [float((matrix.sum(-1) - 1).abs().max()) for matrix in recorder.matrices]
    sums, relevant = (0.0, 0.0), False
    if isinstance(layout, Layout):
        total = rollout(recorder.matrices, layout).sum((1, 2))
        sums = float(total.min()), float(total.max())
        maps = [relevance(*gradients_of(lambda k=k: model(pictures)[:, k].sum()), layout) for k in (0, 1)]
        different = not torch.allclose(*(one / one.amax() for one in maps), rtol=0, atol=0.01)
        relevant = different and all(torch.isfinite(one).all() and one.min() >= 0 for one in maps)
    return Support(
        len(recorder.matrices),
        expected_matrices(model),
        float((kept - plain).abs().max() / plain.abs().max()),
        max(rows, default=0.0),
        layout,
        sums,
        relevant,
        not isinstance(places_of(model), str),
    )


@pytest.mark.parametrize("family", every_family())
def test_what_is_offered_works(family):
    seen = support(family)
    assert seen.recorded == seen.expected
    assert (seen.recorded == 0) == (family in PLAIN)
    assert seen.logits < 1e-4
    assert seen.rows < 1e-5
    if isinstance(seen.layout, Layout):
        assert seen.layout.layers == seen.expected
        assert 0 < seen.sums[0] <= seen.sums[1] <= 1 + 1e-5
        assert seen.relevant
    else:
        assert len(seen.layout.reason) > 20


def test_as_many_families_as_promised():
    offered = [family for family in every_family() if isinstance(support(family).layout, Layout)]
    recorded = [family for family in every_family() if support(family).recorded]
    modules = {type(body(family)).__module__ for family in recorded}
    assert len(recorded) >= 30 and len(modules) >= 20
    assert len(offered) >= 16 and len({type(body(family)).__module__ for family in offered}) >= 12


def table() -> str:
    """The README's table."""
    lines = [
        "| family | for example | matrices | rollout, relevance | GradCAM | taken for granted, or why not |",
        "|---|---|--:|---|---|---|",
    ]
    for family, (architecture, _, _) in sorted(every_family().items(), key=_order):
        seen = support(family)
        here = isinstance(seen.layout, Layout)
        cells = (
            family,
            f"`{architecture}`",
            f"{seen.recorded} of {seen.expected}",
            seen.layout.kind if here else "refused",
            "yes" if seen.cam else "refused",
            seen.layout.note if here else seen.layout.reason,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _order(item: tuple) -> tuple:
    layout = support(item[0]).layout
    return ("exact", "extension", "refused").index(layout.kind if isinstance(layout, Layout) else "refused"), item[0]


def test_the_readme_tells_it():
    written = README.read_text(encoding="utf-8").split(MARKS[0])[1].split(MARKS[1])[0].strip()
    assert written == table(), "write it anew: python -m tests.test_support"


def main() -> None:
    """Writes the table into the README."""
    before, rest = README.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    README.write_text(f"{before}{MARKS[0]}\n{table()}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
