"""Long work in a thread of its own, watched by a generator that Gradio can stop.

Gradio stops a generator at its next `yield`. The work itself asks before every forward pass whether it should go on,
so that a cancelled analysis ends within one pass and not within one analysis.
"""

import contextvars
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import gradio as gr

from vitdemo.errors import Cancelled, VitdemoError
from vitdemo.pipeline import Progress
from vitdemo.ui.text import Say, translated

log = logging.getLogger(__name__)

T = TypeVar("T")
POLL = 0.15  # seconds between two looks of what waits for its turn; a cancel is seen after that long at the latest
PAUSE = 0.5  # seconds between two steps that are shown: each costs the browser a walk over the whole page


class Run:
    """One visitor's running work. It begins when `gate` lets it in, and ends early when `cancel` is called."""

    def __init__(self, work: Callable[[Callable[[Progress], None]], T], gate: threading.Semaphore):
        self._work = work
        self._gate = gate
        self._stop = threading.Event()
        self._over = threading.Event()
        self._events: queue.SimpleQueue = queue.SimpleQueue()

    def cancel(self) -> None:
        self._stop.set()

    @property
    def over(self) -> bool:
        """Whether nobody watches any more, since the work has ended in one way or another."""
        return self._over.is_set()

    @property
    def cancelled(self) -> bool:
        return self._stop.is_set()

    def watch(self) -> Iterator[Progress | T]:
        """Starts the work and yields its progress, every half a second while it lasts and whenever there is more to
        show, then its result.

        Raises:
            Whatever the work raised; `Cancelled` after `cancel`.
        """
        context = contextvars.copy_context()  # a platform finds the visitor's request there
        threading.Thread(target=context.run, args=(self._run,), daemon=True).start()
        latest: Progress = Progress("queued", 0.0)
        shown = time.monotonic()
        try:
            yield latest
            while True:
                try:
                    kind, value = self._events.get(timeout=max(0.0, shown + PAUSE - time.monotonic()))
                except queue.Empty:
                    shown = time.monotonic()
                    yield latest
                    continue
                if kind == "error":
                    raise value
                if kind == "result":
                    yield value
                    return
                latest = replace(value, analysis=None)
                if value.analysis is not None:
                    yield value
        finally:
            self._stop.set()
            self._over.set()

    def _run(self) -> None:
        try:
            while not self._gate.acquire(timeout=POLL):
                self._check()
            try:
                self._check()
                self._events.put(("result", self._work(self._report)))
            finally:
                self._gate.release()
        except BaseException as error:  # handed to the watcher, whatever it is
            self._events.put(("error", error))

    def _report(self, progress: Progress) -> None:
        self._check()
        self._events.put(("progress", progress))

    def _check(self) -> None:
        if self.cancelled:
            raise Cancelled("Cancelled.")


class Runs:
    """Every visitor's running work, by visitor and by what it is for; where new work begins the old one ends.

    Args:
        gate: held by whoever computes.
    """

    def __init__(self, gate: threading.Semaphore):
        self._gate = gate
        self._running: dict[tuple[str, str], Run] = {}

    def __len__(self) -> int:
        return len(self._running)

    def watch(
        self, visitor: str, purpose: str, work: Callable[[Callable[[Progress], None]], T]
    ) -> Iterator[Progress | T]:
        """Does work that can be stopped, and yields as `Run.watch` does."""
        self.stop(visitor, purpose)
        run = self._running[visitor, purpose] = Run(work, self._gate)
        try:
            yield from run.watch()
        finally:
            if self._running.get((visitor, purpose)) is run:
                del self._running[visitor, purpose]

    def stop(self, visitor: str, purpose: str) -> bool:
        """Cancels that work, and says whether there was any."""
        run = self._running.pop((visitor, purpose), None)
        if run is None or run.over:
            return False
        run.cancel()
        return True


def sentence_of(error: Exception, say: Say, spoken: str) -> tuple[str, str]:
    """What a visitor is told where work ended in an error, and of what kind it is: "" where it was cancelled, else
    "error". What nobody expected is logged."""
    if isinstance(error, Cancelled):
        return say("cancelled"), ""
    if isinstance(error, VitdemoError):
        return translated(str(error), spoken), "error"
    if isinstance(error, gr.Error):  # the platform has no GPU to lend just now, and says why
        return str(error.message), "error"
    log.error("work failed", exc_info=error)
    return say("unexpected"), "error"
