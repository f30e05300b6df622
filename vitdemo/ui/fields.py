"""The settings on the page and a request: one becomes the other.

A field that offers many things is several controls on the page, one for each group of them: "fusion.simple",
"explanations.gradient". Values travel in the order of `controls`.
"""

from collections.abc import Mapping, Sequence

from vitdemo.explain import EXPLANATIONS, Options
from vitdemo.fusion import FUSIONS
from vitdemo.pipeline import Request

OPTIONS = ("head_fusion", "discard", "baseline", "steps", "samples", "noise", "patches")


def fusion_groups() -> dict[str, list[str]]:
    """Names of fusions: those that need nothing, and those that were fitted on pictures set aside."""
    fitted = [fusion.name for fusion in FUSIONS if fusion.fitted]
    groups = {"simple": [name for name in FUSIONS.names() if name not in fitted], "fitted": fitted}
    return {group: names for group, names in groups.items() if names}


def families() -> dict[str, list[str]]:
    """Names of explanations by family, in the order in which they are registered."""
    groups: dict[str, list[str]] = {}
    for method in EXPLANATIONS:
        groups.setdefault(method.family, []).append(method.name)
    return groups


def fusion_controls() -> tuple[str, ...]:
    return tuple(f"fusion.{group}" for group in fusion_groups())


def controls() -> tuple[str, ...]:
    """The names of all controls that make a request."""
    methods = (f"explanations.{family}" for family in families())
    return ("collection", "backbones", *fusion_controls(), *methods, "target", *OPTIONS)


def request_of(values: Sequence) -> Request:
    """The settings on the page as a request.

    Raises:
        VitdemoError: a value is not allowed.
    """
    given = dict(zip(controls(), values, strict=True))
    chosen = [given[name] for name in fusion_controls() if given[name]]
    methods = [name for control in given if control.startswith("explanations.") for name in given[control] or ()]
    usual = Options()
    options = {name: type(getattr(usual, name))(given[name]) for name in OPTIONS if given[name] is not None}
    return Request(
        given["collection"],
        tuple(given["backbones"]),
        chosen[0] if chosen else Request().fusion,
        tuple(methods),
        given["target"] or None,
        Options(**options),
    )


def values_of(request: Request) -> list:
    """The other way round."""
    given = {"collection": request.collection, "backbones": list(request.backbones), "target": request.target or ""}
    for group, names in _grouped((request.fusion,), fusion_groups()).items():
        given[f"fusion.{group}"] = next(iter(names), None)
    for family, names in _grouped(request.explanations, families()).items():
        given[f"explanations.{family}"] = names
    given |= {name: getattr(request.options, name) for name in OPTIONS}
    return [given[name] for name in controls()]


def _grouped(chosen: Sequence[str], groups: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The chosen names by group. Those of no group go to the first, so that they are refused and not forgotten."""
    known = {name for names in groups.values() for name in names}
    unknown = [name for name in chosen if name not in known]
    first = next(iter(groups))
    return {
        group: [name for name in chosen if name in names] + (unknown if group == first else [])
        for group, names in groups.items()
    }
