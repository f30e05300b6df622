"""The settings on the page and a request: one becomes the other.

A field that offers many things is several controls on the page, one for each group of them: "explanations.gradient".
Values travel in the order of `controls`. Of the options, those are on the page that change a map.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields

from vitdemo.explain import EXPLANATIONS, Options
from vitdemo.explain.base import GENERAL
from vitdemo.fusion import FUSIONS
from vitdemo.pipeline import Request

FUSED_MAP = "fused_map"  # of the general options the one that a person may want to choose
SHARED = "shared"  # the group of options that methods of several families read


def fusions() -> list[str]:
    """Names of fusions: first those that need nothing, then those that were fitted on pictures set aside."""
    return sorted(FUSIONS.names(), key=lambda name: FUSIONS.get(name).fitted)


def families() -> dict[str, list[str]]:
    """Names of explanations by family, in the order in which they are registered."""
    groups: dict[str, list[str]] = {}
    for method in EXPLANATIONS:
        groups.setdefault(method.family, []).append(method.name)
    return groups


def readers(option: str) -> list[str]:
    """Names of the explanations that read an option."""
    return [method.name for method in EXPLANATIONS if option in method.reads]


def option_groups() -> dict[str, list[str]]:
    """Names of the options on the page, by the family of the methods that read them."""
    groups: dict[str, list[str]] = {family: [] for family in (*families(), SHARED)}
    for field in fields(Options):
        if field.name not in GENERAL:
            kinds = {EXPLANATIONS.get(name).family for name in readers(field.name)}
            groups[kinds.pop() if len(kinds) == 1 else SHARED].append(field.name)
    return {family: names for family, names in groups.items() if names}


def options() -> tuple[str, ...]:
    """The names of all options on the page."""
    return (FUSED_MAP, *(name for names in option_groups().values() for name in names))


def controls() -> tuple[str, ...]:
    """The names of all controls that make a request."""
    methods = (f"explanations.{family}" for family in families())
    return ("collection", "backbones", "fusion", *methods, "target", "against", "trust", *options())


def request_of(values: Sequence) -> Request:
    """The settings on the page as a request.

    Raises:
        VitdemoError: a value is not allowed.
    """
    given = dict(zip(controls(), values, strict=True))
    methods = [name for control in given if control.startswith("explanations.") for name in given[control] or ()]
    usual = Options()
    chosen = {name: type(getattr(usual, name))(given[name]) for name in options() if given[name] is not None}
    return Request(
        given["collection"],
        tuple(given["backbones"]),
        given["fusion"] or Request().fusion,
        tuple(methods),
        given["target"] or None,
        Options(**chosen),
        bool(given["trust"]),
        given["against"] or None,
    )


def values_of(request: Request) -> list:
    """The other way round."""
    given = {name: getattr(request, name) for name in ("collection", "fusion", "trust")}
    given |= {"backbones": list(request.backbones), "target": request.target or "", "against": request.against or ""}
    for family, names in _grouped(request.explanations, families()).items():
        given[f"explanations.{family}"] = names
    given |= {name: getattr(request.options, name) for name in options()}
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
