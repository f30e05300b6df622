"""Loading, the cache under many visitors, and the model's own transform against timm's."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform

from tests.conftest import TINY, paint, write_backbone
from vitdemo import models as module
from vitdemo.backbones import Backbone, Catalogue, bundled, default_catalogue, read_sidecar
from vitdemo.errors import Cancelled, UnknownNameError, VitdemoError, WeightsError
from vitdemo.models import DEVICES, Models, default_memory, imagenet_labels, labels_of, load, pick_device
from vitdemo.predict import predict
from vitdemo.sources import Files, read_files
from vitdemo.types import View
from vitdemo.views import crop_to
from vitdemo.weights import Fetcher

CPU = torch.device("cpu")


def row(name: str, size: int = 1) -> Backbone:
    """A backbone of `size` parameters that nobody really loads."""
    return Backbone(name, "fake", "test", "none", parameters=size, accuracy=0.5, labels=("a", "b"))


@pytest.fixture
def loads(monkeypatch) -> list[str]:
    """The names that were loaded, in order; loading gives back the row itself."""
    made: list[str] = []

    def fake(row, device, fetcher, progress=None):
        made.append(row.name)
        return row

    monkeypatch.setattr(module, "load", fake)
    return made


def cache(size: int) -> Models:
    """A cache for that many parameters."""
    return Models("cpu", memory=4 * size)


# the cache


def test_what_is_loaded_stays(loads):
    models = cache(10)
    for _ in range(3):
        with models.use([row("a"), row("b")]) as loaded:
            assert [one.name for one in loaded] == ["a", "b"]
    assert loads == ["a", "b"]
    assert models.held == 8


def test_the_least_recently_used_makes_room(loads):
    models = cache(3)
    for names in ("a", "b", "c", "a", "d", "a", "c", "b"):
        with models.use([row(name) for name in names]):
            assert models.held <= models.memory
    # d pushed b out, not a, which was used since; c was still there; b came again for d
    assert loads == ["a", "b", "c", "d", "b"]


def test_a_large_one_pushes_several_out(loads):
    models = cache(4)
    for one in (row("a"), row("b"), row("c", 2), row("large", 3)):
        with models.use([one]):
            assert models.held <= models.memory
    assert models.held == 4 * 3
    with models.use([row("c", 2)]):
        assert models.held == 4 * 2


def test_what_is_in_use_is_never_pushed_out(loads):
    models = cache(3)
    with models.use([row("a")]):
        for name in ("b", "c", "d", "e"):
            with models.use([row(name)]):
                pass
        with models.use([row("a")]):
            pass
    assert loads.count("a") == 1


def test_the_same_backbone_twice_is_one(loads):
    models = cache(1)
    with models.use([row("a"), row("a")]) as loaded:
        assert [one.name for one in loaded] == ["a", "a"]
    assert loads == ["a"]
    assert models.held == 4


def test_what_can_never_fit_is_refused_at_once(loads):
    models = Models("cpu", memory=9_000_000)
    large = [row("a", 2_000_000), row("b", 1_000_000)]
    with pytest.raises(VitdemoError, match=r"a, b need 12 MB .* may hold 9 MB; choose fewer"), models.use(large):
        pass
    assert loads == []
    assert models.held == 0


def test_a_visitor_waits_for_what_is_in_use(loads):
    models, inside, order = cache(3), threading.Event(), []

    def visit():
        said = []
        with models.use([row("c", 2)], lambda *given: (said.append(given), inside.set())):
            order.append("second")
        assert set(said) == {("", 0, 0)}

    with ThreadPoolExecutor(1) as pool:
        with models.use([row("a"), row("b")]):
            second = pool.submit(visit)
            assert inside.wait(10)  # it has been told to wait
            order.append("first")
            assert models.held == 8
        second.result(10)
    assert order == ["first", "second"]


def test_whoever_waits_is_woken(loads, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 60)
    models = cache(1)

    def visit():
        with models.use([row("b")]):
            return "in"

    with ThreadPoolExecutor(1) as pool:
        with models.use([row("a")]):
            second = pool.submit(visit)
            while not models._changed._waiters:
                time.sleep(0.001)
        assert second.result(30) == "in"


def test_whoever_waits_may_give_up(loads):
    models = cache(1)

    def cancel(name, done, total):
        raise Cancelled("stopped")

    with models.use([row("a")]), pytest.raises(Cancelled), models.use([row("b")], cancel):
        pass
    with models.use([row("b")]):
        assert models.held == 4
    assert loads == ["a", "b"]


def test_crossing_visitors_never_wait_for_each_other(loads):
    """Each wants two of three, and only two fit: whoever held one and waited for the other would wait for ever."""
    models, wrong = cache(2), []
    pairs = [("a", "b"), ("b", "c"), ("c", "a"), ("b", "a")]

    def visit(pair):
        for _ in range(15):
            with models.use([row(name) for name in pair]) as loaded:
                if [one.name for one in loaded] != list(pair) or models.held > models.memory:
                    wrong.append(pair)
                time.sleep(0.001)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(visit, pair) for pair in pairs]:
            done.result(30)
    assert not wrong
    assert not any(entry.users for entry in models._entries.values())


def test_concurrent_visitors_load_once(monkeypatch):
    made, meet = [], threading.Barrier(4, timeout=10)

    def slow(row, device, fetcher, progress=None):
        made.append(row.name)
        time.sleep(0.05)
        return row

    monkeypatch.setattr(module, "load", slow)
    models = cache(4)

    def visit(_):
        meet.wait()
        with models.use([row("a"), row("b")]) as loaded:
            return loaded

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(visit, range(4)))
    assert sorted(made) == ["a", "b"]
    assert all(one is other for result in results for one, other in zip(result, results[0], strict=True))


def test_whoever_waits_for_anothers_loading_may_give_up(monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def endless(row, device, fetcher, progress=None):
        begun.set()
        assert go_on.wait(20)
        return row

    monkeypatch.setattr(module, "load", endless)
    models = cache(4)

    def visit():
        with models.use([row("a")]) as (loaded,):
            return loaded.name

    def cancel(*given):
        raise Cancelled("stopped")

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(visit)
        assert begun.wait(10)
        with pytest.raises(Cancelled), models.use([row("a")], cancel):
            pass
        go_on.set()
        assert first.result(10) == "a"
    assert models.held == 4


def test_a_failed_load_leaves_the_cache_as_it_was(monkeypatch):
    broken = {"b"}

    def load_some(row, device, fetcher, progress=None):
        if row.name in broken:
            raise WeightsError("no network")
        return row

    monkeypatch.setattr(module, "load", load_some)
    models = cache(3)
    with models.use([row("a")]):
        pass
    with pytest.raises(WeightsError, match="no network"), models.use([row("a"), row("b"), row("c")]):
        pass
    assert list(models._entries) == [("fake", "a")]  # c was never tried
    assert models.held == 4
    broken.clear()
    with models.use([row("b")]) as (loaded,):
        assert loaded.name == "b"


def test_a_failure_inside_releases(loads):
    models = cache(1)
    with pytest.raises(ZeroDivisionError), models.use([row("a")]):
        raise ZeroDivisionError
    with models.use([row("b")]):
        pass
    assert loads == ["a", "b"]


# devices


def test_devices():
    assert pick_device("cpu") == CPU
    assert pick_device().type in DEVICES
    with pytest.raises(VitdemoError, match="Unknown device 'tpu'; allowed: auto, cpu, cuda, mps"):
        pick_device("tpu")
    assert default_memory(CPU) == 2 << 30


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_device_that_is_not_there(monkeypatch, kind):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(VitdemoError, match=f"has no {kind} device; allowed: auto, cpu\\."):
        Models(kind)
    assert pick_device("auto") == CPU


# loading


@pytest.mark.parametrize("name", TINY)
def test_half_precision_weights_arrive_in_full(rows, tiny, name):
    stored = read_files(rows[name].source.paths)
    assert all(value.dtype == torch.float16 for value in stored.values())
    network = tiny[name].network
    state = network.body.state_dict()
    assert set(state) == set(stored)
    for key, value in state.items():
        assert value.dtype in (torch.float32, torch.int64)
        torch.testing.assert_close(value.float(), stored[key].float(), rtol=0, atol=0)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert rows[name].bytes == 4 * sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", TINY)
def test_embed_is_forward(tiny, name):
    """And the head's input gives its output."""
    pixels = torch.rand(2, *tiny[name].transform["input_size"], generator=torch.Generator().manual_seed(0))
    network = tiny[name].network
    with torch.no_grad():
        logits, features = network.embed(pixels)
        torch.testing.assert_close(logits, network(pixels), rtol=1e-5, atol=1e-6)
        prediction = predict(tiny[name], pixels)
    np.testing.assert_allclose(prediction.logits, logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(prediction.features, features, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(prediction.probabilities.sum(1), 1, atol=1e-6)
    assert features.shape == (2, network.body.num_features)
    if name != "distilled":  # it has two heads
        with torch.no_grad():
            torch.testing.assert_close(network.body.get_classifier()(features), logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [(80, 60), (41, 97), (400, 30)])
@pytest.mark.parametrize("name", TINY)
def test_what_a_backbone_sees_is_timms_transform(tiny, name, size):
    """Normalised by the network, which takes plain pixels."""
    model, picture = tiny[name], paint(*size)
    keys = ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std")
    expected = create_transform(**{key: model.transform[key] for key in keys})(crop_to(picture, model.transform))
    pixels = model.pixels([picture])
    assert pixels.shape == (1, *model.transform["input_size"])
    assert 0 <= pixels.min() <= pixels.max() <= 1
    given = []
    hook = model.network.body.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0]))
    try:
        with torch.no_grad():
            model.network(pixels)
    finally:
        hook.remove()
    torch.testing.assert_close(given[0][0], expected, rtol=1e-5, atol=1e-5)


def test_pictures_of_all_sizes_make_one_batch(tiny):
    pictures = [paint(80, 60), paint(33, 200), Image.new("RGB", (1, 1), (255, 0, 0)), Image.new("RGB", (1, 20_000))]
    model = tiny["wide"]
    pixels = model.pixels(pictures)
    assert pixels.shape == (4, 3, 32, 48)
    torch.testing.assert_close(pixels[2, :, 5, 5], torch.tensor([1.0, 0, 0]))
    for index, picture in enumerate(pictures):
        torch.testing.assert_close(pixels[index : index + 1], model.pixels([picture]))
        assert isinstance(model.view(picture), View)


def test_timms_own_configuration_is_used_where_a_row_has_none(tmp_path):
    """As for hub weights: the file is read by timm, with the transform of its tag."""
    torch.manual_seed(0)
    body = timm.create_model("test_vit.r160_in1k", pretrained=False)
    weights = Files((tmp_path / "weights.safetensors",))
    save_file(body.state_dict(), weights.paths[0])
    plain = Backbone(
        "test",
        "imagenet",
        "ViT",
        "test_vit.r160_in1k",
        1,
        0.5,
        source=weights,
        transform=None,
    )
    model = load(plain, CPU, Fetcher())
    for key, value in body.state_dict().items():
        torch.testing.assert_close(model.network.body.state_dict()[key], value, rtol=0, atol=0)
    assert tuple(model.transform["input_size"]) == (3, 160, 160)
    assert model.labels == imagenet_labels()
    assert model.pixels([paint(50, 40)]).shape == (1, 3, 160, 160)


def test_imagenet_has_a_thousand_classes_with_different_names():
    names = imagenet_labels()
    assert len(names) == len(set(names)) == 1000
    assert names[0].startswith("tench")
    assert names[134] == "crane (class 134)" != names[517] == "crane (class 517)"
    assert all(name.strip() for name in names)
    assert labels_of(row("a")) == ("a", "b")


# files that are damaged or missing


@pytest.fixture
def files(tmp_path):
    return write_backbone(tmp_path, "vit").source.paths[0], tmp_path / "vit.json"


def one_sentence(error: Exception) -> bool:
    text = str(error)
    return "\n" not in text and 20 < len(text) < 400 and "Traceback" not in text


def test_missing_weights(files):
    files[0].unlink()
    with pytest.raises(WeightsError, match=r"vit\.safetensors are missing beside vit\.json") as raised:
        read_sidecar(files[1])
    assert one_sentence(raised.value)


def test_weights_that_vanish_after_the_start(files):
    known = read_sidecar(files[1])
    files[0].unlink()
    with pytest.raises(WeightsError) as raised, Models("cpu").use([known]):
        pass
    assert one_sentence(raised.value)


@pytest.mark.parametrize(
    "key",
    [
        *("name", "collection", "family", "architecture", "parameters", "validation_accuracy", "labels", "transform"),
        *("arguments", "temperature", "licence", "test_accuracy", "recipe", "trained_on"),
    ],
)
def test_a_json_file_that_lacks_something(files, key):
    data = json.loads(files[1].read_text())
    del data[key]
    files[1].write_text(json.dumps(data))
    with pytest.raises(WeightsError, match=rf"vit\.json is damaged .*{key}") as raised:
        read_sidecar(files[1])
    assert one_sentence(raised.value)


@pytest.mark.parametrize("key", ["input_size", "mean", "std"])
def test_a_transform_that_lacks_something(files, key):
    data = json.loads(files[1].read_text())
    del data["transform"][key]
    files[1].write_text(json.dumps(data))
    with pytest.raises(WeightsError, match=key):
        read_sidecar(files[1])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00", b'"vit"', b"null"])
def test_a_json_file_that_is_none(files, content):
    files[1].write_bytes(content)
    with pytest.raises(WeightsError, match=r"vit\.json is damaged") as raised:
        bundled(files[1].parent)
    assert one_sentence(raised.value)


@pytest.mark.parametrize("damage", ["cut short", "empty", "no safetensors", "another architecture", "other classes"])
def test_damaged_weights(files, damage):
    known, whole = read_sidecar(files[1]), files[0].read_bytes()
    match damage:
        case "cut short":
            files[0].write_bytes(whole[: len(whole) // 2])
        case "empty":
            files[0].write_bytes(b"")
        case "no safetensors":
            files[0].write_bytes(b"<html>not found</html>" * 100)
        case "another architecture":
            save_file({"weight": torch.zeros(3)}, files[0])
        case "other classes":
            known = replace(known, labels=(*known.labels, "eel"))
    with pytest.raises(WeightsError, match="The weights of vit do not fit") as raised, Models("cpu").use([known]):
        pass
    assert one_sentence(raised.value)


def test_outputs_have_to_be_as_many_as_labels(tmp_path):
    body = timm.create_model("test_vit.r160_in1k", pretrained=False, num_classes=1000)
    weights = Files((tmp_path / "weights.safetensors",))
    save_file(body.state_dict(), weights.paths[0])
    plain = Backbone(
        "test",
        "x",
        "ViT",
        "test_vit.r160_in1k",
        1,
        0.5,
        source=weights,
        labels=("a", "b"),
    )
    with pytest.raises(WeightsError, match=r"test do not fit .*\[1000, 64\].*\[2, 64\]"):
        load(plain, CPU, Fetcher())


# the catalogue


def test_the_catalogue_gives_what_is_asked_for_in_its_order(catalogue):
    assert [one.name for one in catalogue.get("tiny", ["resnet", "vit"])] == ["resnet", "vit"]
    assert catalogue.collections() == ["tiny"]
    assert [one.name for one in catalogue.members("tiny")] == list(TINY)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "No backbone is chosen; allowed: one or more of vit, wide"),
        (["vit", "vit"], "chosen twice"),
        (["vit", "bert"], "Unknown tiny backbone 'bert'; allowed: vit, wide"),
    ],
)
def test_the_catalogue_refuses(catalogue, names, message):
    with pytest.raises(VitdemoError, match=message):
        catalogue.get("tiny", names)


def test_an_unknown_collection_names_the_known_ones(catalogue):
    with pytest.raises(UnknownNameError, match="Unknown collection 'huge'; allowed: tiny"):
        catalogue.get("huge", ["vit"])


def test_two_backbones_of_one_name_are_refused(rows):
    with pytest.raises(VitdemoError, match="are called 'vit'"):
        Catalogue([rows["vit"]]).plus([rows["vit"]])
    other = replace(rows["vit"], collection="other")
    assert Catalogue([rows["vit"]]).plus([other]).collections() == ["tiny", "other"]


def test_what_is_suggested_is_of_different_families(rows):
    families = {"vit": "ViT", "registers": "ViT", "beit": "BEiT", "resnet": "ResNet"}
    known = Catalogue([replace(rows[name], family=family) for name, family in families.items()])
    assert known.suggested("tiny", 2) == sorted(known.suggested("tiny", 2), key=list(families).index)
    assert len({families[name] for name in known.suggested("tiny", 3)}) == 3
    assert "registers" not in known.suggested("tiny", 3)  # it has more parameters than "vit"


def test_the_default_catalogue_is_in_order():
    """Names, sizes and labels are there without a network, and every collection has something to suggest."""
    known = default_catalogue()
    for collection in known.collections():
        names = known.suggested(collection)
        rows = known.get(collection, names)
        assert len({labels_of(one) for one in known.members(collection)}) == 1
        assert all(0 < one.accuracy <= 1 and one.parameters > 0 and one.temperature > 0 for one in rows)
    for one in known:
        assert one.source is not None, one.name
        assert timm.is_model(one.architecture), one.name
