"""The figures of the measured tables: by hand, against scikit-learn and SciPy, and a folder measured another way.

The bundled results are checked against themselves: every figure that follows from others has to follow.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, matthews_corrcoef
from timm.layers import set_fused_attn, use_fused_attn
from torch import nn

from tests import families
from tests.conftest import LABELS, paint
from vitdemo.backbones import BUNDLED, bundled, default_catalogue, read_sidecar
from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.evaluate import (
    HEAD,
    evaluate,
    fitting_folder,
    independent,
    lines,
    list_pictures,
    measured_folder,
    thinned,
    to_json,
)
from vitdemo.evaluate.cost import milliseconds, multiply_adds
from vitdemo.evaluate.measure import best_single
from vitdemo.evaluate.metrics import Interval, bootstrap, brier, disagreement, ece, interval, nll, reliability, top1
from vitdemo.fusion import FUSIONS, evidence_of
from vitdemo.images import load
from vitdemo.predict import predict

ROOT = Path(__file__).parents[1]
THREE = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])  # right, wrong, right for the targets 0, 1, 1
TARGETS = np.array([0, 1, 1])


def random_opinions(count: int = 500, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.dirichlet(np.full(classes, 0.3), count), rng.integers(0, classes, count)


# -- metrics -------------------------------------------------------------------------------------------------


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
    # each right or wrong twice over, once for either class
    assert brier(THREE, TARGETS) == pytest.approx(2 * (0.1**2 + 0.6**2 + 0.3**2) / 3)


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


def test_top1_and_brier_are_scikit_learns():
    probabilities, targets = random_opinions()
    assert top1(probabilities, targets) == accuracy_score(targets, probabilities.argmax(-1))
    each = [brier_score_loss(targets == label, probabilities[:, label]) for label in range(7)]
    assert brier(probabilities, targets) == pytest.approx(sum(each))
    assert brier(np.eye(3)[[0]], np.array([1])) == 2  # the worst there is


def test_reliability_is_scikit_learns_calibration_curve():
    probabilities, targets = random_opinions()
    filled = [each for each in reliability(probabilities, targets) if each.count]
    right = probabilities.argmax(-1) == targets
    accuracy, confidence = calibration_curve(right, probabilities.max(-1), n_bins=15)
    np.testing.assert_allclose([each.accuracy for each in filled], accuracy)
    np.testing.assert_allclose([each.confidence for each in filled], confidence)
    assert sum(each.count for each in filled) == len(targets)
    empty = reliability(THREE, TARGETS)[0]
    assert (empty.count, empty.confidence, empty.accuracy) == (0, 0, 0)


def test_bootstrap_is_scipys():
    rng = np.random.default_rng(5)
    values = rng.random((2, 90)) < [[0.8], [0.7]]
    means = bootstrap(values, resamples=400, seed=7)
    assert means.shape == (2, 400)
    kind = {"n_resamples": 400, "confidence_level": 0.9, "method": "percentile", "vectorized": True}
    for row, drawn in zip(values, means, strict=True):
        expected = stats.bootstrap((row.astype(float),), np.mean, rng=np.random.default_rng(7), **kind)
        np.testing.assert_array_equal(drawn, expected.bootstrap_distribution)
        ours = interval(row.mean(), drawn, level=0.9)
        assert (ours.low, ours.high) == pytest.approx(tuple(expected.confidence_interval), abs=1e-12)
    gained = stats.bootstrap(  # of pairs: the same resamples for both
        tuple(values.astype(float)),
        lambda a, b, axis: np.mean(a, axis) - np.mean(b, axis),
        paired=True,
        rng=np.random.default_rng(7),
        **kind,
    )
    ours = interval(values[0].mean() - values[1].mean(), means[0] - means[1], level=0.9)
    assert (ours.low, ours.high) == pytest.approx(tuple(gained.confidence_interval), abs=1e-12)


def test_bootstrap_comes_out_the_same_however_it_is_cut(monkeypatch):
    values = np.random.default_rng(0).random((3, 50)) < 0.6
    whole = bootstrap(values)
    assert whole.shape == (3, 2000)
    np.testing.assert_array_equal(whole, bootstrap(values))
    np.testing.assert_array_equal(whole[1], bootstrap(values[1]))  # alone as in company
    monkeypatch.setattr("vitdemo.evaluate.metrics.CHUNK", 700)
    np.testing.assert_array_equal(whole, bootstrap(values))
    assert not np.array_equal(whole, bootstrap(values, seed=1))


def test_a_bootstrap_interval_is_about_the_binomial_one():
    right = np.arange(608) < 500
    ours = interval(right.mean(), bootstrap(right))
    wilson = stats.binomtest(500, 608).proportion_ci(method="wilson")
    assert (ours.low, ours.high) == pytest.approx((wilson.low, wilson.high), abs=0.005)
    assert interval(1.0, bootstrap(np.ones(9))) == Interval(1.0, 1.0, 1.0)


def test_disagreement_is_scikit_learns_phi():
    rng = np.random.default_rng(1)
    targets = rng.integers(0, 4, 300)
    choices = np.where(rng.random((3, 300)) < 0.6, targets, rng.integers(0, 4, (3, 300)))
    said = disagreement(("a", "b", "c"), choices, targets)
    for i, a in enumerate(choices):
        for j, b in enumerate(choices):
            assert said.differ[i, j] == pytest.approx(np.mean(a != b))
            assert said.both_wrong[i, j] == pytest.approx(np.mean((a != targets) & (b != targets)))
            assert said.error_correlation[i, j] == pytest.approx(matthews_corrcoef(a != targets, b != targets))
    # one never errs: nothing can be said of how it errs with others
    never = disagreement(("a", "b"), np.stack([targets, choices[0]]), targets)
    np.testing.assert_allclose(never.error_correlation, [[0, 0], [0, 1]])
    assert matthews_corrcoef(np.zeros(300, bool), choices[0] != targets) == 0
    assert never.differ[0, 1] == never.both_wrong[1, 1] == np.mean(choices[0] != targets)


# -- cost ----------------------------------------------------------------------------------------------------


def test_multiply_adds_of_layers_in_closed_form():
    assert multiply_adds(nn.Linear(5, 7), torch.zeros(3, 5)) == 3 * 5 * 7
    pixels = torch.zeros(1, 4, 9, 9)
    assert multiply_adds(nn.Conv2d(4, 8, 3, stride=2), pixels) == 4 * 4 * 8 * 4 * 9  # outputs, channels, window
    assert multiply_adds(nn.Conv2d(4, 8, 3, padding=1, groups=4), pixels) == 9 * 9 * 8 * 9


def test_multiply_adds_of_a_transformer_in_closed_form():
    """Embedding; in each block query, key, value, both products of attention, projection, MLP of four times; head."""
    patches, tokens, width, depth, classes = 16, 17, 24, 2, 5
    block = tokens * 3 * width**2 + 2 * tokens**2 * width + tokens * width**2 + 2 * tokens * 4 * width**2
    expected = patches * 3 * 8 * 8 * width + depth * block + width * classes
    assert multiply_adds(families.body("ViT"), families.pixels("ViT", count=1)) == expected
    assert multiply_adds(families.body("ViT"), families.pixels("ViT", count=2)) == 2 * expected


def test_attention_is_counted_fused_or_not():
    fused = use_fused_attn()
    try:
        counted = []
        for switch in (True, False):
            set_fused_attn(switch)
            model = timm.create_model("vit_tiny_patch16_224", num_classes=5, **families.SMALL).eval()
            assert model.blocks[0].attn.fused_attn == switch
            counted.append(multiply_adds(model, families.pixels("ViT", count=1)))
    finally:
        set_fused_attn(bool(fused), experimental=fused == 2)
    assert counted[0] == counted[1] > 0


def test_times_are_of_every_model_at_every_batch(tiny):
    times = np.array(milliseconds([tiny["vit"], tiny["resnet"]], batches=(1, 2), rounds=2))
    assert times.shape == (2, 2) and (times > 0).all()


# -- a folder ------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Three pictures of each class, and what should be passed over."""
    for index, label in enumerate(LABELS):
        (tmp_path / label).mkdir()
        for number in range(3):
            paint(60, 50, seed=10 * index + number).save(tmp_path / label / f"{number}.png")
    (tmp_path / "ant" / "notes.txt").write_text("six legs")
    (tmp_path / "ant" / "._0.png").write_bytes(b"\0\5\26\7" + bytes(100))  # as a Mac leaves them on memory sticks
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / ".cache").mkdir()
    return tmp_path


def test_a_folder_measured_another_way(folder, rows, models):
    chosen = [rows[name] for name in ("vit", "resnet")]
    seen = []
    table = evaluate(
        folder,
        chosen,
        FUSIONS.names(),
        models,
        batch=5,
        report=lambda done, of: seen.append((done, of)),
        groups={"fusions": ["vit", "resnet"], "fusions_suggested": ["resnet"]},
        rounds=2,
    )
    assert (table.pictures, table.collection, table.device, table.labels) == (12, "tiny", "cpu", LABELS)
    assert seen == [(0, 12), (5, 12), (10, 12), (12, 12)]
    targets = np.repeat(np.arange(4), 3)
    pictures = [load(folder / label / f"{number}.png") for label in LABELS for number in range(3)]
    with models.use(chosen) as loaded:
        alone = np.stack([[predict(m, m.pixels([p])).probabilities[0] for p in pictures] for m in loaded])
        costs = [multiply_adds(m.network, m.pixels(pictures[:1])) for m in loaded]
    right = alone.argmax(-1) == targets
    for row, probabilities, cost in zip(chosen, alone, costs, strict=True):
        scores = table.backbones[row.name]
        assert scores.top1.value == top1(probabilities, targets)
        exact = probabilities.astype(float) / probabilities.sum(-1, keepdims=True, dtype=float)
        assert scores.nll == pytest.approx(log_loss(targets, exact, labels=range(4)), rel=1e-4)
        assert scores.ece == pytest.approx(ece(probabilities, targets), abs=1e-4)
        assert scores.brier == pytest.approx(brier(probabilities, targets), abs=1e-4)
        assert (scores.parameters, scores.multiply_adds, scores.seed) == (row.parameters, cost, None)
        assert all(value > 0 for value in scores.milliseconds.values())
    assert table.best_single == "resnet"  # by its row, whatever it does here
    every = table.groups["fusions"]
    refused = {name for name in FUSIONS.names() if FUSIONS.get(name).refuse(evidence_of(chosen))}
    assert "mean" not in refused and set(every.refused) == refused
    assert list(every.fusions) == [name for name in FUSIONS.names() if name not in refused]
    mean = every.fusions["mean"]
    correct = alone.mean(0).argmax(-1) == targets
    assert mean.top1.value == correct.mean()
    assert mean.gain == interval(
        correct.mean() - right[1].mean(), np.subtract(*bootstrap(np.stack([correct, right[1]])))
    )
    assert mean.nll == pytest.approx(nll(alone.mean(0), targets), rel=1e-4)
    assert mean.weights == {"vit": 0.5, "resnet": 0.5}
    assert (mean.members, mean.multiply_adds) == (("vit", "resnet"), sum(costs))
    alike = table.groups["fusions_suggested"].fusions["mean"]  # of one member: that member
    assert (alike.top1, alike.weights) == (table.backbones["resnet"].top1, {"resnet": 1.0})
    assert alike.gain == Interval(0, 0, 0)
    for batch in ("1", "32"):
        together = sum(scores.milliseconds[batch] for scores in table.backbones.values())
        assert all(scores.milliseconds[batch] > together for scores in every.fusions.values())
        assert table.backbones["vit"].milliseconds[f"ratio_{batch}"] == 1
    assert table.disagreement.differ[0, 1] == np.mean(alone[0].argmax(-1) != alone[1].argmax(-1))
    document = json.loads(json.dumps(to_json(table, "what was typed"), allow_nan=False))
    assert document["version"] == 2 and document["command"] == "what was typed"
    named = ["vit", "resnet", *every.fusions, *(f"{name} of resnet" for name in document["fusions_suggested"])]
    assert [line[0] for line in lines(document)] == named and {len(line) for line in lines(document)} == {len(HEAD)}
    consistent(document)


def test_figures_come_out_the_same_again(folder, rows, models):
    """In other company and in other batches too."""
    both = to_json(evaluate(folder, [rows["vit"], rows["resnet"]], [], models, rounds=1))
    alone = to_json(evaluate(folder, [rows["resnet"]], [], models, batch=12, rounds=1))
    for figure in ("top1", "nll", "ece", "brier", "reliability", "multiply_adds"):
        assert both["backbones"]["resnet"][figure] == alone["backbones"]["resnet"][figure], figure


def test_students_are_measured_but_not_fused(folder, rows, models):
    student = replace(rows["resnet"], name="student", accuracy=0.99, student_of=("vit", "resnet"))
    chosen = [rows["vit"], rows["resnet"], student]
    assert independent(chosen) == ["vit", "resnet"] and independent([student]) == ["student"]
    table = evaluate(folder, chosen, ["mean"], models, rounds=1)
    assert table.backbones["student"].student_of == ("vit", "resnet")
    assert table.groups["fusions"].fusions["mean"].members == ("vit", "resnet")
    assert table.best_single == "student"  # a fusion has to be better than it too


def test_who_is_best_is_known_beforehand(rows):
    unknown = replace(rows["vit"], name="unknown", accuracy=float("nan"))
    first, second = (replace(rows["vit"], name=name, accuracy=0.8) for name in ("first", "second"))
    assert best_single([unknown, first, second]) == "first" and best_single([unknown]) == "unknown"


def test_a_sidecar_names_the_teachers(rows, tmp_path):
    for path in (*rows["vit"].source.paths, BUNDLED / "vit.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    sidecar = json.loads((tmp_path / "vit.json").read_text())
    (tmp_path / "vit.json").write_text(json.dumps(sidecar | {"student_of": ["a", "b"]}))
    assert read_sidecar(tmp_path / "vit.json").student_of == ("a", "b") and rows["vit"].student_of == ()


def test_splits_are_found(tmp_path):
    for name in ("test", "val", "test/ant"):
        (tmp_path / name).mkdir()
    assert measured_folder(tmp_path, LABELS) == tmp_path / "test"
    assert measured_folder(tmp_path / "test", LABELS) == tmp_path / "test"
    assert measured_folder(tmp_path, ("test", "val")) == tmp_path  # these are classes
    assert fitting_folder(tmp_path, LABELS) == tmp_path / "val"
    for given in (tmp_path / "test", tmp_path / "val" / ".." / "test", tmp_path, tmp_path / "test" / "ant"):
        with pytest.raises(VitdemoError, match="allowed: to fit on pictures that are not measured"):
            fitting_folder(tmp_path, LABELS, given)
    with pytest.raises(VitdemoError, match="expected DIR/val, or --fit DIR"):
        fitting_folder(tmp_path / "test", LABELS)


def test_a_limit_keeps_every_class(folder, rows, models):
    kept = thinned(list_pictures(folder, LABELS), 4)
    assert [target for _, target in kept] == [0, 1, 2, 3]
    assert thinned(range(7), 100) == list(range(7)) and thinned(range(7), None) == list(range(7))
    assert evaluate(folder, [rows["vit"]], ["vote"], models, limit=4, rounds=1).pictures == 4
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


def test_what_cannot_be_read_is_named_and_left_out(folder, rows, models):
    (folder / "cat" / "broken.jpg").write_text("not a picture")
    for path in (folder / "dog").iterdir():
        path.unlink()
    table = evaluate(folder, [rows["vit"]], [], models, rounds=1)
    assert table.pictures == 9 and table.empty == ("dog",)
    (broken,) = table.broken
    assert broken.path == folder / "cat" / "broken.jpg" and "'broken.jpg' is not a picture" in broken.reason
    said = to_json(table)
    assert said["broken"] == [{"picture": "cat/broken.jpg", "reason": broken.reason}] and said["empty"] == ["dog"]


def test_a_folder_of_nothing_but_broken_pictures(tmp_path, rows, models):
    for label in LABELS:
        (tmp_path / label).mkdir()
        (tmp_path / label / "a.jpg").write_text("not a picture")
    with pytest.raises(VitdemoError, match=r"None of 4 pictures can be read: .*a\.jpg.* is not a picture"):
        evaluate(tmp_path, [rows["vit"]], [], models)


def test_wrong_numbers_and_names(folder, rows, models):
    with pytest.raises(VitdemoError, match="batch is 0; allowed: 1 to 1024"):
        evaluate(folder, [rows["vit"]], [], models, batch=0)
    with pytest.raises(UnknownNameError, match="Unknown fusion 'sum'"):
        evaluate(folder, [rows["vit"]], ["sum"], models)


# -- the bundled results -------------------------------------------------------------------------------------


def entries(document: dict) -> Iterator[dict]:
    for part in ("backbones", "fusions", "fusions_suggested"):
        yield from document[part].values()


def consistent(document: dict) -> None:
    """Fails unless what follows from other figures of a document follows."""
    pictures, backbones = document["pictures"], document["backbones"]
    assert document["best_single"] in backbones and document["bootstrap"] == {
        "resamples": 2000,
        "seed": 0,
        "level": 0.95,
    }
    plain = backbones.get("vit", next(iter(backbones.values())))["milliseconds"]
    for one in entries(document):
        top = one["top1"]
        assert 0 <= top["low"] <= top["value"] <= top["high"] <= 1
        assert top["value"] * pictures == pytest.approx(round(top["value"] * pictures), abs=1e-3)
        assert len(one["reliability"]) == 15 and sum(each["count"] for each in one["reliability"]) == pictures
        assert all(not each["confidence"] and not each["accuracy"] for each in one["reliability"] if not each["count"])
        bins = one["reliability"]
        gaps = sum(each["count"] * abs(each["accuracy"] - each["confidence"]) for each in bins) / pictures
        assert one["ece"] == pytest.approx(gaps, abs=1e-5)
        assert sum(each["count"] * each["accuracy"] for each in bins) / pictures == pytest.approx(
            top["value"], abs=1e-5
        )
        assert one["nll"] > 0 and 0 < one["brier"] < 2 and one["multiply_adds"] > 0
        for batch in ("1", "32"):
            ratio = one["milliseconds"][batch] / plain[batch]
            assert one["milliseconds"][f"ratio_{batch}"] == pytest.approx(ratio, rel=1e-3)
    best = backbones[document["best_single"]]["top1"]["value"]
    for part in ("fusions", "fusions_suggested"):
        for one in document[part].values():
            assert one["gain"]["value"] == pytest.approx(one["top1"]["value"] - best, abs=2e-6)
            assert one["gain"]["low"] <= one["gain"]["value"] <= one["gain"]["high"]
            assert list(one["weights"]) == one["members"] and sum(one["weights"].values()) == pytest.approx(1, abs=1e-4)
            for figure in ("parameters", "multiply_adds"):
                assert one[figure] >= sum(backbones[name][figure] for name in one["members"])
    wrong = document["disagreement"]
    assert wrong["names"] == list(backbones)
    for key, most in (("differ", 1), ("both_wrong", 1), ("error_correlation", 1)):
        matrix = np.array(wrong[key], dtype=float)
        np.testing.assert_array_equal(matrix, matrix.T)
        assert matrix.shape == (len(backbones),) * 2 and np.abs(matrix).max() <= most
    np.testing.assert_allclose(
        np.diag(wrong["both_wrong"]), [1 - one["top1"]["value"] for one in backbones.values()], atol=2e-6
    )
    assert not np.diag(wrong["differ"]).any()


@pytest.fixture(scope="module")
def measured() -> dict:
    return json.loads((ROOT / "assets" / "results" / "flowers.json").read_text(encoding="utf-8"))


def test_bundled_results_are_consistent(measured):
    consistent(measured)
    assert (measured["version"], measured["collection"], measured["split"]) == (2, "flowers", "test")
    assert measured["pictures"] == 608 and "limit" not in measured["command"]


def test_bundled_results_are_of_what_is_bundled(measured):
    rows = {row.name: row for row in bundled()}
    assert set(measured["backbones"]) == set(rows)
    for name, one in measured["backbones"].items():
        row = rows[name]
        assert (one["family"], one["parameters"], one["student_of"]) == (row.family, row.parameters, [*row.student_of])
        assert one["seed"] == row.details["recipe"]["seed"]
        assert one["top1"]["value"] == pytest.approx(row.details["test_accuracy"], abs=1e-4)
        assert measured["labels"] == list(row.labels)
    assert measured["best_single"] == best_single(list(rows.values()))
    assert set(measured["fusions"]) | set(measured["refused"]) == set(FUSIONS.names())
    assert set(measured["fusions_suggested"]) | set(measured["refused_suggested"]) == set(FUSIONS.names())
    members = {tuple(one["members"]) for one in measured["fusions"].values()}
    assert members == {tuple(name for name in rows if not rows[name].student_of)}
    suggested = {tuple(one["members"]) for one in measured["fusions_suggested"].values()}
    assert suggested == {tuple(default_catalogue().suggested("flowers"))}


def test_the_readme_says_what_was_measured(measured):
    """Every figure of the table, read back."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    body = text.split("<!-- evaluate -->")[1].split("<!-- /evaluate -->")[0].strip().splitlines()
    rows = {
        cells[0]: cells[1:] for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in body[2:])
    }
    known = measured["backbones"] | measured["fusions"]
    for name, one in measured["fusions_suggested"].items():
        known[f"{name} of {', '.join(one['members'])}"] = one
    assert set(measured["backbones"]) | set(measured["fusions"]) <= set(rows) <= set(known)
    for name, cells in rows.items():
        one = known[name]
        value, low, high = map(float, re.fullmatch(r"([\d.]+) \(([\d.]+)–([\d.]+)\)", cells[0]).groups())
        assert value == round(one["top1"]["value"], 4)
        assert (low, high) == (round(one["top1"]["low"], 3), round(one["top1"]["high"], 3))
        assert [float(cell) for cell in cells[1:3]] == [round(one["nll"], 3), round(one["ece"], 4)]
        assert cells[3:5] == [f"{one['parameters'] / 1e6:.1f} M", f"{one['multiply_adds'] / 1e6:.0f} M"]
        assert [float(cell) for cell in cells[5:]] == [
            round(one["milliseconds"]["1"], 1),
            round(one["milliseconds"]["ratio_1"], 2),
        ]
    assert measured["command"] in text
