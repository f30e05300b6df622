"""The command line: `python -m vitdemo analyse rose.jpg --out out`.

Everything here is thin: flags become a request, results become files, tables or one JSON document. Modules that need
torch are imported by the command that uses them, so that `--help` answers at once. What a person did wrong is one
sentence on stderr and exit code 2, before anything is computed or written.
"""

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from vitdemo import console, defaults, host, listing
from vitdemo.errors import VitdemoError
from vitdemo.listing import OPTIONS

METAVARS = {str: "NAME", int: "N", float: "X"}


class Parser(argparse.ArgumentParser):
    """argparse, whose complaints are one sentence."""

    def error(self, message: str):
        raise VitdemoError(f"{message[:1].upper()}{message[1:]}; see {self.prog} --help.")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after `python -m vitdemo`; those of this process unless told.

    Returns:
        The exit code: 0, or 2 if the person has something to put right.
    """
    console.forgive()
    parser = _parser()
    try:
        args = parser.parse_args(argv)
        args.words = sys.argv[1:] if argv is None else list(argv)
        if args.command is None:
            parser.print_help()
            return 2
        args.run(args)
        sys.stdout.flush()
        return 0
    except BrokenPipeError:  # whoever read it has seen enough: `| head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  for what Python still writes at its end
        return 0
    except VitdemoError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _parser() -> Parser:
    parser = Parser(
        prog="python -m vitdemo",
        description="See what vision transformers look at, and what fusing them changes.",
        epilog="The page is started by: python app.py",
    )
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    for add in (_add_analyse, _add_backbones, _add_methods, _add_evaluate, _add_prepare, _add_train, _add_bench):
        add(commands)
    return parser


def _command(commands, run: Callable[[argparse.Namespace], None], name: str, help: str, epilog: str = "") -> Parser:
    parser = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _add_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def _add_readme(parser: Parser, marker: str) -> None:
    parser.add_argument(
        "--readme", type=Path, metavar="FILE", help=f"write the table into it, between <!-- {marker} --> and its end"
    )


def _add_members(parser: Parser) -> None:
    parser.add_argument("--collection", default="flowers", metavar="NAME", help="backbones that share classes: flowers")
    parser.add_argument(
        "--backbones", type=_names, metavar="A,B,…", help="of that collection; a small one of three families each"
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _members(args: argparse.Namespace, catalogue) -> tuple[str, ...]:
    if args.backbones is not None:
        return args.backbones
    return tuple(catalogue.suggested(args.collection))


# -- analyse -------------------------------------------------------------------------------------------------


def _add_analyse(commands) -> None:
    parser = _command(
        commands,
        analyse,
        "analyse",
        "predict, fuse and explain pictures",
        "Writes into DIR, or for several pictures into a folder of it each: result.json, figure.png, and for each map\n"
        "SUBJECT.METHOD.png (over the picture) and SUBJECT.METHOD.npy (raw, float32, on the whole picture).\n\n"
        "example:\n  python -m vitdemo analyse rose.jpg --explain rollout,occlusion --fusion confidence --out out",
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="JPEG, PNG, WebP, GIF or BMP")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where the files go; made if missing")
    _add_members(parser)
    parser.add_argument("--fusion", default="mean", metavar="NAME", help="how opinions become one: see methods; mean")
    parser.add_argument(
        "--explain",
        default=defaults.EXPLANATIONS,
        type=_names,
        metavar="A,B,…",
        help=f"explanations: see methods, or none; {','.join(defaults.EXPLANATIONS)}",
    )
    parser.add_argument(
        "--target",
        metavar="CLASS",
        help="explain this class, by name, number or rank (second, #2), instead of the fused first choice",
    )
    parser.add_argument(
        "--against", metavar="CLASS", help="compare it with this class: what speaks for one or the other"
    )
    parser.add_argument(
        "--trust", action="store_true", help="judge every map too, beside random ones: see result.json; takes longer"
    )
    parser.add_argument(
        "--report", action="store_true", help="write report.html too: one page with everything, that fetches nothing"
    )
    options = parser.add_argument_group("options of the explanations", "methods lists their defaults and limits")
    for name, (kind, text) in OPTIONS.items():
        options.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=METAVARS[kind], help=text)
    look = parser.add_argument_group("how maps are drawn")
    look.add_argument(
        "--scale", default="each", metavar="NAME", help="each map, each row or all maps of a method on one scale; each"
    )
    look.add_argument("--colour-map", default="magma", metavar="NAME", help="of unsigned maps; magma")
    look.add_argument("--opacity", type=float, default=0.6, metavar="X", help="of maps over the picture, 0 to 1; 0.6")
    host.add_arguments(parser)
    _add_json(parser)


def analyse(args: argparse.Namespace) -> None:
    """Predicts, fuses and explains, once everything asked for is known to be possible."""
    from vitdemo import images, pipeline, result
    from vitdemo.elsewhere import elsewhere
    from vitdemo.explain import Options

    catalogue, models = host.catalogue(args), host.models(args)
    given = {field.name: getattr(args, field.name) for field in fields(Options)}
    request = pipeline.Request(
        collection=args.collection,
        backbones=_members(args, catalogue),
        fusion=args.fusion,
        explanations=() if args.explain == ("none",) else args.explain,
        target=args.target,
        against=args.against,
        options=Options(**{name: value for name, value in given.items() if value is not None}),
        trust=args.trust,
    )
    pipeline.check(request, catalogue)
    display = (args.scale, args.colour_map, args.opacity)
    result.check_display(*display)
    for image in args.images:
        images.load(image)
    _check_writable(args.out)
    documents = []
    for image, folder in zip(args.images, folders(args.images, args.out), strict=True):
        with _status() as say:
            analysis = pipeline.analyse(
                images.load(image), request, catalogue, models, lambda now: say(f"{now.done:4.0%} {now.message}")
            )
        _write(folder, result.files(analysis, image, *display))
        if args.report:
            _write(folder, iter([("report.html", _report(analysis, catalogue, Path(image).name, display).encode())]))
        other = elsewhere(analysis.picture, analysis.request.collection, catalogue, models)
        documents.append(result.to_json(analysis, image, other))
        if not args.json:
            print(f"{image} → {folder} ({analysis.device}, {analysis.seconds:.1f} s)")
            print(_summary(analysis, other))
    if args.json:
        console.print_json(result.dumps(documents if len(documents) > 1 else documents[0]))


def _report(analysis, catalogue, name: str, display: tuple[str, str, float]) -> str:
    """The page to take home, in English."""
    from vitdemo.ui import render, report

    colours = render.colours_of([row.name for row in catalogue.members(analysis.request.collection)])
    return report.html(report.compose(analysis, "en", colours, datetime.now(UTC), *display, name=name))


def folders(names: Sequence[str], out: Path) -> list[Path]:
    """Where the files of each picture go: `out` itself for one, out/STEM for several, and no folder twice."""
    if len(names) == 1:
        return [out]
    unique: list[str] = []
    for stem in (Path(name).stem for name in names):
        taken = {name.casefold() for name in unique}  # some file systems do not tell A from a
        candidates = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
        unique.append(next(name for name in candidates if name.casefold() not in taken))
    return [out / name for name in unique]


def _check_writable(folder: Path, flag: str = "--out") -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise VitdemoError(f"Nothing can be written to {flag} {str(folder)!r}: {error.strerror}.") from None


def _write(folder: Path, files: Iterator[tuple[str, bytes]]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files:
            (folder / name).write_bytes(content)
    except OSError as error:
        raise VitdemoError(f"{str(error.filename or folder)!r} cannot be written: {error.strerror}.") from None


def _known(analysis, other) -> list[str]:
    """That these classes are all that these backbones know; nothing of ImageNet's own."""
    from vitdemo.labels import first_name
    from vitdemo.result import percent

    if analysis.request.collection == host.IMAGENET:
        return []
    labels = analysis.labels
    some = ", ".join(labels[:6]) + (", …" if len(labels) > 6 else "")
    says = (
        f"; ImageNet ({other.backbone}) says: {first_name(other.label)} {percent(other.probability)}" if other else ""
    )
    return [f"these backbones know {len(labels)} classes and nothing else ({some}){says}"]


def _summary(analysis, other=None) -> str:
    """What was said, by whom, with which weight, and that nothing else is known; then where there is no map, and why.

    Args:
        other: what another collection says (`elsewhere.Elsewhere`), if it was asked.
    """
    from vitdemo.pipeline import FUSED
    from vitdemo.result import percent
    from vitdemo.types import NotOffered

    (first, p) = analysis.top(1)[0]
    how = f"{analysis.request.fusion}, probabilities {percent(analysis.fused.agreement)} alike"
    rows = [[FUSED, first, percent(p), how]]
    for row, weight in zip(analysis.backbones, analysis.fused.weights, strict=True):
        first, p = analysis.top(1, row.name)[0]
        rows.append([row.name, first, percent(p), f"weight {weight:.2f}"])
    lines = [table(rows), *_known(analysis, other), *(f"left out: {sentence}" for sentence in analysis.broken.values())]
    if analysis.request.explanations:
        lines.append(f"maps for {analysis.labels[analysis.target]}: {', '.join(analysis.request.explanations)}")
    for subject, each in analysis.maps.items():
        refused = {method: heat.reason for method, heat in each.items() if isinstance(heat, NotOffered)}
        lines += [f"no {method} of {subject}: {reason}" for method, reason in refused.items()]
    for subject, each in analysis.trust.items():
        lines += [
            f"{method} of {subject}: {trust.word} (score {trust.score:+.2f}, chance ±{trust.floor.margin:.2f})"
            for method, trust in each.items()
        ]
    return "\n".join("  " + line for part in lines for line in part.splitlines())


# -- backbones, methods --------------------------------------------------------------------------------------


def _add_backbones(commands) -> None:
    parser = _command(commands, backbones, "backbones", "list the backbones that can be used")
    parser.add_argument("--collection", metavar="NAME", help="only this one")
    host.add_arguments(parser)
    _add_json(parser)


def backbones(args: argparse.Namespace) -> None:
    """Prints the catalogue."""
    from vitdemo.weights import Fetcher

    fetcher = Fetcher()
    catalogue = host.catalogue(args, fetcher)
    rows = catalogue.members(args.collection) if args.collection else list(catalogue)
    described = listing.backbones(rows, fetcher)
    if args.json:
        return _print_json(described)
    head = ["collection", "name", "family", "parameters", "size", "where", "accuracy", "rollout", "licence"]
    lines = [
        [
            one["collection"],
            one["name"],
            one["family"],
            f"{one['parameters'] / 1e6:.1f} M",
            f"{one['megabytes']:.1f} MB",
            "on disk" if one["on_disk"] else one["command"] or "to be fetched",
            f"{one['accuracy']:.3f}",
            {True: "yes", False: "no", None: "?"}[one["rollout"]],
            one["licence"],
        ]
        for one in described
    ]
    print(table([head, *lines]))


def _add_methods(commands) -> None:
    parser = _command(commands, methods, "methods", "list the fusions, the explanations and their options")
    _add_json(parser)


def methods(args: argparse.Namespace) -> None:
    """Prints what --fusion, --explain and the options can be."""
    from vitdemo.explain.base import CHOICES

    document = listing.methods()
    if args.json:
        return _print_json(document)
    for kind in ("fusions", "explanations"):
        print(f"{kind}\n{table([['  ' + name, text] for name, text in document[kind].items()])}\n")
    lines = [
        [
            f"  --{name.replace('_', '-')}",
            str(one["default"]),
            (", " if name in CHOICES else " to ").join(map(str, one["allowed"])),
            one["sentence"],
        ]
        for name, one in document["options"].items()
    ]
    print(f"options: default, allowed\n{table(lines)}")


# -- evaluate, train, bench ----------------------------------------------------------------------------------


def _add_evaluate(commands) -> None:
    parser = _command(
        commands,
        evaluate,
        "evaluate",
        "measure backbones and fusions on a folder of pictures",
        "top-1: share of right first choices, with its bootstrap interval; NLL: negative log-likelihood in nats;\n"
        "ECE: expected calibration error, 15 bins; multiply-adds and ms: the forward pass of one picture, a fusion's\n"
        "with those of its members; ratio: of ms to those of the plain ViT, or else of the first backbone. Computed\n"
        "on the processor unless --device says otherwise, so that the figures come out the same again.\n\n"
        "example:\n  python -m vitdemo evaluate --data flowers --results assets/results/flowers.json\n\n"
        "With --explain the explanations are measured instead, on pictures that are drawn with a mask for every\n"
        "flower and, if there is --data, on some photographs: does a map lie on the flower that it explains? It\n"
        "takes about 45 minutes on two cores, and goes on where it stopped.\n\n"
        "example:\n  python -m vitdemo evaluate --explain --results assets/results/explanations.json",
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="DIR/CLASS/*.jpg or DIR/test/CLASS/*.jpg; needed without --explain"
    )
    parser.add_argument("--collection", default="flowers", metavar="NAME", help="backbones that share classes: flowers")
    parser.add_argument("--backbones", type=_names, metavar="A,B,…", help="of that collection; all unless given")
    parser.add_argument("--explain", action="store_true", help="measure the explanations, on drawn pictures with masks")
    parser.add_argument(
        "--pictures", type=int, default=200, metavar="N", help="--explain: with one flower, and with two"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="--explain: of the drawn pictures; 0")
    parser.add_argument(
        "--log",
        type=Path,
        default=Path("out/explanations.jsonl"),
        metavar="FILE",
        help="--explain: a line for every picture, to go on from; out/explanations.jsonl",
    )
    parser.add_argument("--fresh", action="store_true", help="--explain: begin a new log, even if there is one")
    parser.add_argument("--fusion", type=_names, metavar="A,B,…", help="all unless given")
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="pictures in one forward pass; 32")
    parser.add_argument("--limit", type=int, metavar="N", help="only so many pictures, spread over the classes")
    parser.add_argument(
        "--fit",
        nargs="?",
        type=Path,
        const=True,
        metavar="DIR",
        help="first let the fusions learn from DIR/CLASS/*.jpg, or from val/ in --data; never from what is measured",
    )
    parser.add_argument("--results", type=Path, metavar="FILE", help="write the JSON document there")
    host.add_arguments(parser)
    parser.set_defaults(device="cpu")
    _add_readme(parser, "evaluate")
    _add_json(parser)


def evaluate(args: argparse.Namespace) -> None:
    """Prints the measured table."""
    if args.explain:
        return study(args)
    if args.data is None:
        raise VitdemoError("--data is missing; expected a folder with one folder per class, or --explain.")
    from vitdemo import evaluate as measure
    from vitdemo.folders import tell
    from vitdemo.fusion import FUSIONS
    from vitdemo.models import labels_of
    from vitdemo.result import dumps

    _check_readme(args, "evaluate")
    catalogue, models = host.catalogue(args), host.models(args)
    names = args.backbones if args.backbones is not None else [row.name for row in catalogue.members(args.collection)]
    rows = catalogue.get(args.collection, names)
    groups = {"fusions": names}
    if args.backbones is None:
        groups = {"fusions": measure.independent(rows), "fusions_suggested": catalogue.suggested(args.collection)}
    fusions = FUSIONS.names() if args.fusion is None else args.fusion
    if args.results:
        _check_writable(args.results.parent, "--results")
    with _status() as say:
        if args.fit is not None:
            folder = measure.fitting_folder(args.data, labels_of(rows[0]), None if args.fit is True else args.fit)
            everyone = catalogue.members(args.collection)  # a visitor may fuse any of them
            unread: list = []
            measure.fit(
                folder, everyone, models, args.batch, lambda done, of: say(f"learning: {done} of {of} pictures"), unread
            )
        result = measure.evaluate(
            args.data,
            rows,
            fusions,
            models,
            args.batch,
            lambda done, of: say(f"{done} of {of} pictures"),
            args.limit,
            groups,
        )
    tell([*(unread if args.fit is not None else ()), *result.broken])
    for sentence in result.silent.values():
        print(f"Left out: {sentence}", file=sys.stderr)
    if result.empty:
        print(f"No pictures of {', '.join(result.empty)}: the figures say nothing of them.", file=sys.stderr)
    document = measure.to_json(result, shlex.join(["python", "-m", "vitdemo", *args.words]))
    lines = [list(measure.HEAD), *measure.lines(document)]
    if args.results:
        _write(args.results.parent, iter([(args.results.name, f"{dumps(document)}\n".encode())]))
    if args.readme:
        _into_readme(args.readme, "evaluate", lines)
    if args.json:
        return _print_json(document)
    print(f"{result.pictures} pictures, {result.device}, in batches of {result.batch}\n{table(lines)}")
    for name, reason in result.groups["fusions"].refused.items():
        print(f"no {name}: {reason}")


def study(args: argparse.Namespace) -> None:
    """Prints the table of explanations."""
    from vitdemo import study as measure
    from vitdemo.evaluate import measured_folder
    from vitdemo.models import labels_of
    from vitdemo.result import dumps

    for flag in ("fusion", "fit", "limit"):
        if getattr(args, flag) is not None:
            raise VitdemoError(f"--{flag} has no meaning with --explain; allowed: --pictures, --seed, --log, --fresh.")
    _check_readme(args, "explain")
    plan = measure.Plan(pictures=args.pictures, seed=args.seed)
    catalogue, models = host.catalogue(args), host.models(args)
    rows = catalogue.members(args.collection)
    rows = rows if args.backbones is None else catalogue.get(args.collection, args.backbones)
    for flag in ("results", "log"):
        if file := getattr(args, flag):
            _check_writable(file.parent, f"--{flag}")
    folder = None if args.data is None else measured_folder(args.data, labels_of(rows[0]))
    with _status() as say:
        document = measure.study(
            plan, rows, models, args.log, folder, args.fresh, lambda done, of, what: say(f"{done} of {of}: {what}")
        )
    document = {"command": shlex.join(["python", "-m", "vitdemo", *args.words]), **document}
    lines = measure.table(document)
    if args.results:
        _write(args.results.parent, iter([(args.results.name, f"{dumps(document)}\n".encode())]))
    if args.readme:
        _into_readme(args.readme, "explain", lines)
    if args.json:
        return _print_json(document)
    counts = ", ".join(f"{count} {kind}" for kind, count in document["pictures"].items())
    print(f"pictures: {counts}; {document['device']}\n{table(lines)}")
    for one in document["refused"]:
        print(f"no {one['method']} of {one['subject']}: {one['reason']}")


def _add_prepare(commands) -> None:
    parser = _command(
        commands,
        prepare,
        "prepare",
        "analyse the bundled samples once, so that the page shows them before any network is loaded",
        "Made again whenever weights, samples or what the page opens with have changed; the old ones are passed over.",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="assets/prepared of the project unless given")


def prepare(args: argparse.Namespace) -> None:
    """Writes the analysis of every sample and says what it weighs."""
    from vitdemo import images, pipeline, prepared
    from vitdemo.backbones import Catalogue, bundled
    from vitdemo.models import Models
    from vitdemo.samples import masks_of, shipped

    out = args.out or prepared.FOLDER
    _check_writable(out)
    catalogue, models = Catalogue(bundled()), Models("cpu")
    request = pipeline.opening(catalogue, catalogue.collections()[0])
    with _status() as say:
        for sample in shipped():
            say(sample.name)
            analysis = pipeline.analyse(images.load(sample.file), request, catalogue, models, masks=masks_of(sample))
            path = prepared.write(analysis, out / f"{sample.name}.npz")
            print(f"{path}  {path.stat().st_size / 1e3:.0f} kB")


def _add_train(commands) -> None:
    parser = _command(
        commands,
        train,
        "train",
        "make one of the bundled backbones again, or fine-tune one on pictures of your own",
        "finetune takes any backbone of the catalogue, puts a new head on it and writes DIR in timm's format:\n\n"
        "examples:\n  python -m vitdemo train resnet --data flowers\n"
        "  python -m vitdemo train finetune --backbone deit_ti --data birds --out birds-deit\n"
        "  python app.py --backbone birds=local-dir:birds-deit",
    )
    parser.add_argument(
        "recipe", metavar="RECIPE", help="a bundled backbone such as vit, a pre-training such as mae, or finetune"
    )
    parser.add_argument(
        "--data",
        required=True,
        type=Path,
        metavar="DIR",
        help="train/, val/ and test/ in it, each CLASS/*; finetune needs no test/",
    )
    parser.add_argument("--backbone", metavar="NAME", help="finetune: which one of the catalogue")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="for checkpoint and weights; out")
    parser.add_argument("--epochs", type=int, metavar="N", help="length of the schedule; the recipe's own unless given")
    parser.add_argument("--seed", type=int, metavar="N", help="of everything random; the recipe's own unless given")
    parser.add_argument("--fresh", action="store_true", help="start over, even if a checkpoint is in --out")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda or mps")


def train(args: argparse.Namespace) -> None:
    """Runs a recipe, a pre-training or a fine-tuning, and says where its weights are."""
    from vitdemo import training
    from vitdemo.models import pick_device
    from vitdemo.training.finetune import finetune, row_of
    from vitdemo.training.pretrain import PRETRAININGS

    if (args.backbone is not None) != (args.recipe == "finetune"):
        given = "no --backbone" if args.backbone is None else f"--backbone {args.backbone}"
        raise VitdemoError(f"train {args.recipe} got {given}; allowed: --backbone NAME with finetune, and only there.")
    how = {"epochs": args.epochs, "resume": not args.fresh, "device": str(pick_device(args.device)), "seed": args.seed}
    row = None if args.backbone is None else row_of(args.backbone)
    if row is not None or args.recipe in {*training.RECIPES, *PRETRAININGS}:  # any other is refused before all else
        _check_writable(args.out)
    if row is None:
        return print(training.train(args.recipe, args.data, args.out, **how))
    with _status() as say:
        told = {"progress": lambda name, done, of: say(f"{name}: {done:,} of {of:,} bytes")}
        found = finetune(row, args.data, args.out, **how, **told)
    print(found)


def _add_bench(commands) -> None:
    parser = _command(
        commands, bench, "bench", "measure what the demo costs, as ratios to a plain forward pass in the same run"
    )
    parser.add_argument("--quick", action="store_true", help="a small transformer and few repetitions: a rough answer")
    parser.add_argument("--only", type=_names, metavar="A,B,…", help="only these measurements")
    _add_readme(parser, "bench")
    _add_json(parser)


def bench(args: argparse.Namespace) -> None:
    """Prints the figures, each beside its goal."""
    from vitdemo import bench as measure

    _check_readme(args, "bench")
    with _status() as say:
        figures = measure.bench(args.only, quick=args.quick, report=say)
    head = ["what", "measured", "goal", "in", "name"]
    lines = [[one.what, f"{one.value:.3g}", f"at most {one.goal:g}", one.unit, one.name] for one in figures]
    if args.readme:
        _into_readme(args.readme, "bench", [head[:-1], *(line[:-1] for line in lines)])
    if args.json:
        return _print_json(measure.to_json(figures, args.quick))
    print(table([head, *lines]))
    if missed := [one.name for one in figures if not one.met]:
        print(f"missed: {', '.join(missed)}")


# -- what the commands share ---------------------------------------------------------------------------------


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text in columns, two spaces apart; columns of numbers are flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = [all(cell[:1].isdigit() for cell in column) for column in zip(*rows[1:], strict=True)]
    right = right or [False] * len(widths)
    lines = (
        "  ".join(
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _markers(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->", f"<!-- /{name} -->"


def _check_readme(args: argparse.Namespace, name: str) -> None:
    """Raises VitdemoError unless --readme has a place for the table, before it is measured."""
    if args.readme is None:
        return
    try:
        text = args.readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise VitdemoError(f"--readme is {str(args.readme)!r}, which cannot be read; expected UTF-8 text.") from None
    start, end = _markers(name)
    if not -1 < text.find(start) < text.find(end):
        raise VitdemoError(f"--readme is {str(args.readme)!r}, which has no {start} with {end} after it.")


def _into_readme(file: Path, name: str, rows: Sequence[Sequence[str]]) -> None:
    """Replaces what is between the markers by a table in Markdown."""
    start, end = _markers(name)
    before, _, rest = file.read_text(encoding="utf-8").partition(start)
    head, *lines = (f"| {' | '.join(row)} |" for row in rows)
    rule = "|---" + "|--:" * (len(rows[0]) - 1) + "|"
    body = "\n".join([head, rule, *lines])
    file.write_text(f"{before}{start}\n{body}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def _print_json(document: object) -> None:
    from vitdemo.result import dumps

    console.print_json(dumps(document))


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """A function that shows one changing line on stderr if a person watches, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    clear = "\r\x1b[K"  # to the start of the line, and erase it
    try:
        yield lambda text: print(clear + text[:78], end="", file=sys.stderr, flush=True)
    finally:
        print(clear, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
