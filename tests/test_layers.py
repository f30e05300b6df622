"""The house's floors, read from the source: arrows between modules run one way, and importing does nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "vitdemo"

# From the ground up. A module may import from lower floors, and from its own floor.
FLOORS = [
    {"types", "errors", "console", "defaults", "naming"},
    {"registry", "views", "stages", "address", "labels", "lettering", "recorded"},
    {"images", "folders", "attention", "samples", "draw", "charts", "transformers_format", "architectures"},
    {"weights", "sources", "backbones", "cards", "checkpoint"},
    {"models"},
    {"predict", "fusion"},
    {"explain"},
    {"faithfulness"},
    {"pipeline", "evaluate", "training", "microscope", "whatif"},
    {"spaces"},
    {"host", "elsewhere", "prepared", "script", "scrutiny"},
    {"result", "bench", "study"},
    {"listing"},
    {"ui"},
    {"__main__", "app"},
]
ALONE = {  # what only one part may import
    "gradio": {"ui"},
    "captum": {"explain", "faithfulness", "whatif"},
    "huggingface_hub": {"weights"},
    "matplotlib": {"draw", "lettering"},
    "spaces": {"spaces"},
}


def part_of(path: Path) -> str:
    """ "fusion" of vitdemo/fusion/fused.py, "models" of vitdemo/models.py, "app" of app.py."""
    if path.parent == ROOT:
        return path.stem
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function, by its full name."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


FILES = sorted([*PACKAGE.rglob("*.py"), *ROOT.glob("*.py")])
PARTS = {path: part_of(path) for path in FILES if path != PACKAGE / "__init__.py"}


def floor_of(part: str) -> int:
    return next(index for index, floor in enumerate(FLOORS) if part in floor)


def test_every_part_has_its_floor():
    assert set(PARTS.values()) <= set.union(*FLOORS)
    assert sum(len(floor) for floor in FLOORS) == len(set.union(*FLOORS))


@pytest.mark.parametrize("path", PARTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_run_one_way(path):
    part = PARTS[path]
    parts = {name.split(".")[1] for name in imported(path) if name.startswith("vitdemo.")} - {part}
    upwards = {other for other in parts if any(other in floor for floor in FLOORS) and floor_of(other) > floor_of(part)}
    assert not upwards, f"{part} imports {upwards}, which lie above it"


def test_parts_of_one_floor_have_no_circle():
    arrows: dict[str, set[str]] = {part: set() for part in PARTS.values()}
    for path, part in PARTS.items():
        arrows[part] |= {name.split(".")[1] for name in imported(path) if name.startswith("vitdemo.")} & set(arrows)
        arrows[part].discard(part)
    while leaves := {part for part, others in arrows.items() if not others & set(arrows)}:
        arrows = {part: others for part, others in arrows.items() if part not in leaves}
    assert not arrows, f"these import each other: {sorted(arrows)}"


@pytest.mark.parametrize("library", ALONE)
def test_a_library_has_its_one_place(library):
    users = {PARTS[path] for path in PARTS if any(name.split(".")[0] == library for name in imported(path))}
    assert users <= ALONE[library]


def test_nobody_imports_pyplot():
    for path in FILES:
        assert not any(name.startswith("matplotlib.pyplot") for name in imported(path)), path


QUIET = """
import gc, importlib, socket, sys, threading

def refuse(*arguments, **keywords):
    sys.exit("a socket was opened")

socket.socket.bind = socket.socket.connect = socket.socket.listen = refuse
for name in sys.argv[1:]:
    importlib.import_module(name)
    left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if "torch" in sys.modules:
        import torch

        kinds = [type(thing).__module__ for thing in gc.get_objects() if isinstance(thing, torch.nn.Module)]
        left += [kind for kind in kinds if kind.startswith(("timm", "vitdemo"))]
    if left:
        sys.exit(f"{name} leaves {left}")
"""
ENTRANCES = ["app", "vitdemo.__main__", "vitdemo.pipeline", "vitdemo.ui.page", "vitdemo.evaluate", "vitdemo.bench"]


def test_importing_does_nothing():
    """No thread, no socket, no model."""
    command = [sys.executable, "-c", QUIET, *ENTRANCES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
