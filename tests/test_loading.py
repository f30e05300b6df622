"""From a row of the catalogue through the hub to an analysis, and every way in which that can fail."""

import threading

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save

from tests.conftest import paint
from tests.hub import HubServer, keep_to_this_machine
from vitdemo.backbones import IMAGENET, LITE0, Backbone, Catalogue
from vitdemo.errors import Cancelled, WeightsError
from vitdemo.models import Models, labels_of
from vitdemo.pipeline import Progress, Request, analyse
from vitdemo.sources import Hub
from vitdemo.weights import Fetcher

TAGS = {"small": "test_vit.r160_in1k", "other": "test_resnet.r160_in1k"}


@pytest.fixture
def hub(monkeypatch):
    keep_to_this_machine(monkeypatch)
    with HubServer() as server:
        for tag in TAGS.values():
            server.add(f"timm/{tag}", "model.safetensors", weights_of(tag))
        yield server


def weights_of(tag: str) -> bytes:
    torch.manual_seed(5)
    return save({k: v.contiguous() for k, v in timm.create_model(tag, pretrained=False).state_dict().items()})


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(
        Backbone(name, "imagenet", "test", tag, 400_000, 0.5, source=Hub(f"timm/{tag}")) for name, tag in TAGS.items()
    )


def models_of(hub, tmp_path) -> Models:
    return Models("cpu", 1 << 28, Fetcher(tmp_path / "cache", hub.endpoint))


def test_fetched_once_and_right(hub, catalogue, tmp_path):
    models, told = models_of(hub, tmp_path), []
    request = Request("imagenet", ("small", "other"), "mean", ("rollout",), "tench")
    analysis = analyse(paint(200, 160), request, catalogue, models, told.append)
    fetched = [progress for progress in told if progress.stage == "fetching" and progress.subject == "small"]
    assert fetched and fetched[-1].fetched[0] == fetched[-1].fetched[1] > 1e6
    torch.manual_seed(5)
    plain = timm.create_model(TAGS["small"], pretrained=False).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(plain), is_training=False)
    with torch.inference_mode():
        expected = plain(transform(paint(200, 160))[None])[0].numpy()
    assert np.abs(analysis.predictions[0].logits[0] - expected).max() < 1e-4
    assert analysis.labels[analysis.target] == "tench, Tinca tinca" and len(analysis.labels) == 1000
    hub.stop()
    again = analyse(paint(200, 160), request, catalogue, models_of(hub, tmp_path))
    assert np.array_equal(again.fused.probabilities, analysis.fused.probabilities)


@pytest.mark.parametrize("fault", ["missing", "gated", "error", "truncated", "short", "wrong"])
def test_a_fault_is_one_sentence_and_the_next_try_works(hub, catalogue, tmp_path, fault):
    tag = TAGS["small"]
    hub.add(f"timm/{tag}", "model.safetensors", weights_of(tag), fault)
    models, request = models_of(hub, tmp_path), Request("imagenet", ("small",), "mean", ())
    with pytest.raises(WeightsError) as failure:
        analyse(paint(64, 64), request, catalogue, models)
    assert f"timm/{tag}" in str(failure.value) and "\n" not in str(failure.value)
    assert models.held == 0
    hub.add(f"timm/{tag}", "model.safetensors", weights_of(tag))
    assert analyse(paint(64, 64), request, catalogue, models).fused.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_no_server_fails_for_what_must_be_fetched_alone(hub, catalogue, rows, tmp_path):
    hub.stop()
    models, both = models_of(hub, tmp_path), catalogue.plus(rows.values())
    with pytest.raises(WeightsError, match="network"):
        analyse(paint(64, 64), Request("imagenet", ("small",), "mean", ()), both, models)
    assert analyse(paint(64, 64), Request("tiny", ("vit",), "mean", ()), both, models).fused.probabilities.shape == (4,)


def test_weights_of_another_architecture_are_refused(hub, catalogue, tmp_path):
    hub.add(f"timm/{TAGS['small']}", "model.safetensors", weights_of(TAGS["other"]))
    with pytest.raises(WeightsError, match="do not fit the architecture"):
        analyse(paint(64, 64), Request("imagenet", ("small",), "mean", ()), catalogue, models_of(hub, tmp_path))


def test_cancel_while_fetching_then_again(hub, catalogue, tmp_path):
    tag = TAGS["small"]
    hub.add(f"timm/{tag}", "model.safetensors", weights_of(tag), "slow")
    models, request = models_of(hub, tmp_path), Request("imagenet", ("small",), "mean", ())

    def stop(progress: Progress):
        if progress.stage == "fetching" and progress.fetched[0]:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        analyse(paint(64, 64), request, catalogue, models, stop)
    assert models.held == 0
    assert analyse(paint(64, 64), request, catalogue, models).seconds > 0


def test_eight_visitors_fetch_once(hub, catalogue, tmp_path):
    models, done = models_of(hub, tmp_path), []
    request = Request("imagenet", ("small",), "mean", ("rollout",))
    visitors = [
        threading.Thread(target=lambda: done.append(analyse(paint(64, 64), request, catalogue, models)))
        for _ in range(8)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(60)
    assert len(done) == 8 and hub.count("GET", "model.safetensors") == 1
    assert all(np.array_equal(each.fused.probabilities, done[0].fused.probabilities) for each in done)


@pytest.mark.parametrize("row", IMAGENET, ids=lambda row: row.name)
def test_every_row_names_real_weights(row):
    config = timm.models.get_pretrained_cfg(row.architecture, allow_unregistered=False)
    assert config is not None and config.num_classes == 1000 and row.source in (Hub(f"timm/{row.architecture}"), LITE0)
    assert row.architecture in timm.list_pretrained() and 0.7 < row.accuracy < 0.9
    assert len(labels_of(row)) == 1000 and row.licence and row.paper
    with torch.device("meta"):
        body = timm.create_model(row.architecture, pretrained=False)
    assert sum(parameter.numel() for parameter in body.parameters()) == row.parameters
