"""The README tells the truth about the tree."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOT_MAPPED = {"README.md", "__pycache__", "out"}


def mapped() -> dict[str, str]:
    block = README.split("## Map of the files")[1].split("```")[1]
    return dict(re.split(r"\s{2,}", line, maxsplit=1) for line in block.strip().splitlines())


def test_map_names_what_is_there_and_nothing_else():
    there = {path.name + ("/" if path.is_dir() else "") for path in ROOT.iterdir() if not path.name.startswith(".")}
    there -= {"vitdemo/", "assets/"} | {name + end for name in NOT_MAPPED for end in ("", "/")}
    for folder in ("vitdemo", "assets"):
        for path in (ROOT / folder).iterdir():
            if path.name not in NOT_MAPPED:
                there.add(f"{folder}/{path.name}" + ("/" if path.is_dir() else ""))
    there = {name for name in there if not re.match(r"(venv|env|node_modules)/", name)}
    assert set(mapped()) == there


def test_every_line_of_the_map_says_something():
    assert all(len(words) > 3 for words in mapped().values())


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_links_lead_somewhere(link):
    assert (ROOT / link).is_file()


def test_measured_tables_are_filled():
    for name in ("evaluate", "bench"):
        table = README.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
        assert table.count("|") > 20 and re.search(r"\d", table), name


def test_front_matter_is_what_a_space_needs():
    front = dict(re.findall(r"^(\w+): (.+)$", README.split("---")[1], re.MULTILINE))
    assert front["sdk"] == "gradio" and front["app_file"] == "app.py" and front["license"] == "apache-2.0"
    assert len(front["short_description"]) <= 60
    required = re.search(r"gradio>=([\d.]+)", (ROOT / "requirements.txt").read_text())[1]
    assert front["sdk_version"].startswith(required)
