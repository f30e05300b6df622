"""What the demo costs: ratios to a plain forward pass of the same model, measured in the same run.

Ratios travel from machine to machine, seconds do not. What is compared runs in turn, A B B A A B …, and the median of
the pairs' ratios counts, so that a machine that grows slower meanwhile slows both. Two threads, as on a small server;
one for the quick answer, which has to come on a busy machine, too.
"""

import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from vitdemo import images, result
from vitdemo.attention import HEAD_FUSIONS, Recorder
from vitdemo.backbones import Backbone, Catalogue, bundled
from vitdemo.draw import COLOUR_MAPS, SCALES
from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.explain import Options, Subject, explain
from vitdemo.fusion import FusedModel
from vitdemo.models import Model, Models, Network, Progress
from vitdemo.pipeline import Request, analyse
from vitdemo.predict import predict
from vitdemo.samples import shipped
from vitdemo.sources import Files

THREADS = 2
ROOT = Path(__file__).parent.parent
PATIENCE = 180  # seconds until a start counts as failed


@dataclass(frozen=True)
class Figure:
    """One measured number beside its goal, which it should not exceed."""

    name: str
    value: float
    goal: float
    unit: str
    what: str

    @property
    def met(self) -> bool:
        return self.value <= self.goal


def bench(
    only: Sequence[str] | None = None, quick: bool = False, report: Callable[[str], None] = lambda text: None
) -> list[Figure]:
    """Measures.

    Args:
        only: names of `MEASUREMENTS`; None for all.
        quick: a small transformer and few repetitions.
        report: told what is being measured.

    Raises:
        UnknownNameError: no such measurement.
        VitdemoError: the page does not start.
    """
    names = list(MEASUREMENTS) if only is None else list(only)
    for name in names:
        if name not in MEASUREMENTS:
            raise UnknownNameError("measurement", name, list(MEASUREMENTS))
    figures = []
    with _threads(threads(quick)):
        for name in names:
            report(name)
            figures += MEASUREMENTS[name](quick)
    return figures


def threads(quick: bool) -> int:
    """How many threads the measurements use."""
    return 1 if quick else THREADS


def to_json(figures: Sequence[Figure], quick: bool = False) -> dict:
    """The figures by name, with stable keys."""
    return {
        "version": 1,
        "device": "cpu",
        "quick": quick,
        "threads": threads(quick),
        "figures": {one.name: {**asdict(one), "met": one.met} for one in figures},
    }


# -- attention and gradients ---------------------------------------------------------------------------------


def rollout(quick: bool) -> list[Figure]:
    """Prediction with rollout against a plain forward pass, and what is kept for it."""
    with _vit(quick) as subject:
        model, pixels = subject.models[0], subject.pixels[0]
        kept: list[torch.Tensor] = []

        def explained() -> None:
            with Recorder(HEAD_FUSIONS["mean"]) as recorder:
                predict(model, pixels)
            kept[:] = recorder.matrices
            explain("rollout", replace(subject, recordings=(recorder.matrices,)), Options())

        ratio = ratio_of(partial(_plain, model, pixels), explained, pairs=3 if quick else 15)
    return [
        Figure("rollout_time", ratio, 1.25, "plain forward passes", "prediction with attention rollout"),
        Figure("rollout_memory", matrices_per_layer(kept), 1.0, "tokens² in fp32 per layer", "attention kept for it"),
    ]


def matrices_per_layer(matrices: Sequence[torch.Tensor]) -> float:
    """Bytes kept over L N² 4, for L layers of N tokens."""
    tokens = matrices[0].shape[-1]
    return sum(m.numel() * m.element_size() for m in matrices) / (len(matrices) * tokens**2 * 4)


def gradients(quick: bool) -> list[Figure]:
    """Integrated gradients of 32 steps, each a forward and a backward pass, which cost about three forward passes."""
    with _vit(quick) as subject:
        heats = []

        def explained() -> None:
            heats.append(explain("integrated_gradients", subject, Options(steps=32)))

        ratio = ratio_of(partial(_plain, subject.models[0], subject.pixels[0]), explained, pairs=1 if quick else 3)
    taken = 2 * heats[-1].figures["steps"] - 32  # halving a piece leaves one more, for the price of two
    return [
        Figure("gradients_time", ratio * 32 / taken, 4.0 * 32, "plain forward passes", "integrated gradients, 32 steps")
    ]


def ordinary(quick: bool) -> list[Figure]:
    """All that one analysis of a picture computes as the page opens, predictions and the fused maps included, against a
    plain forward pass of its largest backbone."""
    catalogue, models = Catalogue(bundled()), Models("cpu")
    collection = catalogue.collections()[0]
    names = ("student",) if quick else tuple(catalogue.suggested(collection))
    request = Request(collection, names)
    picture = images.load(shipped()[0].file)
    rows = catalogue.get(collection, names)
    with models.use(rows) as loaded:
        largest = max(loaded, key=lambda model: model.backbone.parameters)
        pixels = largest.pixels([picture])
        ratio = ratio_of(
            partial(_plain, largest, pixels),
            partial(analyse, picture, request, catalogue, models),
            pairs=1 if quick else 5,
        )
    what = f"{', '.join(request.explanations)} of {', '.join(names)} and their fusion"
    return [Figure("ordinary_time", ratio, 20.0, f"plain forward passes of {largest.backbone.name}", what)]


@contextmanager
def _vit(quick: bool) -> Iterator[Subject]:
    """A ViT-B/16 with random weights that came the way of all weights, before a picture of noise."""
    size, arguments = (64, {"img_size": 64, "depth": 4}) if quick else (224, {})
    name = "vit_tiny_patch16_224" if quick else "vit_base_patch16_224"
    with tempfile.TemporaryDirectory() as folder:
        row = random_backbone(Path(folder), name, arguments, size)
        with Models("cpu", memory=row.bytes).use([row]) as (model,):
            picture = _noise(size)
            pixels = model.pixels([picture])
            scorer = FusedModel([model], "mean")
            yield Subject((model,), scorer, (pixels,), (model.view(picture),), np.ones(1), ([],), 0)


def random_backbone(folder: Path, architecture: str, arguments: dict, size: int) -> Backbone:
    """Writes random weights for a timm classifier of ImageNet's classes, and its row."""
    import timm
    from safetensors.torch import save_file

    body = timm.create_model(architecture, num_classes=1000, **arguments)
    nn.init.normal_(body.get_classifier().weight, std=0.02)  # timm starts it at 0, which has no gradient
    file = folder / "random.safetensors"
    save_file({key: value.half().contiguous() for key, value in body.state_dict().items()}, file)
    half = (0.5, 0.5, 0.5)
    return Backbone(
        name="random",
        collection="random",
        family="ViT",
        architecture=architecture,
        parameters=sum(p.numel() for p in body.parameters()),
        accuracy=1.0,
        source=Files((file,)),
        arguments=arguments,
        transform={"input_size": (3, size, size), "mean": half, "std": half, "crop_pct": 1.0, "crop_mode": "center"},
    )


def _noise(size: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))


def _plain(model: Model, pixels: torch.Tensor) -> None:
    with torch.inference_mode():
        model.network(pixels)


# -- the start of the page -----------------------------------------------------------------------------------


def start(quick: bool) -> list[Figure]:
    """`python app.py` until it answers, against a process that imports torch and gradio and does nothing."""
    port = _free_port()
    page = [sys.executable, str(ROOT / "app.py"), "--port", str(port)]
    imports = [sys.executable, "-c", "import torch, gradio"]
    ratio = start_ratio(imports, page, f"http://127.0.0.1:{port}/", pairs=1 if quick else 3)
    return [Figure("start_time", ratio, 1.5, "times `import torch, gradio`", "start of the page until it answers")]


def start_ratio(plain: Sequence[str], server: Sequence[str], address: str, pairs: int = 3) -> float:
    """Time until a server's command answers with 200, over the time that a plain command takes.

    Raises:
        VitdemoError: the server ends or does not answer in time.
    """
    return ratio_of(partial(subprocess.run, plain, check=True, cwd=ROOT), partial(_serve, server, address), pairs)


def _serve(command: Sequence[str], address: str) -> Callable[[], None]:
    """Waits for the first answer, and returns what ends the server."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            _await(process, address)
        except BaseException:
            process.kill()
            process.wait()
            raise

    def end() -> None:
        process.terminate()
        process.wait()

    return end


def _await(process: subprocess.Popen, address: str) -> None:
    late = time.monotonic() + PATIENCE
    while time.monotonic() < late:
        if process.poll() is not None:
            raise VitdemoError(f"{' '.join(process.args)} ended with {process.returncode} before it answered.")
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise VitdemoError(f"{' '.join(process.args)} did not answer within {PATIENCE} s.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# -- memory and drawing --------------------------------------------------------------------------------------


def cache(quick: bool) -> list[Figure]:
    """The weights that are alive at once, over the bound, while the bundled backbones are used one after the other."""
    rows = bundled()
    memory = int(1.5 * max(row.bytes for row in rows))  # room for one and a half of the largest
    return [Figure("cache", held_share(rows, memory), 1.0, "times --memory", "weights alive after using all bundled")]


def held_share(rows: Sequence[Backbone], memory: int) -> float:
    """Most bytes of parameters alive at once, over `memory`, while each row is used in turn, then the first again."""
    models, seen, most = Models("cpu", memory=memory), weakref.WeakSet(), 0
    for row in [*rows, rows[0]]:
        with models.use([row]) as loaded:
            seen.update(model.network for model in loaded)
        del loaded
        most = max(most, sum(p.numel() * p.element_size() for network in seen for p in network.parameters()))
    return most / memory


def redraw(quick: bool) -> list[Figure]:
    """Forward passes while only colour map, scale and opacity of a finished analysis change."""
    rows = bundled()
    models = CountingModels("cpu")
    request = Request(rows[0].collection, tuple(row.name for row in rows), explanations=("rollout",))
    analysis = analyse(_noise(96), request, Catalogue(rows), models)
    before = models.passes
    for change in _displays(quick):
        result.figure(analysis, **change)
    result.save_maps(analysis)
    passes = models.passes - before if before else float("nan")  # a count that never counts proves nothing
    return [Figure("redraw", passes, 0.0, "forward passes", "new colours, scale or opacity")]


def _displays(quick: bool) -> list[dict]:
    each = {"colour_map": COLOUR_MAPS.names(), "scale": SCALES.names(), "opacity": [0.0, 0.5, 1.0]}
    return [{name: value} for name, values in each.items() for value in (values[-1:] if quick else values)]


class CountingModels(Models):
    """Models that count how often a backbone is asked."""

    passes = 0

    @contextmanager
    def use(self, backbones: Sequence[Backbone], progress: Progress | None = None) -> Iterator[list[Model]]:
        with super().use(backbones, progress) as loaded:
            yield [replace(model, network=_Counted(model.network, self)) for model in loaded]


class _Counted(nn.Module):
    """A network that is counted when it is asked."""

    def __init__(self, network: Network, models: CountingModels):
        super().__init__()
        self.body, self.network = network.body, network
        self.count = lambda: setattr(models, "passes", models.passes + 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.count()
        return self.network(pixels)

    def embed(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.count()
        return self.network.embed(pixels)


MEASUREMENTS: dict[str, Callable[[bool], list[Figure]]] = {
    "rollout": rollout,
    "gradients": gradients,
    "ordinary": ordinary,
    "start": start,
    "cache": cache,
    "redraw": redraw,
}


# -- how ratios are measured ---------------------------------------------------------------------------------


def ratio_of(plain: Callable[[], object], other: Callable[[], object], pairs: int) -> float:
    """Median over interleaved pairs of the time of `other` over that of `plain`.

    Args:
        plain, other: what is timed; what they return is called afterwards, untimed, if it can be.
        pairs: how many, after each has run once untimed; every second one runs in the other order.
    """
    for one in (plain, other):
        seconds_of(one)
    ratios = []
    for index in range(pairs):
        order = (plain, other) if index % 2 == 0 else (other, plain)
        spent = {one: seconds_of(one) for one in order}
        ratios.append(spent[other] / spent[plain])
    return statistics.median(ratios)


def seconds_of(run: Callable[[], object]) -> float:
    """How long a call takes; what it returns is called afterwards if it can be, to clean up."""
    began = time.perf_counter()
    after = run()
    spent = time.perf_counter() - began
    if callable(after):
        after()
    return spent


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
