"""What a card tells of a network, and how concentrated an attention is."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from tests.conftest import LABELS, paint
from vitdemo import listing
from vitdemo.backbones import IMAGENET, bundled
from vitdemo.cards import card_of
from vitdemo.evaluate import attending
from vitdemo.evaluate.metrics import per_class
from vitdemo.models import Models
from vitdemo.training import origins_of
from vitdemo.training.recipes import RECIPES
from vitdemo.ui import networks
from vitdemo.ui.text import speaker
from vitdemo.weights import Fetcher


def test_what_became_of_each_class_is_scikit_learns_confusion_matrix():
    rng = np.random.default_rng(3)
    probabilities, targets = rng.dirichlet(np.ones(5), 200), rng.integers(0, 5, 200)
    wanted = confusion_matrix(targets, probabilities.argmax(1), labels=range(5))
    for label, one in enumerate(per_class(probabilities, targets)):
        row = np.zeros(5, int)
        row[label] = one.right
        for other, count in one.taken_for:
            row[other] = count
        assert (row == wanted[label]).all() and one.count == wanted[label].sum()
        counts = [count for _, count in one.taken_for]
        assert counts == sorted(counts, reverse=True) and 0 not in counts


def test_a_class_without_a_picture_has_none_right():
    one = per_class(np.array([[0.9, 0.1]]), np.array([0]))
    assert (one[1].count, one[1].right, one[1].taken_for) == (0, 0, ())


def test_the_share_of_concentrated_rows_is_counted():
    """Three rows of four spread evenly and one on a single token, in one of two heads: an eighth."""
    attention = torch.full((1, 2, 4, 20), 1 / 20)
    attention[0, 1, 2] = 0.05 / 19
    attention[0, 1, 2, 7] = 0.95
    assert attending.share(attention) == pytest.approx(1 / 8)
    assert math.isnan(attending.share(attention[..., :15]))  # too few to choose from


def test_concentration_by_layer(catalogue):
    rows = catalogue.get("tiny", ["vit", "resnet"])
    with Models("cpu").use(rows) as (vit, resnet):
        found = attending.concentrated(vit, vit.pixels([paint(96, 64)]))
        assert len(found) == len(vit.network.body.blocks) and all(0 <= one <= 1 for one in found)
        assert attending.concentrated(resnet, resnet.pixels([paint(96, 64)])) == ()


@pytest.fixture
def measured():
    return {
        "labels": ["<daisy>", *LABELS[1:]],
        "backbones": {
            "vit": {
                "per_class": [{"count": 10, "right": 7, "taken_for": [[2, 2], [1, 1]]}]
                + [{"count": 5, "right": 5, "taken_for": []} for _ in LABELS[1:]],
                "concentrated": [0.25, None],
            }
        },
    }


def test_a_card_tells_where_a_network_errs(catalogue, measured):
    row = catalogue.get("tiny", ["vit"])[0]
    card = card_of(row, measured)
    assert card.classes[0].taken_for == {LABELS[2]: 2, LABELS[1]: 1} and card.classes[1].right == 5
    assert card.confusions == (("<daisy>", LABELS[2], 2), ("<daisy>", LABELS[1], 1))
    assert card.concentrated == (0.25, None)
    unknown = card_of(replace(row, name="other"), measured)
    assert unknown.classes is unknown.confusions is unknown.concentrated is None and card_of(row, None).classes is None
    told = networks.cards([(row, card)], {"vit": "#123456"}, speaker("en"))
    assert f"&lt;daisy&gt; taken for {LABELS[2]}: 2" in told and "25 %, –." in told and "<daisy>" not in told


@pytest.mark.parametrize("row", bundled(), ids=lambda row: row.name)
def test_a_bundled_network_says_whose_weights_it_began_with(row):
    """What the file says is what the recipes say, followed back through those of ours."""
    card = card_of(row, None)
    assert list(card.provenance) == origins_of(RECIPES[row.name].start)
    assert card.licence and card.pictures and card.command == f"python -m vitdemo train {row.name} --data flowers"
    assert set(card.taught_by) == set(RECIPES[row.name].teacher)


def test_cards_are_in_the_list_for_programs():
    rows = [*bundled(), IMAGENET[0]]
    for row, one in zip(rows, listing.backbones(rows, Fetcher()), strict=True):
        assert one["card"]["name"] == row.name and one["card"]["licence"] == row.licence
    assert one["card"]["pictures"] == "ImageNet-1k" and one["card"]["classes"] is None
