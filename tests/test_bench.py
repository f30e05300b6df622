"""The measurements measure what they say, and the demo stays within its bounds."""

import json
import sys
import time

import pytest
import torch

from vitdemo import bench
from vitdemo.attention import HEAD_FUSIONS, Recorder
from vitdemo.bench import Figure
from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.predict import predict


def test_a_ratio_is_that_of_the_times():
    plain, slow = (lambda: time.sleep(0.02)), (lambda: time.sleep(0.06))
    assert bench.ratio_of(plain, slow, pairs=3) == pytest.approx(3, rel=0.25)


def test_pairs_take_turns_and_the_median_counts(monkeypatch):
    order, clock = [], [0.0]
    spent = {"plain": iter([9, 1, 2, 4]), "other": iter([9, 3, 2, 20])}  # the first of each only warms up

    def run(name):
        def step():
            order.append(name)
            clock[0] += next(spent[name])
            return lambda: clock.__setitem__(0, clock[0] + 1000)  # cleaning up is not timed

        return step

    monkeypatch.setattr(bench.time, "perf_counter", lambda: clock[0])
    assert bench.ratio_of(run("plain"), run("other"), pairs=3) == 3  # of 3/1, 2/2, 20/4
    assert order == ["plain", "other", "plain", "other", "other", "plain", "plain", "other"]


def test_matrices_are_counted_in_bytes(tiny, picture):
    model = tiny["vit"]
    kept = {}
    for name, keep in {"fused": HEAD_FUSIONS["mean"], "whole": None}.items():
        with Recorder(keep) as recorder:
            predict(model, model.pixels([picture]))
        kept[name] = recorder.matrices
    assert bench.matrices_per_layer(kept["fused"]) == 1
    assert bench.matrices_per_layer(kept["whole"]) == 2  # two heads
    assert bench.matrices_per_layer([m.half() for m in kept["fused"]]) == 0.5


def test_the_cache_is_measured_by_what_is_alive(rows):
    chosen = [rows[name] for name in ("vit", "wide", "registers")]
    together = sum(row.bytes for row in chosen)
    assert bench.held_share(chosen, 10 * together) == pytest.approx(0.1)  # there is room for all
    largest = max(row.bytes for row in chosen)
    assert largest / (1.5 * largest) - 0.02 < bench.held_share(chosen, int(1.5 * largest)) <= 1  # one at a time


SERVER = """
import http.server, sys
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def test_a_start_is_timed_until_the_answer(tmp_path):
    port = bench._free_port()
    late = [sys.executable, "-c", "import time; time.sleep(1)\n" + SERVER, str(port)]
    idle = [sys.executable, "-c", "import time; time.sleep(0.5)"]
    ratio = bench.start_ratio(idle, late, f"http://127.0.0.1:{port}/", pairs=1)
    assert 1.1 < ratio < 8  # a second and more against half a second and more
    with pytest.raises(VitdemoError, match="ended with 3 before it answered"):
        bench.start_ratio(["true"], [sys.executable, "-c", "raise SystemExit(3)"], f"http://127.0.0.1:{port}/")


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(bench, "PATIENCE", 0.2)
    with pytest.raises(VitdemoError, match="did not answer within"):
        bench._serve([sys.executable, "-c", "import time; time.sleep(60)"], f"http://127.0.0.1:{bench._free_port()}/")


def test_the_quick_bench_meets_what_does_not_depend_on_time():
    before = torch.get_num_threads()
    said = []
    names = ["rollout", "gradients", "ordinary", "cache", "redraw"]
    figures = {one.name: one for one in bench.bench(names, True, said.append)}
    assert said == names and torch.get_num_threads() == before
    assert set(figures) == {"rollout_time", "rollout_memory", "gradients_time", "ordinary_time", "cache", "redraw"}
    assert all(figures[name].met for name in ("rollout_memory", "cache", "redraw")), figures
    least = {"rollout_time": 0.5, "gradients_time": 5, "ordinary_time": 1.5}
    assert all(figures[name].value > value for name, value in least.items()), figures
    document = json.loads(json.dumps(bench.to_json(list(figures.values()), quick=True), allow_nan=False))
    assert document["figures"]["redraw"] == {
        "name": "redraw", "value": 0, "goal": 0, "met": True,
        "unit": "forward passes", "what": "new colours, scale or opacity",
    }  # fmt: skip
    assert (document["version"], document["device"], document["threads"], document["quick"]) == (1, "cpu", 1, True)


def test_counting_models_count(tiny, rows, picture):
    models = bench.CountingModels("cpu")
    with models.use([rows["vit"]]) as (model,):
        pixels = model.pixels([picture])
        said = predict(model, pixels)
        assert models.passes == 1
        model.network(pixels)
        assert models.passes == 2
    assert said.logits.tolist() == predict(tiny["vit"], pixels).logits.tolist()


def test_a_goal_is_met_or_missed():
    assert Figure("x", 1.0, 1.0, "", "").met and not Figure("x", 1.01, 1.0, "", "").met
    assert not Figure("x", float("nan"), 0.0, "", "").met  # what could not be counted is not met


def test_unknown_measurements_are_refused():
    with pytest.raises(UnknownNameError, match="allowed: rollout, gradients, ordinary, start, cache, redraw"):
        bench.bench(["speed"])
