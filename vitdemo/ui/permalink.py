"""A request as the query of a link, and back. What a link asks for is checked like everything a visitor sends."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from urllib.parse import urlencode

from vitdemo.backbones import Catalogue
from vitdemo.draw import COLOUR_MAPS, SCALES
from vitdemo.errors import VitdemoError
from vitdemo.explain import Options
from vitdemo.pipeline import Request, check

LISTS = {"backbones", "explanations"}
PLAIN = ("collection", "backbones", "fusion", "explanations", "target", "against")
TRUST = {"1": True, "0": False}


def to_query(request: Request, sample: str = "") -> str:
    """ "collection=flowers&backbones=vit,resnet&…"; options that have their usual value are left out. The link
    of a picture that is no sample says `own`, since it cannot hold it."""
    pairs = {name: getattr(request, name) for name in PLAIN if getattr(request, name) is not None}
    pairs = {name: ",".join(value) if name in LISTS else value for name, value in pairs.items()}
    usual = Options()
    for field in fields(Options):
        if getattr(request.options, field.name) != getattr(usual, field.name):
            pairs[field.name] = getattr(request.options, field.name)
    pairs["trust"] = "1" if request.trust else "0"
    return urlencode(pairs | ({"sample": sample} if sample else {"own": "1"}), safe=",")


def from_query(
    query: Mapping[str, str], catalogue: Catalogue, start: Request, samples: Mapping[str, object]
) -> tuple[Request, str, list[str]]:
    """What a link asks for.

    Args:
        query: the link's parameters, as a stranger may have written them.
        catalogue: what this program offers.
        start: what holds where the link says nothing.
        samples: the known samples, by name.

    Returns:
        The request, the sample's name or "", and the parameters that were ignored because they are not allowed.
    """
    ignored = []
    request = start
    if query.get("collection", start.collection) != start.collection:
        try:
            names = catalogue.suggested(query["collection"])
            request = replace(request, collection=query["collection"], backbones=tuple(names))
        except VitdemoError:
            ignored.append("collection")
    for name in PLAIN[1:]:
        if name in query:
            value = tuple(filter(None, query[name].split(","))) if name in LISTS else query[name]
            request = _tried(request, {name: value}, catalogue, ignored)
    for field in fields(Options):
        if field.name in query:
            request = _tried(request, {field.name: query[field.name]}, catalogue, ignored)
    if query.get("trust", "1") not in TRUST:
        ignored.append("trust")
    elif "trust" in query:
        request = replace(request, trust=TRUST[query["trust"]])
    sample = query.get("sample", "")
    if sample and sample not in samples:
        ignored.append("sample")
        sample = ""
    return request, sample, ignored


def _tried(request: Request, change: Mapping, catalogue: Catalogue, ignored: list[str]) -> Request:
    """The request with one field or option changed, or as it was if that is not allowed."""
    ((name, value),) = change.items()
    try:
        if name in PLAIN:
            changed = replace(request, **change)
        else:
            kind = type(getattr(request.options, name))
            changed = replace(request, options=replace(request.options, **{name: kind(value)}))
        check(changed, catalogue)
        return changed
    except (VitdemoError, ValueError):
        ignored.append(name)
        return request


def display_of(query: Mapping[str, str]) -> tuple[str, str, float]:
    """How a link wants maps to be drawn: scale, colour map and opacity, each as usual where it says nothing allowed."""
    given = [query.get("scale", "each"), query.get("colours", "magma"), query.get("opacity", "0.6")]
    scale = given[0] if given[0] in SCALES.names() else "each"
    colours = given[1] if given[1] in COLOUR_MAPS.names() else "magma"
    opacity = float(given[2]) if re.fullmatch(r"0(\.\d{1,4})?|1(\.0{1,4})?", given[2]) else 0.6
    return scale, colours, opacity
