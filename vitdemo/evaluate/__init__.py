"""How good the backbones and their fusions are on a folder of pictures: the measured tables.

`metrics` are pure functions of probabilities and targets; `pictures` reads the folder; `cost` counts multiply-adds and
measures time; `attending` says how concentrated attention is; `measure` makes the table; `document` gives it as JSON,
and as lines of text.
"""

from vitdemo.evaluate.document import HEAD, lines, to_json
from vitdemo.evaluate.measure import Group, Single, Table, Together, evaluate, fit, independent
from vitdemo.evaluate.pictures import fitting_folder, list_pictures, measured_folder, thinned

__all__ = [
    "HEAD",
    "Group",
    "Single",
    "Table",
    "Together",
    "evaluate",
    "fit",
    "fitting_folder",
    "independent",
    "lines",
    "list_pictures",
    "measured_folder",
    "thinned",
    "to_json",
]
