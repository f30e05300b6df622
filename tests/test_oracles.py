"""The table of what explanations were checked against: how it is made, and that it misses none."""

import re

import numpy as np
import pytest
import torch

from tests.oracles import KEY, MARKS, README, Agreement, compare, summed_up, table, upwards
from vitdemo.explain import EXPLANATIONS


def test_the_greatest_difference_is_found_where_it_is():
    one = compare("map", "hand", torch.tensor([1.0, 2.0, -4.0]), [1.0, 2.5, -4.25], rtol=0.2, atol=0.5)
    assert one == Agreement("map", "hand", difference=0.5, allowed=1.0, greatest=4.25)
    assert compare("value", "hand", 0.25, torch.tensor(0.25)).difference == 0


@pytest.mark.parametrize(
    ("found", "expected"),
    [([1.0, 2.0], [1.0, 2.2]), ([1.0], [[1.0]]), ([np.nan], [np.nan]), ([np.inf], [np.inf]), ([], []), ([1.0], 1.0)],
)
def test_what_differs_by_more_or_cannot_be_compared_fails(found, expected):
    with pytest.raises(AssertionError):
        compare("map", "hand", found, expected, atol=0.1)


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0"), (2.1e-7, "3e-07"), (3e-7, "3e-07"), (9.5e-7, "1e-06"), (1e-6, "1e-06"), (0.25, "3e-01"), (42, "5e+01")],
)
def test_rounding_goes_up(value, written):
    assert upwards(value) == written


def test_each_kind_has_one_line_with_its_worst():
    agreements = [
        Agreement("b", "x", 1e-3, 1e-2, 10.0),
        Agreement("b", "x", 1e-4, 1e-2, 0.1),
        Agreement("A", "y", 0.0, 1e-6, 0.0),
    ]
    assert summed_up(agreements) == [("A", "y", "1", "0", "1e-06", "0"), ("b", "x", "2", "1e-03", "1e-02", "1e-03")]
    assert table(agreements).splitlines()[2] == "| A | y | 1 | 0 | 1e-06 | 0 |"


def test_a_comparison_is_remembered(oracle, pytestconfig):
    found = oracle("map", "hand", [1.0], [1.5], atol=1)
    assert pytestconfig.stash[KEY].pop() is found  # this one is none of the table's


def test_the_readme_has_every_explanation_within_what_is_allowed():
    written = README.read_text(encoding="utf-8").split(MARKS[0])[1].split(MARKS[1])[0]
    lines = [[cell.strip() for cell in re.split(r"\s\|\s", line.strip("| "))] for line in written.splitlines() if line]
    heads, rule, *rows = lines
    assert len(heads) == 6 and set("".join(rule)) <= set("|-: ")
    assert {row[0] for row in rows} >= {explanation.title for explanation in EXPLANATIONS}
    for name, against, count, difference, allowed, _ in rows:
        assert int(count) > 0 and float(difference) <= float(allowed), (name, against)
