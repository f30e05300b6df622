"""How far explanations lie from their oracles: captum, grad-cam, scikit-learn, NumPy, closed forms, finite differences.

A test compares through the fixture `oracle`, and pytest's summary ends with the greatest difference for each of them.
`python -m tests.oracles` runs the tests that compare and writes the table into the README.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parents[1] / "README.md"
MARKS = ("<!-- oracles -->", "<!-- /oracles -->")


@dataclass(frozen=True)
class Agreement:
    """One comparison, at the entry where the two differ most."""

    name: str  # what was explained or measured
    against: str
    difference: float
    allowed: float  # there
    greatest: float  # absolute value that the oracle has anywhere


KEY = pytest.StashKey[list[Agreement]]()


def compare(name: str, against: str, found, expected, rtol: float = 0.0, atol: float = 0.0) -> Agreement:
    """Holds |found - expected| <= atol + rtol |expected| everywhere.

    Args:
        name: what was found.
        against: the oracle.
        found: numbers in any shape, an array or a tensor.
        expected: the same of the oracle.
        rtol: share of the expected value by which they may differ.
        atol: by how much they may differ besides.

    Returns:
        By how much they differ at most.

    Raises:
        AssertionError: they have other shapes, are not finite, or differ by more.
    """
    found, expected = (np.asarray(each, np.float64) for each in (found, expected))
    assert found.shape == expected.shape and found.size
    assert np.isfinite(found).all() and np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol, err_msg=f"{name} against {against}")
    difference = np.abs(found - expected)
    at = np.unravel_index(difference.argmax(), difference.shape)
    allowed = atol + rtol * np.abs(expected[at])
    return Agreement(name, against, float(difference[at]), float(allowed), float(np.abs(expected).max()))


def upwards(value: float) -> str:
    """One significant digit, rounded up: 2.1e-7 is "3e-07", and nothing is "0"."""
    if value == 0:
        return "0"
    power = floor(log10(value))
    digit = int(np.ceil(value / 10.0**power * (1 - 1e-9)))
    return f"{digit}e{power:+03d}" if digit < 10 else f"1e{power + 1:+03d}"


def summed_up(agreements: Iterable[Agreement]) -> list[tuple[str, ...]]:
    """A line for each name and oracle: comparisons, the greatest difference, what was allowed there, and the greatest
    share of the greatest value."""
    kinds: dict[tuple[str, str], list[Agreement]] = {}
    for one in agreements:
        kinds.setdefault((one.name, one.against), []).append(one)
    lines = []
    for (name, against), each in sorted(kinds.items(), key=lambda kind: [part.casefold() for part in kind[0]]):
        worst = max(each, key=lambda one: one.difference)
        share = max(one.difference / one.greatest if one.greatest else one.difference for one in each)
        lines.append((name, against, str(len(each)), upwards(worst.difference), f"{worst.allowed:.0e}", upwards(share)))
    return lines


def table(agreements: Iterable[Agreement]) -> str:
    """The README's table."""
    lines = [
        "| what | against | compared | differs by at most | allowed there | of the greatest value |",
        "|---|---|--:|--:|--:|--:|",
        *(f"| {' | '.join(line)} |" for line in summed_up(agreements)),
    ]
    return "\n".join(lines)


class Collector:
    """A plugin that runs the tests that compare, and keeps what they did."""

    agreements: tuple[Agreement, ...] = ()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if "oracle" in getattr(item, "fixturenames", ())]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.agreements = tuple(session.config.stash.get(KEY, ()))


def main() -> None:
    """Runs the tests that compare, and writes their table into the README."""
    collector = Collector()
    here = Path(__file__).parent
    failed = pytest.main(["-q", str(here), "--ignore", str(here / "e2e")], plugins=[collector])
    if failed:
        raise SystemExit(failed)
    before, rest = README.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    README.write_text(f"{before}{MARKS[0]}\n{table(collector.agreements)}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    from tests import oracles  # the module that the fixture imports, whose key is another than this one's

    oracles.main()
