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


class Gate:
    """Lets one piece of work compute at a time, so that nobody's work slows another's. What is patient comes after
    whatever is not, also when it has begun: it gives way between two passes."""

    def __init__(self):
        self._changed = threading.Condition()
        self._held = False
        self._impatient = 0  # that wait

    def acquire(self, timeout: float | None = None, patient: bool = False) -> bool:
        """Waits for its turn, for at most `timeout` seconds; says whether it came."""
        with self._changed:
            self._impatient += not patient
            try:
                came = self._changed.wait_for(lambda: not self._held and not (patient and self._impatient), timeout)
                self._held = self._held or came
                return came
            finally:
                self._impatient -= not patient

    def release(self) -> None:
        with self._changed:
            self._held = False
            self._changed.notify_all()

    def wanted(self) -> bool:
        """Whether somebody impatient waits."""
        with self._changed:
            return self._impatient > 0

    def __enter__(self) -> "Gate":
        self.acquire()
        return self

    def __exit__(self, *error) -> None:
        self.release()


class Run:
    """One visitor's running work. It begins when `gate` lets it in, and ends early when `cancel` is called.

    Args:
        work: called with a function that it reports to; what that raises stops it.
        gate: held while it computes.
        about: what it was asked for, to compare by.
        patient: whether it gives way to others.
    """

    def __init__(
        self,
        work: Callable[[Callable[[Progress], None]], T],
        gate: Gate,
        about: object = None,
        patient: bool = False,
    ):
        self._work = work
        self._gate = gate
        self.about = about
        self._patient = patient
        self._has_gate = False
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
            try:
                self._enter()
                self._events.put(("result", self._work(self._report)))
            finally:
                if self._has_gate:
                    self._gate.release()
        except BaseException as error:  # handed to the watcher, whatever it is
            self._events.put(("error", error))

    def _enter(self) -> None:
        while not self._gate.acquire(POLL, self._patient):
            self._check()
        self._has_gate = True
        self._check()

    def _report(self, progress: Progress) -> None:
        self._check()
        self._events.put(("progress", progress))
        if self._patient and self._gate.wanted():
            self._has_gate = False
            self._gate.release()
            self._enter()

    def _check(self) -> None:
        if self.cancelled:
            raise Cancelled("Cancelled.")


class Runs:
    """Every visitor's running work, by visitor and by what it is for; where new work begins the old one ends.

    Args:
        gate: held by whoever computes.
    """

    def __init__(self, gate: Gate):
        self._gate = gate
        self._running: dict[tuple[str, str], Run] = {}

    def __len__(self) -> int:
        return len(self._running)

    def watch(
        self,
        visitor: str,
        purpose: str,
        work: Callable[[Callable[[Progress], None]], T],
        about: object = None,
        patient: bool = False,
    ) -> Iterator[Progress | T]:
        """Does work that can be stopped, and yields as `Run.watch` does."""
        self.stop(visitor, purpose)
        run = self._running[visitor, purpose] = Run(work, self._gate, about, patient)
        try:
            yield from run.watch()
        finally:
            if self._running.get((visitor, purpose)) is run:
                del self._running[visitor, purpose]

    def about(self, visitor: str, purpose: str) -> object:
        """What the running work was asked for; None where none is running."""
        run = self._running.get((visitor, purpose))
        return None if run is None or run.over or run.cancelled else run.about

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
