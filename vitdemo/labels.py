"""The names of classes: read in whatever form they come, each made different from the others, and shortened.

A label belongs to whoever wrote it, so nothing is read into it. Only ImageNet's own labels are known to be lists of
synonyms ("tench, Tinca tinca"), any of which names the class.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from vitdemo.errors import WeightsError

MARKS = (("utf-8-sig", b"\xef\xbb\xbf"), ("utf-16", b"\xff\xfe"), ("utf-16", b"\xfe\xff"))  # encoding, first bytes
# Controls, ends of lines, and what changes the direction of the text around it or has no width at all.
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]+")


def listed(given: object, classes: int, field: str = "label_names") -> list[str] | None:
    """The names of classes in the order of the logits.

    Args:
        given: a list of names; or an object of index and name, in any order and with gaps; or one of name and index.
        classes: how many there are.
        field: what the list is called in a message.

    Returns:
        `classes` names, "class 7" where there is none; None if nothing is given.

    Raises:
        ValueError: it is of another form or length; the text says which.
    """
    if given is None or given in ({}, [], ()):
        return None
    if isinstance(given, Mapping):
        return _by_index(_turned(given, field), classes, field)
    if not isinstance(given, (list, tuple)):
        raise ValueError(f"{field} should be a list of names or an object of index and name, and is {_shown(given)}")
    if len(given) != classes:
        raise ValueError(f"{field} has {len(given)} names for {classes} classes")
    return [_text(name, index, field) for index, name in enumerate(given)]


def described(given: object, names: Sequence[str] | None, classes: int) -> list[str] | None:
    """The classes in the words of label_descriptions.

    Args:
        given: an object of name and text; or texts in one of the forms that `listed` reads; or None.
        names: what the descriptions describe, if it is known.
        classes: how many there are.

    Returns:
        `classes` texts: a description where there is one, else the name; None if there are neither.

    Raises:
        ValueError: they are of another form or length, or the names of the classes are not known.
    """
    field = "label_descriptions"
    if given is None or given in ({}, [], ()):
        return None if names is None else list(names)
    if not isinstance(given, Mapping):
        return listed(given, classes, field)
    if names is not None and not given.keys().isdisjoint(names):
        return [_text(given.get(name, name), index, field) for index, name in enumerate(names)]
    if all(_is_index(key) for key in given):
        texts = _by_index(given, classes, field)
        stated = {int(key) for key in given}
        return [text if k in stated or names is None else names[k] for k, text in enumerate(texts)]
    if names is not None:  # it describes other classes, as an object of a larger label set may
        return list(names)
    if len(given) != classes:
        raise ValueError(f"{field} has {len(given)} names for {classes} classes, and there are no label_names")
    return [_text(text, index, field) for index, text in enumerate(given.values())]


def read(file: Path, classes: int) -> list[str]:
    """The names in a text file, one a line: UTF-8 or UTF-16, any ends of lines, blank lines left out if so many fit.

    Raises:
        WeightsError: it cannot be read, or has another number of names.
    """
    try:
        content = file.read_bytes()
        encoding = next((encoding for encoding, mark in MARKS if content.startswith(mark)), "utf-8")
        lines = re.split(r"\r\n|\n|\r", content.decode(encoding))
    except (OSError, UnicodeDecodeError):
        raise WeightsError(
            f"{str(file)!r} cannot be read; expected UTF-8 text, or UTF-16 with its mark, with one class name a line."
        ) from None
    while lines and not lines[-1].strip():
        lines.pop()
    filled = [line for line in lines if line.strip()]
    names = filled if len(filled) == classes else lines
    if len(names) != classes:
        raise WeightsError(
            f"{str(file)!r} names {len(names)} classes, and the model has {classes}; one a line is needed."
        )
    return names


def tidy(names: Iterable[str]) -> tuple[str, ...]:
    """One line of visible text for every class, no two of them alike, shortened or not.

    A class without a name becomes "class 7". Names that occur again get their number: "rose (class 7)".
    """
    seen = [" ".join(UNSEEN.sub(" ", name).split()) or f"class {index}" for index, name in enumerate(names)]
    looks = [_look(name) for name in seen]
    count = Counter(looks)
    taken = {look for look in looks if count[look] == 1}
    for index, look in enumerate(looks):
        if count[look] > 1:
            name = seen[index]
            while (changed := _look(name)) in taken or changed == look:
                name = f"{name} (class {index})"
            taken.add(changed)
            seen[index] = name
    return tuple(seen)


def numbered(classes: int) -> tuple[str, ...]:
    """Names for classes that have none."""
    return tuple(f"class {index}" for index in range(classes))


@lru_cache(maxsize=1)
def imagenet_labels() -> tuple[str, ...]:
    """The 1,000 classes of ImageNet-1k, from timm, needing no network. Two names that occur twice get their number."""
    from timm.data import ImageNetInfo

    names = ImageNetInfo().label_descriptions()
    return tuple(name if names.count(name) == 1 else f"{name} (class {index})" for index, name in enumerate(names))


def is_imagenet(names: Sequence[str]) -> bool:
    """Whether these are the classes of ImageNet-1k in its own order, as synsets or in words."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    same = (info.label_names(), info.label_descriptions(), info.label_descriptions(detailed=True), imagenet_labels())
    return len(names) == 1000 and any(list(names) == list(each) for each in same)


def synonyms(label: str) -> list[str]:
    """The names that mean a class: itself, and for ImageNet's own labels each of its parts."""
    return [label, *(part.strip() for part in label.split(","))] if label in _short() else [label]


def first_name(label: str) -> str:
    """ "tench" of ImageNet's "tench, Tinca tinca", for places where a label has to be short; others stay whole.

    A first name that is another class's, too, is not used: "maillot" and "maillot, tank suit" stay as they are.
    """
    return _short().get(label, label)


@lru_cache(maxsize=1)
def _short() -> dict[str, str]:
    """ImageNet's labels and their first names, where those are different."""
    labels = imagenet_labels()
    count = Counter(label.split(",")[0] for label in labels)
    firsts = {label: label.split(",")[0] for label in labels}
    return {label: first if count[first] == 1 else label for label, first in firsts.items()}


def _look(name: str) -> str:
    return unicodedata.normalize("NFC", first_name(name))


def _turned(given: Mapping, field: str) -> Mapping:
    """{index: name}, also of {name: index}."""
    if all(_is_index(key) for key in given):
        return given
    if all(isinstance(index, int) and not isinstance(index, bool) for index in given.values()):
        turned = {index: name for name, index in given.items()}
        if len(turned) == len(given):
            return turned
        raise ValueError(f"{field} gives one index to two names")
    strange = next(key for key in given if not _is_index(key))
    form = "a list of names or an object of index and name"
    raise ValueError(f"{field} should be {form}, and has the key {_shown(strange)}")


def _by_index(given: Mapping, classes: int, field: str) -> list[str]:
    names = {int(key): name for key, name in given.items()}
    if len(names) != len(given):
        raise ValueError(f"{field} names one class twice")
    if min(names) < 0:
        raise ValueError(f"{field} has the index {min(names)}, and the first is 0")
    if max(names) >= classes:
        raise ValueError(f"{field} goes up to {max(names)}, and there are {classes} classes")
    return [_text(names.get(index), index, field) for index in range(classes)]


def _is_index(key: object) -> bool:
    return not isinstance(key, bool) and re.fullmatch(r"-?[0-9]{1,9}", str(key)) is not None


def _text(name: object, index: int, field: str) -> str:
    if name is None:
        return f"class {index}"
    if isinstance(name, (list, dict, bool)):
        raise ValueError(f"{field} calls class {index} {_shown(name)}, and a name should be text")
    return str(name)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
