"""The host's flags: sizes, names, and rows made from what timm saved."""

import argparse
import json

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf

from tests.conftest import TINY, paint
from tests.hub import HubServer, keep_to_this_machine, tiny_files
from vitdemo import host
from vitdemo.backbones import bundled, default_catalogue
from vitdemo.errors import VitdemoError, WeightsError
from vitdemo.models import imagenet_labels
from vitdemo.predict import predict
from vitdemo.sources import Hub
from vitdemo.weights import Fetcher

BIRDS = ("jay", "kite", "lark")


def flags(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    host.add_arguments(parser)
    return parser.parse_args(words)


def last(*backbones: str, fetcher=None):
    """The row of the last --backbone."""
    words = [word for backbone in backbones for word in ("--backbone", backbone)]
    return list(host.catalogue(flags(*words), fetcher))[-1]


def save(folder, name: str = "resnet", classes: int = len(BIRDS), **config):
    """A classifier as timm saves it, with what is added to its config.json; returns the classifier."""
    architecture, arguments, size = TINY[name]
    torch.manual_seed(1)
    body = timm.create_model(architecture, num_classes=classes, **arguments).eval()
    save_for_hf(body, folder, model_config=config, model_args=arguments, safe_serialization=True)
    edit(folder, lambda saved: saved["pretrained_cfg"].update(input_size=[3, *size]))
    return body


def edit(folder, change) -> None:
    path = folder / "config.json"
    saved = json.loads(path.read_text())
    change(saved)
    path.write_text(json.dumps(saved))


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GiB", 2 << 30), ("0.5GiB", 1 << 29), ("500MB", 500_000_000), ("1 kB", 1000), ("12", 12), ("3mib", 3 << 20)],
)
def test_sizes(text, size):
    assert host.size_of(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1GiB", "0.0MB", "2 apples", "nan", "1e9", "inf", "9" * 400])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(VitdemoError, match=r"--memory is .*allowed: a positive size such as 2GiB"):
        host.size_of(text)


def test_device_and_memory_reach_the_cache():
    models = host.models(flags("--device", "cpu", "--memory", "100MB"))
    assert (models.device.type, models.memory) == ("cpu", 100_000_000)
    with pytest.raises(VitdemoError, match="Unknown device 'tpu'"):
        host.models(flags("--device", "tpu"))


def test_without_backbones_the_catalogue_is_the_default():
    assert list(host.catalogue(flags())) == list(default_catalogue())


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("birds", "allowed: NAME="),
        ("birds=owner/repo", "allowed: NAME="),
        ("birds=ftp:owner/repo", "allowed: NAME="),
        ("birds=hf-hub:", "allowed: NAME="),
        ("Birds=local-dir:x", "a-z, 0-9, _ and -"),
        ("../birds=local-dir:x", "a-z, 0-9, _ and -"),
        ("=local-dir:x", "a-z, 0-9, _ and -"),
        ("vit=local-dir:x", "is taken"),
        ("flowers=local-dir:x", "is taken"),
        ("fused=local-dir:x", "is taken"),
        ("birds=local-dir:/no/such/folder", "is no folder"),
    ],
)
def test_a_bad_flag_is_one_sentence(flag, says):
    with pytest.raises(VitdemoError, match=says):
        host.catalogue(flags("--backbone", flag))


def test_a_name_given_twice_is_taken(tmp_path):
    save(tmp_path, label_names=BIRDS)
    with pytest.raises(VitdemoError, match="'birds', which is taken"):
        last(f"birds=local-dir:{tmp_path}", f"birds=local-dir:{tmp_path}")


@pytest.mark.parametrize("name", ["resnet", "wide"])
def test_a_local_backbone_says_what_its_classifier_says(tmp_path, models, name):
    body = save(tmp_path, name, label_names=list(BIRDS))
    row = last(f"birds=local-dir:{tmp_path}")
    assert (row.name, row.collection, row.labels) == ("birds", "birds", BIRDS)
    assert row.parameters == sum(p.numel() for p in body.parameters())
    with models.use([row]) as (model,):
        pixels = model.pixels([paint(70, 50)])
        assert pixels.shape[-2:] == TINY[name][2]
        said = predict(model, pixels).logits
    mean, std = (torch.tensor(row.transform[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        expected = body((pixels - mean) / std).numpy()
    np.testing.assert_allclose(said, expected, atol=1e-5)


def test_the_same_classes_are_one_collection(tmp_path):
    flowers = bundled()[0].labels
    for name, labels in {"a": BIRDS, "b": BIRDS, "c": BIRDS[::-1], "d": flowers}.items():
        (tmp_path / name).mkdir()
        save(tmp_path / name, classes=len(labels), label_names=labels)
    words = [word for name in "abcd" for word in ("--backbone", f"my-{name}=local-dir:{tmp_path / name}")]
    rows = {row.name: row.collection for row in host.catalogue(flags(*words))}
    assert [rows[f"my-{name}"] for name in "abcd"] == ["my-a", "my-a", "my-c", "flowers"]


def test_labels_come_from_a_file_or_from_descriptions(tmp_path):
    save(tmp_path, label_names=["n1", "n2", "n3"])
    assert last(f"x=local-dir:{tmp_path}").labels == ("n1", "n2", "n3")
    edit(tmp_path, lambda saved: saved.update(label_descriptions={"n3": "lark", "n1": "jay"}))
    assert last(f"x=local-dir:{tmp_path}").labels == ("jay", "n2", "lark")
    edit(tmp_path, lambda saved: saved.update(label_descriptions={"n1": "jay", "n2": "jay", "n3": "lark"}))
    assert last(f"x=local-dir:{tmp_path}").labels == ("jay (class 0)", "jay (class 1)", "lark")
    edit(tmp_path, lambda saved: saved.pop("label_names"))
    edit(tmp_path, lambda saved: saved.update(label_descriptions=dict(zip("abc", BIRDS, strict=True))))
    assert last(f"x=local-dir:{tmp_path}").labels == BIRDS
    (tmp_path / "labels.txt").write_text("Eichelhäher\nMilan\nLerche\n", encoding="utf-8")
    assert last(f"x=local-dir:{tmp_path}").labels == ("Eichelhäher", "Milan", "Lerche")


def test_classes_without_names_are_refused_unless_they_are_imagenets(tmp_path):
    save(tmp_path)
    with pytest.raises(WeightsError, match=r"names no classes, and the model has 3: put label_names"):
        last(f"x=local-dir:{tmp_path}")
    (tmp_path / "labels.txt").write_text("one\ntwo\n")
    with pytest.raises(WeightsError, match=r"labels.txt' names 2 classes, and the model has 3"):
        last(f"x=local-dir:{tmp_path}")
    (tmp_path / "labels.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(WeightsError, match="expected UTF-8"):
        last(f"x=local-dir:{tmp_path}")


@pytest.mark.parametrize("names", ["synsets", "words"])
def test_imagenet_is_known_by_its_names(tmp_path, names):
    synsets = timm.data.ImageNetInfo().label_names()
    save(tmp_path, classes=1000, label_names=synsets if names == "synsets" else [])
    if names == "words":
        (tmp_path / "labels.txt").write_text("\n".join(imagenet_labels()))
    row = last(f"x=local-dir:{tmp_path}")
    assert (row.labels, row.collection) == ((), "imagenet")


def test_accuracy_is_what_the_config_says_or_that_of_the_others(tmp_path):
    save(tmp_path, label_names=BIRDS)
    assert last(f"a=local-dir:{tmp_path}").accuracy == 1.0  # alone
    edit(tmp_path, lambda saved: saved.update(validation_accuracy=0.8))
    assert last(f"a=local-dir:{tmp_path}").accuracy == 0.8
    (tmp_path / "b").mkdir()
    save(tmp_path / "b", label_names=BIRDS)
    assert last(f"a=local-dir:{tmp_path}", f"b=local-dir:{tmp_path / 'b'}").accuracy == 0.8
    for wrong in (97.5, 0, "high", True):
        edit(tmp_path, lambda saved, wrong=wrong: saved.update(validation_accuracy=wrong))
        with pytest.raises(WeightsError, match="allowed: above 0, up to 1"):
            last(f"a=local-dir:{tmp_path}")


def test_weights_of_another_architecture_are_found_out_at_the_start(tmp_path):
    save(tmp_path, label_names=BIRDS)
    edit(tmp_path, lambda saved: saved["model_args"].update(stem_width=16))
    with pytest.raises(WeightsError, match=r"do not fit the architecture resnet10t.* of another shape \(such as"):
        last(f"x=local-dir:{tmp_path}")
    edit(tmp_path, lambda saved: saved["model_args"].update(stem_width=8))
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("fc.bias")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"1 missing \(such as 'fc.bias'\)"):
        last(f"x=local-dir:{tmp_path}")


def test_what_timm_cannot_build_or_feed_is_refused(tmp_path):
    save(tmp_path, label_names=BIRDS)
    edit(tmp_path, lambda saved: saved["model_args"].update(no_such_argument=1))
    with pytest.raises(WeightsError, match=r"timm cannot build resnet10t with .*no_such_argument"):
        last(f"x=local-dir:{tmp_path}")
    edit(tmp_path, lambda saved: saved["model_args"].pop("no_such_argument"))
    edit(tmp_path, lambda saved: saved["pretrained_cfg"].update(input_size=[1, 32, 32]))
    with pytest.raises(WeightsError, match=r"input_size of x is \[1, 32, 32\]; allowed: .*3 for red, green and blue"):
        last(f"x=local-dir:{tmp_path}")


def test_a_backbone_of_a_hub_needs_its_config_now_and_its_weights_later(tmp_path, monkeypatch):
    keep_to_this_machine(monkeypatch)
    with HubServer() as hub:
        hub.add_repository("lab/tiny", tiny_files(label_names=BIRDS))
        fetcher = Fetcher(tmp_path, endpoint=hub.endpoint)
        revision = hub.commit("lab/tiny")
        row = last(f"birds=hf-hub:lab/tiny@{revision}", fetcher=fetcher)
        assert (row.source, row.labels) == (Hub("lab/tiny", revision), BIRDS)
        assert hub.count("GET", "model.safetensors") == 0
        with host.models(flags("--device", "cpu"), fetcher).use([row]) as (model,):
            assert predict(model, model.pixels([paint(70, 50)])).probabilities.shape == (1, 3)
            assert sum(p.numel() for p in model.network.parameters()) == row.parameters
        assert hub.count("GET", "model.safetensors") == 1
        with pytest.raises(WeightsError, match="no revision 'v9'"):
            last("birds=hf-hub:lab/tiny@v9", fetcher=fetcher)
        with pytest.raises(WeightsError, match="no repository 'lab/none'"):
            last("birds=hf-hub:lab/none", fetcher=fetcher)


def test_timms_own_repositories_are_filled_by_timm(tmp_path, monkeypatch):
    """Their files may have their authors' keys, which timm's own tag knows how to read."""
    keep_to_this_machine(monkeypatch)
    tagged = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    config = {
        "architecture": tagged.split(".")[0],
        "num_classes": 1000,
        "pretrained_cfg": {"tag": tagged.split(".")[1]},
    }
    with HubServer() as hub:
        hub.add(f"timm/{tagged}", "config.json", json.dumps(config).encode())
        hub.add(f"lab/{tagged}", "config.json", json.dumps(config).encode())
        fetcher = Fetcher(tmp_path, endpoint=hub.endpoint)
        own = last(f"a=hf-hub:timm/{tagged}", fetcher=fetcher)
        other = last(f"a=hf-hub:lab/{tagged}", fetcher=fetcher)
    assert (own.architecture, own.transform) == (tagged, None)
    assert other.architecture == tagged.split(".")[0] and other.transform["input_size"] == (3, 224, 224)
    assert own.parameters == 5_717_416  # as the paper's table says, 5.7 million


def test_a_skeleton_has_shapes_and_no_memory():
    body = host.skeleton("vit_base_patch16_224", 1000, {})
    assert {p.device.type for p in body.parameters()} == {"meta"}
    assert sum(p.numel() for p in body.parameters()) == 86_567_656
