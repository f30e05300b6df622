"""Where work on the models is done: here, or on a GPU that a Space of Hugging Face lends for one call (ZeroGPU).

The program is the same everywhere. Where `SPACES_ZERO_GPU` is set the platform's rules hold: its module `spaces` is
imported before torch; CUDA is touched only inside a decorated call, which runs in a forked process; what goes in and
what comes out is pickled, so results are arrays on the CPU. `Entrance` is the program's one decorated call, entered
once for each thing that a visitor asks for. Weights are fetched before it is entered, because its seconds are counted,
and loaded inside it, where they stay as long as the platform keeps that process.

Progress and cancelling work there too: the call is a generator, and its steps travel like its result. What is lost
there: a cancelled call ends at its next step and not before, and of an error only its text comes back.

Sources: the documentation of ZeroGPU Spaces, and `spaces` 0.51 (`spaces/zero/wrappers.py`).
"""

import os
import queue
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from vitdemo.errors import Cancelled, VitdemoError
from vitdemo.sources import Hub

SECONDS = 60  # that a call may take; a visitor's daily share is charged for what it does take
STEP, RESULT, REFUSED, FAILED = "step", "result", "refused", "failed"

T = TypeVar("T")
Report = Callable[[Any], None]
Work = Callable[..., T]  # work(models, report, *arguments), a function of a module; report(step) may raise


def lends() -> bool:
    """Whether this is a place that lends its GPU for single calls."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def begin() -> None:
    """To be called before torch is imported."""
    if lends():
        import spaces  # noqa: F401  it prepares torch for having no GPU yet


def silent(step: object) -> None:
    """A report that nobody reads."""


class Entrance:
    """Work goes in with its arguments, its result comes out.

    Args:
        models: the loaded backbones of this process. Where a GPU is lent they are not used, and its process has others.
    """

    def __init__(self, models):
        self._models = models
        self._lent = _lent() if lends() else None

    def __call__(self, work: Work[T], *arguments, rows: Sequence = (), report: Report = silent) -> T:
        """What `work(models, report, *arguments)` returns.

        Args:
            work: a function of a module, so that it can be found again in another process.
            arguments: what can be pickled.
            rows: the backbones that it needs; where a GPU is lent, their weights are fetched first.
            report: called with every step that the work reports; whatever it raises stops the work.

        Raises:
            VitdemoError: what the work refuses.
        """
        if self._lent is None:
            return work(self._models, report, *arguments)
        for row in rows:
            self._fetch(row, report)
        return follow(self._lent(work, *arguments), report)

    def _fetch(self, row, report: Report) -> None:
        from vitdemo.models import is_here
        from vitdemo.pipeline import Progress

        fetcher = self._models.fetcher
        if isinstance(row.source, Hub) and not is_here(row, fetcher):
            row.source.paths(
                fetcher,
                lambda done, total: report(Progress("fetching", 0.0, subject=row.name, fetched=(done, total))),
            )


def _lent() -> Callable[..., Generator[tuple[str, Any]]]:
    """The platform's decorated call: (work, *arguments) → steps and the result."""
    import spaces

    there: list = []  # the models, in the process that has the GPU; here it stays empty

    @spaces.GPU(duration=SECONDS)
    def enter(work: Work, *arguments) -> Generator[tuple[str, Any]]:
        from vitdemo.models import Models

        if not there:
            there.append(Models("auto"))
        yield from stepwise(lambda report: work(there[0], report, *arguments))

    return enter


def stepwise(work: Callable[[Report], T]) -> Generator[tuple[str, Any]]:
    """Work that reports, as a generator: (STEP, what was reported) any number of times, then (RESULT, …) or
    (REFUSED, the sentence of a VitdemoError). Closed early, it lets the work's next report raise `Cancelled`.

    Raises:
        Whatever else the work raised.
    """
    said: queue.SimpleQueue = queue.SimpleQueue()
    stopped = threading.Event()

    def report(step: object) -> None:
        if stopped.is_set():
            raise Cancelled("Cancelled.")
        said.put((STEP, step))

    def run() -> None:
        try:
            said.put((RESULT, work(report)))
        except VitdemoError as error:
            said.put((REFUSED, str(error)))
        except BaseException as error:  # raised where the generator is, whatever it is
            said.put((FAILED, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        while True:
            kind, value = said.get()
            if kind == FAILED:
                raise value
            yield kind, value
            if kind != STEP:
                return
    finally:
        stopped.set()


def follow(said: Generator[tuple[str, Any]], report: Report) -> Any:
    """The other end of `stepwise`: reports its steps, and gives its result.

    Raises:
        VitdemoError: what was refused.
    """
    outcome = None
    try:
        for kind, value in said:
            if kind == STEP:
                report(value)
            else:
                outcome = (kind, value)
    finally:
        said.close()
    if outcome is None:
        raise VitdemoError("The GPU was taken away before the work was done; try again, or ask for less at once.")
    kind, value = outcome
    if kind == REFUSED:
        raise VitdemoError(value)
    return value
