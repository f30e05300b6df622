"""What a program does, with Gradio's own client."""

import ast
import base64
import io
import json

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.conftest import paint
from vitdemo.backbones import Catalogue, bundled
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
        trust=False,
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
    known = Catalogue(bundled())
    assert set(result["backbones"]) == set(known.suggested(known.collections()[0]))
    assert set(result["maps"]) == {"fused", *result["backbones"]} and not result["trust"]
    assert result["elsewhere"]["collection"] == "imagenet" and 0 < result["elsewhere"]["probability"] <= 1
    assert result["picture"]["name"] == "picture.png" and result["broken"] == {}
    judged = client.predict(picture=picture_file, backbones=["swin"], trust=True, api_name="/analyse")[0]
    assert set(judged["trust"]) == {"fused", "swin"}


ENDPOINTS = {
    "/analyse": [
        "picture",
        "collection",
        "backbones",
        "fusion",
        "explanations",
        "target",
        "against",
        "trust",
        "options",
    ],
    "/predict": ["picture", "collection", "backbones", "fusion"],
    "/explain": ["picture", "method", "subject", "collection", "backbones", "fusion", "target", "against", "options"],
    "/scrutinise": ["picture", "method", "subject", "collection", "backbones", "fusion", "target", "options"],
    "/attention": ["picture", "backbone", "layer", "head", "token", "collection"],
    "/attack": ["picture", "epsilon", "method", "steps", "subject", "collection", "backbones", "fusion"],
    "/backbones": ["collection"],
    "/methods": [],
}


def test_every_argument_is_documented(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert {
        name: [parameter["parameter_name"] for parameter in endpoint["parameters"]]
        for name, endpoint in endpoints.items()
    } == ENDPOINTS
    for endpoint in endpoints.values():
        assert all(parameter["label"] for parameter in endpoint["parameters"])
        assert [one["parameter_name"] for one in endpoint["parameters"] if not one["parameter_has_default"]] in (
            ["picture"],
            [],
        )


def test_predictions_alone(client, picture_file):
    result = client.predict(picture=picture_file, backbones=["vit", "resnet"], api_name="/predict")
    each = [result["backbones"][name]["probabilities"]["roses"] for name in ("vit", "resnet")]
    assert result["fused"]["probabilities"]["roses"] == pytest.approx(sum(each) / 2, abs=1e-6)
    assert all(result["maps"][subject] == {} for subject in result["maps"])


def test_one_map_of_one_backbone(client, picture_file):
    drawing, about = client.predict(
        picture=picture_file, method="rollout", subject="vit", target="tulips", api_name="/explain"
    )
    assert load(drawing).width > 300
    assert about["subject"] == "vit" and about["target"] == "tulips" and about["class_specific"] is False
    assert np.array(about["values"]).shape == tuple(about["shape"]) and "limits" in about
    with pytest.raises(AppError, match="No rollout of resnet: a convolutional network has no attention"):
        client.predict(picture=picture_file, method="rollout", subject="resnet", api_name="/explain")


def test_one_map_of_the_fusion(client, picture_file):
    about = client.predict(
        picture=picture_file, method="gradient", subject="fused", backbones=["vit", "resnet"], api_name="/explain"
    )[1]
    assert about["subject"] == "fused" and 0 < about["probability"] <= 1


def test_two_classes_compared_by_one_map(client, picture_file):
    """What speaks for one class against another speaks, with its sign turned, for the other against the one."""
    told = [
        client.predict(
            picture=picture_file, method="occlusion", subject="vit", target=target, against=against, api_name="/explain"
        )[1]
        for target, against in (("tulips", "roses"), ("roses", "tulips"), ("tulips", ""))
    ]
    one, other, alone = told
    assert (one["target"], one["against"]) == ("tulips", "roses") == (other["against"], other["target"])
    assert one["against_probability"] == other["probability"] != one["probability"] == alone["probability"]
    assert alone["against"] is None and alone["against_probability"] is None
    values, turned, single = (np.array(each["values"]) for each in told)
    assert np.abs(values).max() > 0 and np.allclose(values, -turned, atol=1e-6) and not np.allclose(values, single)


def test_the_main_job_compares_too(client, picture_file):
    given = {"picture": picture_file, "backbones": ["vit"], "explanations": []}
    ranked = sorted(
        client.predict(**given, api_name="/analyse")[0]["fused"]["probabilities"].items(), key=lambda one: -one[1]
    )
    result = client.predict(**given, target=ranked[2][0], against="second", api_name="/analyse")[0]
    assert (result["target"], result["against"]) == (ranked[2][0], ranked[1][0])


def test_how_far_to_believe_one_map(client, picture_file):
    found = client.predict(
        picture=picture_file, method="gradient", subject="resnet", target="roses", api_name="/scrutinise"
    )
    assert (found["subject"], found["method"], found["target"]) == ("resnet", "gradient", "roses")
    assert abs(found["random_all"]) < 0.9 and found["sensitivity"] > 0 and found["infidelity"]["value"] >= 0
    assert found["trust"]["word"].endswith("than chance") or found["trust"]["word"] == "like chance"
    with pytest.raises(AppError, match="no rollout of resnet"):
        client.predict(picture=picture_file, subject="resnet", api_name="/scrutinise")


def test_what_a_token_attends_to(client, picture_file):
    one = client.predict(picture=picture_file, backbone="vit", layer=0, head=1, token=3, api_name="/attention")
    rows, columns = one["grid"]
    assert len(one["weights"]) == rows * columns + len(one["prefix"]) and sum(one["weights"]) == pytest.approx(
        1, abs=1e-3
    )
    best = one["strongest"][0]
    assert best["weight"] == pytest.approx(max(one["weights"][len(one["prefix"]) :]), abs=1e-6)
    mean = client.predict(picture=picture_file, backbone="vit", api_name="/attention")
    assert mean["layer"] == mean["layers"] - 1 and mean["strongest"] == []
    assert sum(mean["weights"]) == pytest.approx(1, abs=1e-3)


def test_an_attack_keeps_within_its_bound(client, picture_file):
    outcome, attacked, change = client.predict(
        picture=picture_file, epsilon=3, method="fgsm", backbones=["vit", "resnet"], api_name="/attack"
    )
    before, after = outcome["before"], outcome["after"]
    fallen = {name for name in before if before[name]["label"] != after[name]["label"]}
    assert outcome["verdict"] == ("nobody" if not fallen else "falls" if "fused" in fallen else "resists")
    assert set(before) == {"fused", "vit", "resnet"} and outcome["largest"] <= 3
    moved = np.asarray(load(attacked), int) - np.asarray(paint(96, 64), int)
    assert np.abs(moved).max() == outcome["largest"] > 0 and load(change).size == (96, 64)


def test_what_there_is_to_choose(client):
    rows = client.predict(collection="flowers", api_name="/backbones")
    assert {"dino", "hybrid", "lite"} <= {row["name"] for row in rows}
    assert {row["collection"] for row in rows} == {"flowers"}
    methods = client.predict(api_name="/methods")
    assert methods["options"]["steps"]["default"] == 32 and "rollout" in methods["explanations"]


@pytest.mark.parametrize(
    ("endpoint", "given", "words"),
    [
        ("/attention", {"backbone": "resnet"}, "resnet cannot be examined"),
        ("/attention", {"layer": 99}, "layer is 99; allowed: -1 to"),
        ("/attention", {"token": 1.5}, "token is 1.5; allowed: a whole number"),
        ("/attention", {"token": "first"}, "token is 'first'; allowed: a whole number"),
        ("/attack", {"epsilon": 400}, "epsilon is '400'; allowed"),
        ("/attack", {"subject": "vit", "backbones": ["resnet"]}, "'vit' cannot be attacked"),
        ("/explain", {"subject": "hf-hub:somebody/something"}, "Unknown flowers backbone 'hf-hub:somebody/something'"),
        ("/explain", {"target": "roses", "against": "roses"}, "roses is to be compared with itself"),
        ("/explain", {"against": "nettle"}, "Unknown target class 'nettle'"),
        ("/explain", {"method": "feeling"}, "Unknown explanation 'feeling'"),
        ("/explain", {"options": [3]}, "options is \\[3\\]; allowed: an object"),
        ("/attack", {"method": "hope"}, "Unknown attack 'hope'"),
        ("/predict", {"collection": "cars"}, "Unknown collection 'cars'"),
        ("/predict", {"collection": 5}, "collection is 5; allowed: a text"),
        ("/predict", {"backbones": "vit"}, "backbones is 'vit'; allowed: a list of texts"),
        ("/predict", {"fusion": "hope"}, "Unknown fusion 'hope'"),
        ("/analyse", {"trust": "yes"}, "trust is 'yes'; allowed: true or false"),
    ],
)
def test_every_endpoint_says_what_is_wrong(client, server_log, picture_file, endpoint, given, words):
    before = len(server_log.read_text())
    with pytest.raises(AppError, match=words):
        client.predict(picture=picture_file, **given, api_name=endpoint)
    assert "Traceback" not in server_log.read_text()[before:]


def test_nothing_sent_is_what_is_documented(client, picture_file):
    given = {"collection": None, "backbones": ["vit"], "fusion": None}
    assert set(client.predict(picture=picture_file, **given, api_name="/predict")["backbones"]) == {"vit"}


def told_by_mcp(server: str, *calls: tuple[str, dict]):
    """The tools by their endpoint's name, and what each call of one answers, with its progress asked for."""
    pytest.importorskip("mcp", reason='MCP needs: pip install "gradio[mcp]"')
    import asyncio

    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def heard(progress, total, message):
        pass

    async def talk():
        async with (
            streamablehttp_client(f"{server}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = {tool.name.rpartition("_")[2]: tool for tool in (await session.list_tools()).tools}
            answers = [
                await session.call_tool(tools[name].name, given, progress_callback=heard) for name, given in calls
            ]
            return tools, answers

    return asyncio.run(talk())


def test_the_endpoints_are_mcp_tools(server):
    tools, (asked,) = told_by_mcp(server, ("backbones", {"collection": "flowers"}))
    assert {f"/{name}" for name in tools} == set(ENDPOINTS)
    for name, tool in tools.items():
        assert list(tool.inputSchema["properties"]) == ENDPOINTS[f"/{name}"] and tool.description
        assert all(one.get("description") for one in tool.inputSchema["properties"].values())
    assert not asked.isError and "hybrid" in asked.content[0].text


def test_mcp_tools_take_a_picture_and_give_pictures(server):
    """A picture goes in as a data URI, and comes out as one that a language model can see."""
    buffer = io.BytesIO()
    paint(96, 64).save(buffer, "PNG")
    picture = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    two = {"picture": picture, "backbones": ["vit", "resnet"]}
    _, answers = told_by_mcp(
        server,
        ("predict", two),
        ("analyse", {**two, "explanations": ["rollout"], "options": {"head_fusion": "max"}}),
        (
            "explain",
            {"picture": picture, "method": "gradient", "subject": "vit", "target": "tulips", "against": "roses"},
        ),
        ("attention", {"picture": picture, "head": 1}),
        ("attack", {**two, "method": "fgsm"}),
        ("explain", {"picture": picture, "target": "nettle"}),
        ("predict", {"picture": "rose.jpg"}),
    )
    *good, unknown, no_address = answers
    assert [answer.content[0].text for answer in good if answer.isError] == []
    predicted, analysed, explained, attended, attacked = (answer.content for answer in good)
    assert set(ast.literal_eval(predicted[0].text)["backbones"]) == {"vit", "resnet"}
    result = ast.literal_eval(analysed[0].text)
    assert result["settings"]["options"]["head_fusion"] == "max"
    about = ast.literal_eval(explained[-1].text)
    assert (about["target"], about["against"]) == ("tulips", "roses")
    assert len(ast.literal_eval(attended[0].text)["weights"]) == 65
    assert ast.literal_eval(attacked[0].text)["largest"] <= 4
    for content, count in ((analysed, 1), (explained, 1), (attacked, 2)):
        drawn = [base64.b64decode(part.data) for part in content if part.type == "image"]
        assert [load(data).width >= 96 for data in drawn] == [True] * count
    assert unknown.isError and "Unknown target class 'nettle'" in unknown.content[0].text
    assert no_address.isError and "provide a url" in no_address.content[0].text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"backbones": ["hf-hub:somebody/something"]}, "Unknown flowers backbone 'hf-hub:somebody/something'"),
        ({"fusion": "magic"}, "Unknown fusion 'magic'"),
        ({"collection": "cars"}, "Unknown collection 'cars'"),
        ({"target": "nettle"}, "Unknown target class"),
        ({"options": {"steps": 10**9}}, "steps is"),
        ({"options": {"nothing": 1}}, "Unknown options"),
        ({"options": 3}, "options is 3; allowed: an object"),
        ({"explanations": ["feeling"]}, "Unknown explanation 'feeling'"),
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
