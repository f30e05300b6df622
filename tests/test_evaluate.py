"""The figures of the measured tables, by hand and against scikit-learn; and a folder measured another way."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from sklearn.metrics import log_loss

from tests.conftest import LABELS, paint
from vitdemo.errors import PictureError, UnknownNameError, VitdemoError
from vitdemo.evaluate import ece, evaluate, list_pictures, nll, thinned, to_json, top1
from vitdemo.fusion import FUSIONS
from vitdemo.images import load
from vitdemo.predict import predict

THREE = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])  # right, wrong, right for the targets 0, 1, 1
TARGETS = np.array([0, 1, 1])


def random_opinions(count: int = 500, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.dirichlet(np.full(classes, 0.3), count), rng.integers(0, classes, count)


def test_by_hand():
    assert top1(THREE, TARGETS) == pytest.approx(2 / 3)
    assert nll(THREE, TARGETS) == pytest.approx(-(np.log(0.9) + np.log(0.4) + np.log(0.7)) / 3)
    # with 15 bins each is alone in its bin: |1 - 0.9|, |0 - 0.6|, |1 - 0.7|
    assert ece(THREE, TARGETS) == pytest.approx((0.1 + 0.6 + 0.3) / 3)
    # with 1 bin: | 2/3 - (0.9 + 0.6 + 0.7) / 3 |
    assert ece(THREE, TARGETS, bins=1) == pytest.approx(abs(2 / 3 - 2.2 / 3))
    # with 2 bins all confidences lie in (0.5, 1], with 5 bins 0.6 belongs to (0.4, 0.6] and 0.7 to (0.6, 0.8]
    assert ece(THREE, TARGETS, bins=2) == pytest.approx(abs(2 / 3 - 2.2 / 3))
    assert ece(THREE, TARGETS, bins=5) == pytest.approx((0.1 + 0.6 + 0.3) / 3)


def test_nll_is_scikit_learns_log_loss():
    probabilities, targets = random_opinions()
    assert nll(probabilities, targets) == pytest.approx(log_loss(targets, probabilities, labels=range(7)), rel=1e-9)
    certain = np.eye(3)[[0, 1, 2]]  # the last is certain of the wrong class
    assert nll(certain, [0, 1, 1]) == pytest.approx(log_loss([0, 1, 1], certain, labels=range(3)), rel=1e-9)


def test_ece_is_the_sum_of_its_definition():
    probabilities, targets = random_opinions()
    confidence, right = probabilities.max(-1), probabilities.argmax(-1) == targets
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert ece(probabilities, targets) == pytest.approx(expected)
    assert ece(np.eye(4)[[0, 1, 2]], np.array([0, 1, 2])) == 0  # sure and right
    assert ece(np.eye(4)[[0, 1, 2]], np.array([1, 2, 3])) == 1  # sure and wrong


@pytest.fixture
def folder(tmp_path):
    """Three pictures of each class, and what should be passed over."""
    for index, label in enumerate(LABELS):
        (tmp_path / label).mkdir()
        for number in range(3):
            paint(60, 50, seed=10 * index + number).save(tmp_path / label / f"{number}.png")
    (tmp_path / "ant" / "notes.txt").write_text("six legs")
    (tmp_path / ".cache").mkdir()
    return tmp_path


def test_a_folder_measured_another_way(folder, rows, models):
    chosen = [rows[name] for name in ("vit", "resnet")]
    seen = []
    table = evaluate(folder, chosen, FUSIONS.names(), models, batch=5, report=lambda done, of: seen.append((done, of)))
    assert (table.pictures, table.collection, table.device) == (12, "tiny", "cpu")
    assert seen == [(0, 12), (5, 12), (10, 12), (12, 12)]
    targets = np.repeat(np.arange(4), 3)
    pictures = [load(folder / label / f"{number}.png") for label in LABELS for number in range(3)]
    with models.use(chosen) as loaded:
        alone = np.stack([[predict(m, m.pixels([p])).probabilities[0] for p in pictures] for m in loaded])
    for row, probabilities in zip(chosen, alone, strict=True):
        scores = table.backbones[row.name]
        assert scores.top1 == top1(probabilities, targets)
        exact = probabilities.astype(float) / probabilities.sum(-1, keepdims=True, dtype=float)
        assert scores.nll == pytest.approx(log_loss(targets, exact, labels=range(4)), rel=1e-4)
        assert scores.ece == pytest.approx(ece(probabilities, targets), abs=1e-4)
        assert scores.milliseconds > 0
    mean = alone.mean(0)
    assert table.fusions["mean"].top1 == top1(mean, targets)
    assert table.fusions["mean"].nll == pytest.approx(nll(mean, targets), rel=1e-4)
    together = sum(scores.milliseconds for scores in table.backbones.values())
    assert all(scores.milliseconds > together for scores in table.fusions.values())
    assert list(table.fusions) == FUSIONS.names()
    document = json.loads(json.dumps(to_json(table), allow_nan=False))
    assert document["version"] == 1 and document["backbones"]["vit"] == asdict(table.backbones["vit"])


def test_a_limit_keeps_every_class(folder, rows, models):
    kept = thinned(list_pictures(folder, LABELS), 4)
    assert [target for _, target in kept] == [0, 1, 2, 3]
    assert thinned(range(7), 100) == list(range(7)) and thinned(range(7), None) == list(range(7))
    assert evaluate(folder, [rows["vit"]], ["vote"], models, limit=4).pictures == 4
    for wrong in (0, -3):
        with pytest.raises(VitdemoError, match=f"limit is {wrong}; allowed: 1 or more"):
            evaluate(folder, [rows["vit"]], [], models, limit=wrong)


def test_folders_have_to_be_the_classes(folder, rows, models):
    def says(text):
        with pytest.raises(VitdemoError, match=text):
            evaluate(folder, [rows["vit"]], [], models)

    (folder / "emu").mkdir()
    says("has a folder 'emu', which is no class; allowed: ant, bee, cat, dog")
    (folder / "emu").rmdir()
    (folder / "dog").rename(folder / ".dog")
    says("has no folder 'dog'; expected one per class: ant, bee, cat, dog")
    with pytest.raises(
        VitdemoError, match=r"There is no folder .*; expected one with a folder per class: ant, bee, cat, dog"
    ):
        evaluate(folder / "ant" / "0.png", [rows["vit"]], [], models)


def test_empty_folders_hold_no_picture(tmp_path):
    for label in LABELS:
        (tmp_path / label).mkdir()
    with pytest.raises(VitdemoError, match="hold no picture"):
        list_pictures(tmp_path, LABELS)


def test_what_cannot_be_read_is_named(folder, rows, models):
    (folder / "cat" / "broken.jpg").write_text("not a picture")
    with pytest.raises(PictureError, match=r"In the folder 'cat': 'broken.jpg' is not a picture"):
        evaluate(folder, [rows["vit"]], [], models)


def test_wrong_numbers_and_names(folder, rows, models):
    with pytest.raises(VitdemoError, match="batch is 0; allowed: 1 to 1024"):
        evaluate(folder, [rows["vit"]], [], models, batch=0)
    with pytest.raises(UnknownNameError, match="Unknown fusion 'sum'"):
        evaluate(folder, [rows["vit"]], ["sum"], models)
