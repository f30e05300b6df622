"""What all tabs share: the texts, the handlers, and the analysis that the page shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gradio as gr

from vitdemo.ui.handlers import Handlers

# A new event never waits for an older one of the same visitor, and is no endpoint for programs.
QUIET = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "multiple"}


@dataclass(frozen=True)
class Shared:
    """Handed to the `build` of every tab."""

    say: gr.I18n
    handlers: Handlers
    analysis: gr.State  # the visitor's latest `Analysis`, or None
    done: gr.Textbox  # another text each time when `analysis` is a new one
    opened: gr.Textbox  # the name of the tab that is open

    @classmethod
    def create(cls, say: gr.I18n, handlers: Handlers, first: str) -> "Shared":
        """Within the page, before its tabs."""
        return cls(
            say,
            handlers,
            gr.State(time_to_live=3600),
            gr.Textbox(visible="hidden", elem_id="done"),
            gr.Textbox(first, visible="hidden", elem_id="opened"),
        )

    def follow(
        self, name: str, show: Callable[..., list], inputs: Sequence, outputs: Sequence, choosers: Sequence = ()
    ) -> None:
        """Keeps a tab up to date: calls `show` when it is opened, and when there is a new analysis while it is open.

        Args:
            name: the tab's.
            show: called with (analysis or None, request, *values of the inputs); gives a value for each output.
            inputs, outputs: components.
            choosers: those of the inputs with which the visitor chooses what is shown: `show` is called then, too.
        """

        def shown(request: gr.Request, opened: str, analysis, *values):
            if opened != name:
                return [gr.skip()] * len(outputs) if len(outputs) > 1 else gr.skip()
            each = show(analysis, request, *values)
            return each if len(outputs) > 1 else each[0]

        events = [self.opened.change, self.done.change, *(chooser.input for chooser in choosers)]
        gr.on(events, shown, [self.opened, self.analysis, *inputs], outputs, **QUIET)
