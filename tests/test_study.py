"""The study on tiny backbones that know the drawn flowers: it goes on where it stopped, and counts what it saw."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.stats import bootstrap

from tests.conftest import everything_on, paint, subject_of, write_backbone
from vitdemo import host, samples, study
from vitdemo.__main__ import main
from vitdemo.backbones import Catalogue
from vitdemo.errors import Cancelled, UnknownNameError, VitdemoError
from vitdemo.explain import EXPLANATIONS, Options, explain
from vitdemo.faithfulness import Judge, Settings
from vitdemo.models import Models
from vitdemo.result import dumps
from vitdemo.types import Heat, NotOffered, View

NAMES = ("vit", "wide", "resnet")
PLAN = study.Plan(
    pictures=3,
    photographs=1,
    costly=2,
    curves=1,
    randomised=1,
    size=64,
    methods=("rollout", "smoothgrad", "occlusion"),
    options=Options(samples=2, patches=3, batch=32),
    measure=Settings(grid=4, steps=2, random=2),
)


@pytest.fixture(scope="module")
def flower_rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flowers")
    return [write_backbone(folder, name, samples.FLOWERS, "flowers") for name in NAMES]


@pytest.fixture(scope="module")
def shared() -> Models:
    return Models("cpu", memory=1 << 30)


@pytest.fixture(scope="module")
def loaded(flower_rows, shared):
    with shared.use(flower_rows) as models:
        yield models


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for index, label in enumerate(samples.FLOWERS):
        (folder / label).mkdir()
        paint(60, 40, index).save(folder / label / "one.png")
    return folder


@pytest.fixture(scope="module")
def whole(flower_rows, shared, photographs, tmp_path_factory):
    """A study that ran through, and its log."""
    log = tmp_path_factory.mktemp("log") / "study.jsonl"
    return study.study(PLAN, flower_rows, shared, log, photographs), log


def without_times(document):
    """A copy in which no time is left."""
    text = json.dumps(document)
    again = json.loads(text)
    for row in again["rows"]:
        row["metrics"].pop("milliseconds", None)
    return again


# what is asked


def test_items_name_either_flower_equally_often():
    found = study.items(replace(PLAN, pictures=40))
    assert [item.kind for item in found[:6]] == ["one", "two"] * 3
    ones, twos = ([item for item in found if item.kind == kind] for kind in ("one", "two"))
    assert len(ones) == len(twos) == 40
    assert all(item.flowers == (item.named,) for item in ones)
    pairs = {}
    for item in twos:
        pairs.setdefault(item.flowers, []).append(item.named)
    assert len(pairs) == 10
    assert all(sorted(named) == sorted(flowers * 2) for flowers, named in pairs.items())
    assert study.items(replace(PLAN, pictures=7)) == [item for item in found if item.index < 7]
    assert len({item.key for item in found}) == 80


def test_where_the_peak_lies():
    item = next(item for item in study.items(PLAN) if item.kind == "two")
    picture, (named, other) = study._picture(item, PLAN)
    sample = samples.draw(item.flowers, item.seed, PLAN.size)
    np.testing.assert_array_equal(np.asarray(picture), sample.picture)
    np.testing.assert_array_equal(named, sample.masks[item.flowers.index(item.named)])
    view = View((0.0, 0.0, 64.0, 64.0), (64, 64))
    for mask, peak, share in ((named, "named", 1), (other, "other", 0), (~(named | other), None, 0)):
        found = study._on_masks(Heat(mask.astype(np.float32), False, view), [named, other])
        assert found["energy"] == pytest.approx(share, abs=1e-6)
        assert peak is None or found["peak"] == peak
    assert study._on_masks(Heat(named.astype(np.float32), False, view), []) == {}


def test_one_picture_by_another_route(loaded):
    item = study.items(PLAN)[0]
    line = study.ask(item, loaded, PLAN)
    picture, (mask,) = study._picture(item, PLAN)
    subject = subject_of([loaded[0]], picture, target=samples.FLOWERS.index(item.named))
    said = line["subjects"]["vit"]
    assert said["probability"] == pytest.approx(float(subject.scorer(*subject.pixels)[0, subject.target]), abs=1e-6)
    judge = Judge(subject, PLAN.measure)
    for method in PLAN.methods:
        heat = explain(method, subject, PLAN.options)
        trust = judge.trust(heat, mask)
        figures = said["methods"][method]
        assert figures["energy"] == pytest.approx(trust.energy, abs=1e-4)
        assert (figures["peak"] == "named") == trust.pointing
        assert figures["deletion"] == pytest.approx(trust.deletion, abs=1e-4)
        assert figures["insertion"] == pytest.approx(trust.insertion, abs=1e-4)
        assert figures["milliseconds"] > 0
    assert said["methods"]["centre"]["deletion"] == pytest.approx(judge.centre.deletion.area, abs=1e-5)
    assert "milliseconds" not in said["methods"]["random"]
    assert said["methods"]["rollout"]["random_head"] == pytest.approx(1)  # attention does not know the class
    assert said["methods"]["occlusion"]["random_head"] < 0.999
    refused = line["subjects"]["resnet"]["methods"]["rollout"]
    assert refused == {"refused": explain("rollout", subject_of([loaded[2]], picture), PLAN.options).reason}
    assert set(line["subjects"]) == {"vit", "wide", "resnet", "fused"}
    assert "random_all" not in line["subjects"]["fused"]["methods"]["occlusion"]


def test_slow_methods_and_measures_are_asked_less_often(loaded):
    options = replace(PLAN.options, patches=5)
    assert study._costly("occlusion", options) and not study._costly("rollout", options)
    plan = replace(PLAN, options=options, costly=1, curves=2, randomised=1)
    there = [
        set(study.ask(item, loaded[:1], plan)["subjects"]["vit"]["methods"])
        for item in study.items(plan)
        if item.kind == "one"
    ]
    assert "occlusion" in there[0] and all("occlusion" not in each for each in there[1:])
    assert all({"rollout", "random", "centre"} <= each for each in there)
    figures = [
        study.ask(item, loaded[:1], plan)["subjects"]["vit"]["methods"]["rollout"]
        for item in study.items(plan)
        if item.kind == "one"
    ]
    assert ["deletion" in each for each in figures] == [True, True, False]
    assert ["random_all" in each for each in figures] == [True, False, False]


def test_nothing_is_left_behind(loaded):
    before = [everything_on(model.network) for model in loaded]
    ticks = []
    item = study.items(PLAN)[0]
    study.ask(item, loaded, PLAN, lambda: ticks.append(None))
    for stop_at in range(0, len(ticks), max(1, len(ticks) // 12)):
        left = [stop_at]

        def tick(left=left):
            if not left[0]:
                raise Cancelled("stopped")
            left[0] -= 1

        with pytest.raises(Cancelled):
            study.ask(item, loaded, PLAN, tick)
    assert [everything_on(model.network) for model in loaded] == before


# the whole of it


def test_the_document_says_everything(whole):
    document, log = whole
    json.loads(dumps(document))
    assert document["pictures"] == {"one": 3, "two": 3, "photo": 1}
    assert document["plan"]["seed"] == 0 and set(document["versions"]) == {"torch", "timm", "captum"}
    assert set(document["backbones"]) == set(NAMES) and document["photographs"] == ["roses/one.png"]
    pairs = {(row["subject"], row["method"]) for row in document["rows"]}
    methods = {*PLAN.methods, "random", "centre"}
    refused = {(one["subject"], one["method"]) for one in document["refused"]}
    assert refused == {("resnet", "rollout")} and all(len(one["reason"]) > 20 for one in document["refused"])
    assert pairs == {(subject, method) for subject in ("each", "fused", *NAMES) for method in methods} - refused
    counts = {metric: figure["count"] for metric, figure in row_of(document, "vit", "rollout").items()}
    recognised = round(3 * document["recognition"]["vit"]["two"]["mean"])
    expected = {"pointing": 3, "energy": 3, "two": 3, "two_other": 3, "deletion": 1, "insertion": 1, "random_head": 1}
    expected |= {"photo_deletion": 1, "photo_insertion": 1, "random_all": 1, "milliseconds": 7}
    assert counts == expected | ({"two_recognised": recognised} if recognised else {})
    for row in document["rows"]:
        for figure in row["metrics"].values():
            assert figure["low"] <= figure["mean"] <= figure["high"]
    assert len(log.read_text().splitlines()) == 1 + 7


def row_of(document, subject, method):
    (row,) = [row for row in document["rows"] if (row["subject"], row["method"]) == (subject, method)]
    return row["metrics"]


def test_it_goes_on_where_it_stopped(whole, flower_rows, shared, photographs, tmp_path, monkeypatch):
    document, _ = whole
    log = tmp_path / "log" / "study.jsonl"
    asked = []
    ask = study.ask
    monkeypatch.setattr(study, "ask", lambda item, *rest: asked.append(item.key) or ask(item, *rest))

    def stop(done, total, what):
        if done == 3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        study.study(PLAN, flower_rows, shared, log, photographs, report=stop)
    assert len(log.read_text().splitlines()) == 1 + 3
    with log.open("a") as file:
        file.write('{"key": "two/1", "subj')  # the machine went out in the middle of a line
    said = []
    again = study.study(
        PLAN, flower_rows, shared, log, photographs, report=lambda done, total, what: said.append((done, total))
    )
    assert without_times(again) == without_times(document)
    assert len(asked) == 8 and len(set(asked)) == 7  # the one that was stopped twice
    assert said == sorted(said) and said[0] == (3, 7)
    assert study.study(PLAN, flower_rows, shared, log, photographs) == again
    assert len(asked) == 8


def test_a_log_of_another_study_is_not_mixed_in(whole, flower_rows, shared, photographs, tmp_path):
    log = tmp_path / "study.jsonl"
    log.write_text(whole[1].read_text())
    other = replace(PLAN, seed=1, pictures=1)
    with pytest.raises(VitdemoError, match=r"another study.*--fresh"):
        study.study(other, flower_rows, shared, log, photographs)
    log.write_text("no JSON\n")
    with pytest.raises(VitdemoError, match="another study"):
        study.study(PLAN, flower_rows, shared, log, photographs)
    few = study.study(other, flower_rows[:1], shared, log, fresh=True)
    assert few["pictures"] == {"one": 1, "two": 1, "photo": 0} and few["photographs"] == []


def test_backbones_have_to_know_the_flowers(rows, tmp_path):
    with pytest.raises(UnknownNameError, match=r"daisy.*ant, bee"):
        study.study(PLAN, [rows["vit"]], Models("cpu"), tmp_path / "log.jsonl")
    assert not (tmp_path / "log.jsonl").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pictures": -1}, "pictures is -1"),
        ({"costly": 1.5}, "whole number"),
        ({"methods": ()}, "No method"),
        ({"methods": ("guess",)}, "Unknown explanation 'guess'"),
        ({"fusion": "guess"}, "Unknown fusion"),
    ],
)
def test_plans_that_cannot_be(settings, words):
    with pytest.raises(VitdemoError, match=words):
        study.Plan(**settings)


def test_the_methods_of_a_plan_are_there():
    assert set(study.Plan().methods) <= set(EXPLANATIONS.names())
    assert study.Plan().pictures >= 200


# figures


def test_intervals():
    assert study.interval([]) == {"mean": None, "low": None, "high": None, "count": 0}
    assert study.interval([0.25] * 9) == {"mean": 0.25, "low": 0.25, "high": 0.25, "count": 9}
    hits = np.random.default_rng(4).uniform(size=150) < 0.7
    found = study.interval(hits)
    other = bootstrap((hits.astype(float),), np.mean, method="percentile", n_resamples=4000, random_state=1)
    assert found["mean"] == pytest.approx(hits.mean()) and found["count"] == 150
    assert found["low"] == pytest.approx(other.confidence_interval.low, abs=0.02)
    assert found["high"] == pytest.approx(other.confidence_interval.high, abs=0.02)
    assert found == study.interval(hits)


def made(kind, index, peak, energy=0.5, recognised=True, subjects=("a", "b"), **more):
    methods = {"rollout": {"peak": peak, "energy": energy, "milliseconds": 2.0, **more}}
    said = {"first": "daisy", "probability": 0.9, "recognised": recognised, "methods": methods}
    return {"key": f"{kind}/{index}", "kind": kind, "subjects": dict.fromkeys(subjects, said)}


def test_figures_by_hand():
    lines = [
        made("one", 0, "named", 0.8, deletion=0.2, insertion=0.6),
        made("one", 1, None, 0.4),
        made("one", 2, None, None),  # a map of zeros points nowhere, and counts
        made("two", 0, "named", recognised=True),
        made("two", 1, "other", recognised=False),
        made("two", 2, None, recognised=True),
    ]
    document = study.summary({"plan": {"methods": ["rollout"]}}, lines)
    means = {metric: figure["mean"] for metric, figure in row_of(document, "a", "rollout").items()}
    assert means == pytest.approx(
        {
            "pointing": 1 / 3,
            "energy": 0.4,
            "two": 1 / 3,
            "two_other": 1 / 3,
            "two_recognised": 0.5,
            "deletion": 0.2,
            "insertion": 0.6,
            "milliseconds": 2.0,
        }
    )
    assert row_of(document, "each", "rollout") == row_of(document, "a", "rollout")
    assert document["recognition"]["a"]["two"]["mean"] == pytest.approx(2 / 3)
    assert document["recognition"]["a"]["photo"]["count"] == 0
    head, line = study.table(document)
    assert line[:2] == ["Attention rollout", "2 backbones"] and len(head) == len(line)
    assert line[2] == "0.33 (0.00 to 1.00)" and line[-1] == "2" and line[head.index("all random ↓")] == ""


def test_the_mean_over_backbones_counts_pictures_not_backbones():
    lines = [made("one", 0, "named", subjects=("a", "fused")), made("one", 1, None, subjects=("a", "fused"))]
    for line, peak in zip(lines, (None, None), strict=True):
        other = made("one", 0, peak)["subjects"]["a"]
        line["subjects"]["b"] = other
    document = study.summary({"plan": {"methods": ["rollout"]}}, lines)
    each = row_of(document, "each", "rollout")["pointing"]
    assert each["mean"] == pytest.approx(0.25) and each["count"] == 2  # the fused model is not one of them
    assert each["high"] == pytest.approx(0.5)
    assert {row["subject"]: row["backbones"] for row in document["rows"]} == {"each": 2, "a": 1, "fused": 1, "b": 1}


def test_refusals_are_listed_once():
    line = made("one", 0, "named")
    line["subjects"]["b"] = {**line["subjects"]["b"], "methods": {"rollout": {"refused": "no attention"}}}
    document = study.summary({"plan": {"methods": ["rollout"]}}, [line, {**line, "key": "one/1"}])
    assert document["refused"] == [{"subject": "b", "method": "rollout", "reason": "no attention"}]
    assert {row["subject"] for row in document["rows"]} == {"each", "a"}


def test_a_photograph_has_no_mask(loaded, photographs):
    item = study.Item("photo", 0, ("daisy",), "daisy", file=photographs / "daisy" / "one.png")
    picture, masks = study._picture(item, PLAN)
    assert isinstance(picture, Image.Image) and masks == []
    figures = study.ask(item, loaded[:1], PLAN)["subjects"]["vit"]["methods"]["rollout"]
    assert set(figures) == {"milliseconds", "deletion", "insertion"}
    values = study.values_of([study.ask(item, loaded[:1], PLAN)], "vit", "rollout")
    assert values["photo_deletion"] and not values["deletion"] and not values["pointing"]
    assert isinstance(explain("rollout", subject_of(loaded[2:], picture), PLAN.options), NotOffered)


# the command


@pytest.fixture
def flower_catalogue(monkeypatch, flower_rows):
    monkeypatch.setattr(host, "default_catalogue", lambda: Catalogue(flower_rows))


def test_the_command_writes_the_document_and_the_table(flower_catalogue, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(study, "Plan", lambda pictures, seed: replace(PLAN, pictures=pictures, seed=seed))
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- explain -->\nold\n<!-- /explain -->\nafter\n")
    results, log = tmp_path / "results" / "explanations.json", tmp_path / "log.jsonl"
    words = ["evaluate", "--explain", "--pictures", "3", "--backbones", "vit", "--device", "cpu"]
    words += ["--log", str(log), "--results", str(results), "--readme", str(readme)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    document = json.loads(results.read_text())
    assert document["command"].startswith("python -m vitdemo evaluate --explain")
    assert document["pictures"] == {"one": 3, "two": 3, "photo": 0} and list(document["backbones"]) == ["vit"]
    assert "3 one, 3 two, 0 photo" in printed and "Attention rollout" in printed
    text = readme.read_text()
    assert (
        text.startswith("before\n<!-- explain -->\n| method | of |") and text.endswith("after\n") and "old" not in text
    )
    assert main([*words, "--json"]) == 0  # everything is in the log
    assert json.loads(capsys.readouterr().out)["rows"] == document["rows"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--explain", "--fusion", "mean"], "--fusion has no meaning with --explain"),
        (["--explain", "--limit", "3"], "--limit has no meaning"),
        (["--explain", "--pictures", "-1"], "pictures is -1"),
        (["--explain", "--backbones", "none"], "Unknown flowers backbone"),
        (["--explain", "--readme", "nowhere.md"], "cannot be read"),
        ([], "--data is missing"),
    ],
)
def test_what_the_command_refuses(flower_catalogue, capsys, words, said, tmp_path):
    log = tmp_path / "log.jsonl"
    assert main(["evaluate", *words, "--device", "cpu", "--log", str(log)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.count("\n") == 1
    assert not log.exists()


def test_the_command_says_what_maps_are_worth(flower_catalogue, tmp_path, capsys):
    picture = tmp_path / "noise.png"
    paint(60, 50).save(picture)
    words = ["analyse", str(picture), "--backbones", "vit", "--explain", "rollout", "--trust", "--batch", "64"]
    assert main([*words, "--device", "cpu", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    assert f"rollout of vit: {document['trust']['vit']['rollout']['word']} (score" in printed
