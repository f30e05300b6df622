"""The same program where a GPU is lent for one call at a time: the platform's rules, enforced by a stand-in."""

import argparse
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import torch

from tests.conftest import paint
from vitdemo import host, images, spaces
from vitdemo.errors import Cancelled, NotOfferedError, UnknownNameError, VitdemoError
from vitdemo.pipeline import Analysis, Request, analyse
from vitdemo.ui.api import attention_of, misled
from vitdemo.ui.attention import examined
from vitdemo.ui.fields import values_of
from vitdemo.ui.handlers import RESULTS, Handlers, analysed
from vitdemo.ui.whatif import WhatIf, attacked

ROOT = Path(__file__).parents[1]
STAND_IN = ROOT / "tests" / "zerogpu"
REQUEST = Request("tiny", ("vit", "resnet"), explanations=("rollout", "gradient"))


@pytest.fixture
def platform(monkeypatch):
    """A place that lends its GPU: the stand-in, with CUDA out of bounds outside of its calls."""
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.syspath_prepend(str(STAND_IN))
    monkeypatch.delitem(sys.modules, "spaces", raising=False)
    import spaces as stand_in

    stand_in.forbid(monkeypatch)
    yield stand_in
    del sys.modules["spaces"]


@pytest.fixture
def handlers(platform, catalogue, tmp_path):
    path = tmp_path / "one.png"
    paint(64, 48, 3).save(path)
    models = host.models(argparse.Namespace(device="auto", memory=None))
    return Handlers(catalogue, models, {"tiny": {"one": path}})


class Visitor:
    """As much of gr.Request as the handlers read."""

    def __init__(self):
        self.headers = {"accept-language": "en"}
        self.session_hash = "one"
        self.query_params = {}


def shown(handlers: Handlers, picture: str, request: Request = REQUEST) -> list[dict]:
    run = handlers.run(Visitor(), picture, "each", "magma", None, *values_of(request))
    return [dict(zip(RESULTS, change, strict=True)) for change in run]


# Work that is found again by its name in another process


def refuses(models, report, error):
    raise {"plain": VitdemoError("No."), "name": UnknownNameError("tea", "green", ["black"]), "bug": ZeroDivisionError}[
        error
    ]


def steps(models, report, count, pause):
    for index in range(count):
        report(index)
        time.sleep(pause)
    return os.getpid()


def tensor_on(models, report, device):
    return torch.ones(2, device=device)


def device_of(models, report):
    return str(models.device)


def test_elsewhere_work_is_done_here(models, monkeypatch):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    spaces.begin()
    assert "spaces" not in sys.modules
    said = []
    assert spaces.Entrance(models)(steps, 3, 0, report=said.append) == os.getpid()
    assert said == [0, 1, 2]
    with pytest.raises(UnknownNameError):  # an error comes as it is
        spaces.Entrance(models)(refuses, "name")


def test_a_visitor_gets_the_same_answer_in_one_entry(platform, handlers, catalogue, models, tmp_path, picture):
    path = tmp_path / "picture.png"
    picture.save(path)
    changes = shown(handlers, str(path))
    assert platform.entries == ["enter"]
    got = changes[-1]["analysis"]
    assert any(isinstance(change["answer"], str) for change in changes[:-1])  # the prediction came before the maps
    want = analyse(images.load(str(path)), REQUEST, catalogue, models)
    np.testing.assert_array_equal(got.fused.probabilities, want.fused.probabilities)
    for name in ("fused", "vit"):
        np.testing.assert_allclose(got.maps[name]["gradient"].values, want.maps[name]["gradient"].values, atol=1e-7)
    platform.packed(got)
    assert handlers.models.held == 0  # nothing was loaded outside of the call


def test_a_sentence_and_a_failure_come_back(platform, handlers, caplog):
    for error, words in (("plain", "No."), ("name", "Unknown tea 'green'")):
        with pytest.raises(VitdemoError, match=re.escape(words)):
            handlers.entrance(refuses, error)
    with pytest.raises(gr.Error, match="ZeroDivisionError"):
        handlers.entrance(refuses, "bug")


def test_what_the_platform_says_is_shown(handlers, tmp_path, monkeypatch, picture):
    def quota(*args, **kwargs):
        raise gr.Error("You have exceeded your GPU quota")

    path = tmp_path / "picture.png"
    picture.save(path)
    monkeypatch.setattr(handlers, "entrance", quota)
    assert "exceeded your GPU quota" in shown(handlers, str(path))[-1]["status"]


def test_steps_come_while_the_work_goes_on_and_cancelling_ends_it(platform, handlers):
    began, seen = time.monotonic(), []

    def report(step):
        seen.append(step)
        if step == 2:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        handlers.entrance(steps, 600, 0.1, report=report)
    assert seen == [0, 1, 2] and time.monotonic() - began < 45


def test_attention_is_examined_in_one_entry(platform, handlers, catalogue, picture):
    rows = catalogue.get("tiny", ["vit", "resnet"])
    reasons, views = handlers.entrance(examined, rows, picture, (None, None), rows=rows)
    assert platform.entries == ["enter"]
    assert not reasons["vit"] and "no attention" in reasons["resnet"] and views[0]["name"] == "vit"


def test_the_what_if_tab_enters_once_for_each_question(platform, handlers, catalogue, models, picture):
    """Hiding, misleading, and class against class: what goes in and what comes out is pickled, and the same as here."""
    analysis, tab = analysed(models, spaces.silent, picture, REQUEST, catalogue), WhatIf(handlers)
    change = json.dumps({"stamp": "now", "grid": "vit", "hidden": [0, 1, 2], "mask": None})
    hidden = tab.change(change, analysis, "now", "rollout", Visitor())
    assert "<img" in hidden and 'role="alert"' not in hidden and platform.entries == ["enter"]

    *_, (html, made) = tab.attack(analysis, "pgd", 8, 2, "fused", Visitor())
    assert 'role="alert"' not in html and platform.entries == ["enter"] * 2
    want = attacked(models, spaces.silent, analysis, "pgd", 8, 2, "fused", catalogue)[0]
    np.testing.assert_array_equal(np.asarray(made.attacked), np.asarray(want.attacked))
    assert 0 < made.largest == want.largest <= 8

    first, second = (label for label, _ in analysis.top(2))
    *_, (html, between) = tab.contrast(analysis, first, second, "gradient", "vit", Visitor())
    assert 'role="alert"' not in html and platform.entries == ["enter"] * 3
    wanted = Request("tiny", REQUEST.backbones, explanations=("gradient",), target=first, against=second)
    there = analysed(models, spaces.silent, picture, wanted, catalogue).maps["vit"]["gradient"].values
    assert any(np.allclose(there, one.maps["vit"]["gradient"].values, atol=1e-7) for one in vars(between).values()
               if isinstance(one, Analysis))  # fmt: skip
    assert handlers.models.held == 0  # nothing was loaded outside of the calls


def test_endpoints_that_attack_and_examine_enter_once(platform, handlers, catalogue, models, picture):
    rows = catalogue.get("tiny", ["vit", "resnet"])
    given = (picture, REQUEST, catalogue, "fgsm", 4, 1, "vit")
    made, before, after = handlers.entrance(misled, *given, rows=rows)
    want = misled(models, spaces.silent, *given)
    np.testing.assert_array_equal(np.asarray(made.attacked), np.asarray(want[0].attacked))
    for got, here in zip((before, after), want[1:], strict=True):
        np.testing.assert_allclose(got.fused.probabilities, here.fused.probabilities, atol=1e-6)
    told = handlers.entrance(attention_of, rows[0], picture, 0, 1, 3, rows=rows[:1])
    assert told == attention_of(models, spaces.silent, rows[0], picture, 0, 1, 3)
    assert platform.entries == ["enter"] * 2


def test_the_call_may_use_what_is_there_and_the_program_may_not(platform, handlers):
    assert handlers.models.device.type == "cpu"
    expected = "mps" if torch.backends.mps.is_available() else "cpu"
    assert handlers.entrance(device_of) in (expected, "cuda")
    with pytest.raises(AssertionError, match="outside of a decorated call"):
        torch.cuda.is_available()


def test_nothing_is_computed_for_nobody(platform, handlers):
    handlers.warm()
    assert platform.entries == []


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_stand_in_refuses_what_is_not_on_the_cpu(platform, handlers, device):
    if device == "cpu":
        assert handlers.entrance(tensor_on, device).sum() == 2
    else:
        with pytest.raises(gr.Error, match="PicklingError"):
            handlers.entrance(tensor_on, device)


def test_the_stand_in_refuses_what_cannot_be_pickled(platform, handlers):
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        handlers.entrance(steps, threading.Lock(), 0)


def test_an_analysis_can_be_pickled(catalogue, models, picture):
    analysis = analysed(models, spaces.silent, picture, REQUEST, catalogue)
    again = pickle.loads(pickle.dumps(analysis))
    np.testing.assert_array_equal(again.fused.probabilities, analysis.fused.probabilities)
    assert again.backbones == analysis.backbones and again.request == analysis.request


def test_stepwise_stops_its_work_when_closed():
    ended = threading.Event()

    def work(report):
        try:
            for index in range(1000):
                report(index)
                time.sleep(0.01)
        finally:
            ended.set()

    said = spaces.stepwise(work)
    assert next(said) == ("step", 0)
    said.close()
    assert ended.wait(5)


def test_a_call_that_is_taken_away_is_one_sentence():
    with pytest.raises(VitdemoError, match="taken away"):
        spaces.follow((pair for pair in [("step", 1)]), spaces.silent)


def test_an_error_keeps_its_class_here(models):
    def refuse(models, report):
        raise NotOfferedError("Not offered.")

    with pytest.raises(NotOfferedError):
        spaces.Entrance(models)(refuse)


BUILD = """
import sys
import app
page, handlers = app.build(app.parse([]))
import spaces
print(spaces.__file__, handlers.models.device, spaces.entries)
"""


def test_the_platforms_module_comes_before_torch():
    """In a process of its own, where the stand-in refuses to come second."""
    environment = os.environ | {"SPACES_ZERO_GPU": "1", "SPACES_STRICT": "1", "PYTHONPATH": f"{STAND_IN}:{ROOT}"}
    command = [sys.executable, "-c", BUILD]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-2:] == ["cpu", "[]"] and "zerogpu" in done.stdout
