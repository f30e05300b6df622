"""Long work in a thread of its own, watched by a generator that Gradio can stop.

Gradio stops a generator at its next `yield`. The work itself asks before every forward pass whether it should go on,
so that a cancelled analysis ends within one pass and not within one analysis.
"""

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from vitdemo.errors import Cancelled
from vitdemo.pipeline import Progress

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
