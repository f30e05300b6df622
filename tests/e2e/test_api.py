"""What a program does, with Gradio's own client."""

import json

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.conftest import paint
from vitdemo.images import load


@pytest.fixture(scope="module")
def client(server):
    return Client(server, verbose=False)


@pytest.fixture
def picture_file(tmp_path):
    path = tmp_path / "picture.png"
    paint(96, 64).save(path)
    return handle_file(str(path))


def test_the_main_job_by_name(client, picture_file):
    result, figure, maps = client.predict(
        picture=picture_file,
        collection="flowers",
        backbones=["vit", "resnet"],
        fusion="geometric",
        explanations=["rollout"],
        target="tulips",
        options={"head_fusion": "max"},
        api_name="/analyse",
    )
    if isinstance(result, str):
        result = json.loads(result)
    assert set(result["backbones"]) == {"vit", "resnet"} and result["target"] == "tulips"
    assert sum(result["fused"]["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert load(figure).width > 300
    assert np.load(maps)["vit/rollout"].ndim == 2


def test_a_picture_alone_is_enough(client, picture_file):
    result = client.predict(picture=picture_file, api_name="/analyse")[0]
    assert set(result["backbones"]) == {"vit", "hybrid", "resnet"}


def test_every_argument_is_documented(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert list(endpoints) == ["/analyse"]
    names = [parameter["parameter_name"] for parameter in endpoints["/analyse"]["parameters"]]
    assert names == ["picture", "collection", "backbones", "fusion", "explanations", "target", "options"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"backbones": ["hf-hub:somebody/something"]}, "not in the list of choices"),
        ({"fusion": "magic"}, "not in the list of choices"),
        ({"collection": "cars"}, "not in the list of choices"),
        ({"target": "nettle"}, "Unknown target class"),
        ({"options": {"steps": 10**9}}, "steps is"),
        ({"options": {"nothing": 1}}, "Unknown options"),
        ({"options": 3}, "Options are 3"),
        ({"explanations": ["feeling"]}, "not in the list of choices"),
    ],
)
def test_bad_input_gets_one_sentence(client, picture_file, given, words):
    with pytest.raises(AppError, match=words):
        client.predict(picture=picture_file, **given, api_name="/analyse")


def test_bad_picture_gets_one_sentence(client, tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("notes")
    with pytest.raises(AppError, match="JPEG, PNG, WebP, GIF"):
        client.predict(picture=handle_file(str(path)), api_name="/analyse")
