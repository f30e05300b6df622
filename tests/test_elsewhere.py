"""What ImageNet says of a picture that was asked of a few classes."""

from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import paint
from vitdemo.backbones import IMAGENET, LITE0, Backbone, Catalogue
from vitdemo.elsewhere import elsewhere
from vitdemo.models import Models, imagenet_labels
from vitdemo.sources import Hub

ROW = next(row for row in IMAGENET if row.source == LITE0)


@pytest.fixture
def both(rows) -> Catalogue:
    return Catalogue([*rows.values(), ROW])


def test_it_is_the_first_choice_of_the_backbone_that_needs_no_network(both):
    models, picture = Models("cpu"), paint(80, 60)
    found = elsewhere(picture, "tiny", both, models)
    with models.use([ROW]) as (model,):
        logits = model.network(model.pixels([picture])).detach().numpy()[0]
    probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert (found.collection, found.backbone) == ("imagenet", "lite0")
    assert found.label == imagenet_labels()[int(logits.argmax())]
    assert found.probability == pytest.approx(probabilities.max(), abs=1e-5)


def test_nothing_is_said_where_nobody_can_say_it(rows, both):
    models, picture = Models("cpu"), paint(20, 20)
    assert elsewhere(picture, "imagenet", both, models) is None  # it was asked already
    assert elsewhere(picture, "tiny", Catalogue(rows.values()), models) is None
    far: Backbone = replace(ROW, source=Hub("timm/nowhere"))
    assert elsewhere(picture, "tiny", Catalogue([*rows.values(), far]), models) is None  # it would have to be fetched
    missing = replace(ROW, source=replace(LITE0, module="no_such_package"))
    assert elsewhere(picture, "tiny", Catalogue([*rows.values(), missing]), models) is None
