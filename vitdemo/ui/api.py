"""The endpoints for programs, which are MCP tools too where `gradio[mcp]` is installed.

One function each, whose type hints and docstring are what a program is told of it. Each has an input for every argument
that says what is allowed, so that nothing else gets in; what is wrong comes back as one sentence.
"""

import functools
import importlib.util
import inspect
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from vitdemo import defaults, draw, images, listing, microscope, result, whatif
from vitdemo.errors import NotOfferedError, PictureError, VitdemoError
from vitdemo.explain import EXPLANATIONS, Options
from vitdemo.fusion import FUSIONS
from vitdemo.models import Models
from vitdemo.pipeline import FUSED, Analysis, Request, check
from vitdemo.types import NotOffered
from vitdemo.ui.handlers import Handlers, analysed, scrutinised, write_file
from vitdemo.ui.whatif import attacked

MEAN = -1  # the head that stands for the mean of all


def has_mcp() -> bool:
    """Whether `gradio[mcp]` is installed, so that the endpoints can be MCP tools."""
    return importlib.util.find_spec("mcp") is not None


# What an argument may be, by its type in the signature: in words, and as a test of what JSON can hold.
KINDS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("a text", lambda value: isinstance(value, str)),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number", lambda value: isinstance(value, int | float) and float(value).is_integer()),
    list[str] | None: (
        "a list of texts",
        lambda value: isinstance(value, list | tuple) and all(isinstance(each, str) for each in value),
    ),
    dict | None: ("an object with values by name", lambda value: isinstance(value, dict)),
}


def typed(function: Callable) -> Callable:
    """The function, for arguments that come as JSON: nothing stands for the default, and each is of its type.

    Raises:
        VitdemoError: an argument is of another type; allowed is the one in the signature.
    """
    arguments = [each for each in inspect.signature(function).parameters.values() if each.name != "self"]

    @functools.wraps(function)
    def checked(*given):
        values = []
        for argument, value in zip(arguments, given, strict=False):
            if value is None and argument.default is not argument.empty:
                value = argument.default
            words, fits = KINDS[argument.annotation]
            if value is not None and not fits(value):
                raise VitdemoError(f"{argument.name} is {value!r:.80}; allowed: {words}.")
            values.append(int(value) if argument.annotation is int else value)
        return function(*values)

    return checked


def said(function: Callable) -> Callable:
    """The function, whose errors reach a program as the one sentence that they are."""

    @functools.wraps(function)
    def answer(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except VitdemoError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return answer


class Api:
    """The endpoints of one program."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers

    def analyse(
        self,
        picture: str,
        collection: str = "flowers",
        backbones: list[str] | None = None,
        fusion: str = "mean",
        explanations: list[str] | None = None,
        target: str = "",
        against: str = "",
        trust: bool = False,
        options: dict | None = None,
    ) -> tuple[dict, str, str]:
        """Predicts with several backbones, fuses them, and explains: picture in, predictions and maps out.

        Args:
            picture: one JPEG, PNG, WebP, GIF or BMP picture
            collection: backbones that share their classes
            backbones: some of that collection; none for those suggested
            fusion: how several answers become one
            explanations: maps to make
            target: class to explain, by name, number or rank ("second", "#2"); empty for the fused answer
            against: class that the target is compared with, named likewise; empty for none
            trust: whether every map is judged too, beside random ones, which takes much longer
            options: of the maps, by name; see the endpoint methods

        Returns:
            The result as JSON, the figure of all maps (PNG), and the raw maps (NPZ).
        """
        methods = list(defaults.EXPLANATIONS) if explanations is None else explanations
        wanted = replace(self._request(collection, backbones, fusion, methods, target, against, options), trust=trust)
        done = self._analysed(picture, wanted)
        figure = write_file(done, "png", result.figure(done))
        told = result.to_json(done, Path(picture).name, self.handlers.other(done))
        return told, figure, write_file(done, "npz", result.save_maps(done))

    def predict(
        self, picture: str, collection: str = "flowers", backbones: list[str] | None = None, fusion: str = "mean"
    ) -> dict:
        """Predicts with several backbones and fuses them, without maps.

        Args:
            picture: one JPEG, PNG, WebP, GIF or BMP picture
            collection: backbones that share their classes
            backbones: some of that collection; none for those suggested
            fusion: how several answers become one

        Returns:
            The fused prediction, each backbone's own with its weight, and how much they agree.
        """
        done = self._analysed(picture, self._request(collection, backbones, fusion))
        return result.to_json(done, Path(picture).name, self.handlers.other(done))

    def explain(
        self,
        picture: str,
        method: str = "rollout",
        subject: str = FUSED,
        collection: str = "flowers",
        backbones: list[str] | None = None,
        fusion: str = "mean",
        target: str = "",
        against: str = "",
        options: dict | None = None,
    ) -> tuple[str, dict]:
        """One map of one backbone or of the fused model: where it looked, by one method.

        Args:
            picture: one JPEG, PNG, WebP, GIF or BMP picture
            method: which explanation
            subject: "fused", or the name of a backbone, which is then asked alone
            collection: backbones that share their classes
            backbones: those that are fused; none for those suggested
            fusion: how several answers become one
            target: class to explain, by name, number or rank ("second", "#2"); empty for the subject's own answer
            against: class that the target is compared with, named likewise; empty for none
            options: of the map, by name; see the endpoint methods

        Returns:
            The map over the picture (PNG), and what belongs to it: its class and probability, the class that it is
            compared with and that one's (null without), figures, what the method cannot tell, and its values on their
            own grid.
        """
        wanted = self._about(subject, method, collection, backbones, fusion, target, against, options)
        done = self._analysed(picture, wanted)
        heat = done.maps[subject][method]
        if isinstance(heat, NotOffered):
            raise NotOfferedError(f"No {method} of {subject}: {heat.reason.rstrip('.')}.")
        entry = EXPLANATIONS.get(method)
        drawing = draw.single(done.picture, heat, draw.limits([heat]), f"{entry.title} of {subject}")
        about = result.to_json(done, Path(picture).name)
        return write_file(done, "png", drawing), {
            "subject": subject,
            "method": method,
            "target": about["target"],
            "probability": float(done.probabilities(subject)[done.target]),
            "against": about["against"],
            "against_probability": None if done.against is None else float(done.probabilities(subject)[done.against]),
            "class_specific": entry.class_specific,
            **about["maps"][subject][method],
            "limits": entry.limits,
            "values": heat.values.round(8).tolist() if heat.values.size <= draw.FINE**2 else None,
        }

    def scrutinise(
        self,
        picture: str,
        method: str = "rollout",
        subject: str = FUSED,
        collection: str = "flowers",
        backbones: list[str] | None = None,
        fusion: str = "mean",
        target: str = "",
        options: dict | None = None,
    ) -> dict:
        """Tests how far one map can be believed: made again with forgotten weights and of hardly changed pictures.

        Args:
            picture: one JPEG, PNG, WebP, GIF or BMP picture
            method: which explanation
            subject: "fused", or the name of a backbone, which is then asked alone
            collection: backbones that share their classes
            backbones: those that are fused; none for those suggested
            fusion: how several answers become one
            target: class to explain, by name, number or rank ("second", "#2"); empty for the subject's own answer
            options: of the map, by name; see the endpoint methods

        Returns:
            "trust": deletion and insertion beside random maps, and a word on them; "random_head" and "random_all": rank
            correlation with the map of a network whose head, or everything, is random; "infidelity" of the map, a
            random one and a blob in the middle; "sensitivity": the largest relative change over such pictures.
        """
        wanted = self._about(subject, method, collection, backbones, fusion, target, "", options)
        done = self._analysed(picture, replace(wanted, trust=True))
        with self.handlers.gate:
            found = self.handlers.entrance(scrutinised, done, subject, method, rows=done.backbones)
        return {"subject": subject, "method": method, "target": done.labels[done.target]} | {
            "trust": done.trust[subject][method].figures(),
            **found.figures(),
        }

    def attention(
        self,
        picture: str,
        backbone: str = "vit",
        layer: int = -1,
        head: int = MEAN,
        token: int = 0,
        collection: str = "flowers",
    ) -> dict:
        """What one token of a vision transformer attends to, in one layer and head.

        Args:
            picture: one JPEG, PNG, WebP, GIF or BMP picture
            backbone: a transformer whose patches lie on one grid
            layer: from 0; -1 is the last
            head: from 0; -1 is the mean of all
            token: from 0: the tokens beside the picture first, such as the class token, then the patches row by row,
                as that layer has them: the later layers of a Swin have fewer
            collection: where the backbone is

        Returns:
            "weights": one for each token, 0 outside the token's window; "prefix": names of the tokens beside the
            picture; "grid": rows and columns of the patches that are weighed, "asked" of those that can ask, null
            where only a token beside the picture does; for a single head the "strongest" five with their q·k/√d and
            the length of v.
        """
        row = self.handlers.catalogue.get(collection, [backbone])[0]
        with self.handlers.gate:
            return self.handlers.entrance(attention_of, row, _loaded(picture), layer, head, token, rows=[row])

    def attack(
        self,
        picture: str,
        epsilon: int = 4,
        method: str = "pgd",
        steps: int = 10,
        subject: str = FUSED,
        collection: str = "flowers",
        backbones: list[str] | None = None,
        fusion: str = "mean",
    ) -> tuple[dict, str, str]:
        """Changes no value of a picture by more than epsilon so that the answer changes, and says who is misled.

        Args:
            picture: one JPEG, PNG, WebP, GIF or BMP picture
            epsilon: the most that a value may change, in steps of 8 bits
            method: the fast gradient sign (fgsm), or many small steps (pgd)
            steps: of pgd
            subject: "fused", or the name of the backbone that is attacked
            collection: backbones that share their classes
            backbones: some of that collection; none for those suggested
            fusion: how several answers become one

        Returns:
            What everybody said before and after, and a verdict: "nobody" is misled, the fusion "resists" where a
            backbone falls, or "falls"; the attacked picture (PNG); and the change, magnified (PNG).
        """
        wanted = self._request(collection, backbones, fusion)
        rows = check(wanted, self.handlers.catalogue)
        with self.handlers.gate:
            made, before, after = self.handlers.entrance(
                misled, _loaded(picture), wanted, self.handlers.catalogue, method, epsilon, steps, subject, rows=rows
            )
        first = {name: whatif.first_choices(one) for name, one in (("before", before), ("after", after))}
        outcome = {
            "verdict": whatif.verdict(first["before"], first["after"], FUSED),
            "epsilon": made.epsilon,
            "method": made.method,
            "largest": made.largest,
            "before": _short(before),
            "after": _short(after),
        }
        magnified = whatif.magnified(made.perturbation, made.epsilon)
        return outcome, write_file(after, "png", _png(made.attacked)), write_file(after, "png", _png(magnified))

    def backbones(self, collection: str = "") -> list[dict]:
        """The backbones that can be asked, each with its family, size, accuracy, licence and whether it is on disk.

        Args:
            collection: only this one; empty for all

        Returns:
            One entry for each backbone.
        """
        rows = self.handlers.catalogue.members(collection) if collection else list(self.handlers.catalogue)
        return listing.backbones(rows, self.handlers.models.fetcher)

    def methods(self) -> dict:
        """The fusions and explanations in a sentence each, and every option with its default and what is allowed.

        Returns:
            "fusions", "explanations" and "options", by name.
        """
        return listing.methods()

    def _request(
        self,
        collection: str,
        backbones: Sequence[str] | None,
        fusion: str,
        explanations: Sequence[str] = (),
        target: str = "",
        against: str = "",
        options: dict | None = None,
    ) -> Request:
        names = tuple(backbones or self.handlers.catalogue.suggested(collection))
        given = _options(options)
        classes = {"target": target or None, "against": against or None}
        return Request(collection, names, fusion, tuple(explanations), options=given, **classes)

    def _about(
        self,
        subject: str,
        method: str,
        collection: str,
        backbones: list[str] | None,
        fusion: str,
        target: str,
        against: str,
        options: dict | None,
    ) -> Request:
        """A request for one map: of the fused model, or of a backbone, which is then asked alone."""
        alone = subject != FUSED
        names = [subject] if alone else backbones
        return self._request(collection, names, "mean" if alone else fusion, [method], target, against, options)

    def _analysed(self, picture: str, wanted: Request) -> Analysis:
        rows = check(wanted, self.handlers.catalogue)
        with self.handlers.gate:
            return self.handlers.entrance(analysed, _loaded(picture), wanted, self.handlers.catalogue, rows=rows)


def attention_of(
    models: Models, report, row, picture: Image.Image, layer: int, head: int, token: int
) -> dict[str, Any]:
    """What one token attends to; layer -1 is the last, head `MEAN` the mean of all."""
    with models.use([row]) as (model,):
        layers, layout = microscope.look(model, picture), microscope.offered(model)
    layer = len(layers) - 1 if layer == -1 else layer
    if not 0 <= layer < len(layers):
        raise VitdemoError(f"layer is {layer}; allowed: -1 to {len(layers) - 1}.")
    step, heads = layers[layer].step, layers[layer].heads
    if not MEAN <= head < heads:
        raise VitdemoError(f"head is {head}; allowed: {MEAN} to {heads - 1}.")
    weights = microscope.row_of(layers, layer, None if head == MEAN else head, token)
    strongest = [] if head == MEAN else microscope.arithmetic(layers, layer, head, token)
    return {
        "backbone": row.name,
        "layer": layer,
        "head": head,
        "token": token,
        "layers": len(layers),
        "heads": heads,
        "prefix": list(microscope.prefix_names(layout.prefix, len(layout.readout) == 2)),
        "grid": list(step.seen.grid),
        "asked": list(step.asked.grid) if step.asked else None,
        "weights": [float(weight) for weight in weights],
        "strongest": [asdict(term) for term in strongest],
    }


def misled(models: Models, report, picture, wanted: Request, catalogue, method: str, epsilon: int, steps: int, subject):
    """An attack on what a request asks, and the analyses before and after it, as work for an `Entrance`."""
    before = analysed(models, report, picture, replace(wanted, explanations=()), catalogue)
    return attacked(models, report, before, method, epsilon, steps, subject, catalogue)


def _loaded(picture: str) -> Image.Image:
    if not picture:
        raise PictureError("No picture came; allowed: one JPEG, PNG, WebP, GIF or BMP file.")
    return images.load(picture)


def _options(given: dict | None) -> Options:
    given = given or {}
    known = [field.name for field in fields(Options)]
    if unknown := [name for name in given if name not in known]:
        raise VitdemoError(f"Unknown options {', '.join(unknown)[:80]}; allowed: {', '.join(known)}.")
    return Options(**given)


def _short(analysis: Analysis) -> dict:
    """The first choice and its probability of the fused model and each backbone."""
    return {
        name: dict(zip(("label", "probability"), analysis.top(1, name)[0], strict=True))
        for name in (FUSED, *(row.name for row in analysis.backbones))
    }


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


# -- the endpoints -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inputs:
    """An input for each argument of the endpoints, made anew for each of them. None is seen on the page."""

    handlers: Handlers

    def make(self, name: str, endpoint: str):
        start = self.handlers.start()
        everyone = list(dict.fromkeys(row.name for row in self.handlers.catalogue))
        collections = self.handlers.catalogue.collections()
        whole = {"precision": 0, "visible": False}
        options = f"options by name: {', '.join(field.name for field in fields(Options))}"
        made = {
            "picture": lambda: gr.File(label="one JPEG, PNG, WebP, GIF or BMP picture", type="filepath", visible=False),
            "collection": lambda: gr.Dropdown(
                collections if endpoint != "backbones" else ["", *collections],
                value=start.collection if endpoint != "backbones" else "",
                label="collection",
                visible=False,
            ),
            "backbones": lambda: gr.CheckboxGroup(
                everyone, value=[], label="backbones; none for those suggested", visible=False
            ),
            "backbone": lambda: gr.Dropdown(everyone, value=everyone[0], label="backbone", visible=False),
            "subject": lambda: gr.Dropdown(
                [FUSED, *everyone], value=FUSED, label="the fused model or a backbone", visible=False
            ),
            "fusion": lambda: gr.Dropdown(FUSIONS.names(), value=start.fusion, label="fusion", visible=False),
            "explanations": lambda: gr.CheckboxGroup(
                EXPLANATIONS.names(), value=list(start.explanations), label="maps to make", visible=False
            ),
            "method": lambda: gr.Dropdown(
                list(whatif.ATTACKS) if endpoint == "attack" else EXPLANATIONS.names(),
                value="pgd" if endpoint == "attack" else "rollout",
                label="method",
                visible=False,
            ),
            "target": lambda: gr.Textbox(
                "", label="class to explain, by name, number or rank; empty for the subject's own answer", visible=False
            ),
            "against": lambda: gr.Textbox(
                "", label="class to compare it with, by name, number or rank; empty for none", visible=False
            ),
            "options": lambda: _named(options),
            "trust": lambda: gr.Checkbox(False, label="judge every map", visible=False),
            "layer": lambda: gr.Number(-1, label="layer, from 0; -1 is the last", **whole),
            "head": lambda: gr.Number(MEAN, label="head, from 0; -1 is the mean of all", **whole),
            "token": lambda: gr.Number(0, label="token, from 0", **whole),
            "epsilon": lambda: gr.Number(4, label=f"largest change, 0 to {whatif.MOST_EPSILON} of 255", **whole),
            "steps": lambda: gr.Number(10, label=f"steps of pgd, 1 to {whatif.MOST_STEPS}", **whole),
        }
        component = made[name]()
        if name != "picture":  # what Gradio would refuse in words of its own, with a traceback, reaches `typed`
            component.preprocess = lambda payload: payload
        return component


def _named(label: str) -> gr.JSON:
    """An input for values by name. Gradio says of a JSON that it may be anything, in words that MCP cannot read."""
    values = gr.JSON({}, label=label, visible=False)
    values.api_info = lambda: {"type": "object", "description": "values by name"}
    return values


def build(handlers: Handlers) -> None:
    """Every endpoint, within the page."""
    api, inputs = Api(handlers), Inputs(handlers)
    endpoints: dict[Callable, list] = {
        api.analyse: ["result", "figure (PNG)", "raw maps (NPZ)"],
        api.predict: ["result"],
        api.explain: ["map (PNG)", "what belongs to it"],
        api.scrutinise: ["figures"],
        api.attention: ["weights"],
        api.attack: ["outcome", "attacked picture (PNG)", "the change, magnified (PNG)"],
        api.backbones: ["backbones"],
        api.methods: ["methods"],
    }
    for function, labels in endpoints.items():
        name = function.__name__
        arguments = [argument for argument in function.__annotations__ if argument != "return"]
        outputs = [
            gr.File(label=label, visible=False) if "(" in label else gr.JSON(label=label, visible=False)
            for label in labels
        ]
        gr.Button(visible=False).click(
            said(typed(function)),
            [inputs.make(argument, name) for argument in arguments],
            outputs,
            api_name=name,
            concurrency_limit=4,
            concurrency_id="api",
        )
