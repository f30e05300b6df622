"""What all tabs share: the texts, the handlers, and the analysis that the page shows."""

import json
from collections.abc import Callable, Mapping, Sequence
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
    due: Mapping[str, gr.Textbox]  # by tab, another text each time when it has something to show that it has not shown

    @classmethod
    def create(cls, say: gr.I18n, handlers: Handlers, tabs: Sequence[str]) -> "Shared":
        """Within the page, before its tabs, the first of which is open."""
        shared = cls(
            say,
            handlers,
            gr.State(time_to_live=3600),
            gr.Textbox(visible="hidden", elem_id="done"),
            gr.Textbox(tabs[0], visible="hidden", elem_id="opened"),
            {name: gr.Textbox(visible="hidden") for name in tabs},
        )
        # in the browser: a closed tab asks the server nothing, and an open one once for each analysis
        texts = [shared.opened, shared.done, *shared.due.values()]
        due = f"(opened, done, ...due) => vitdemo.due({json.dumps(list(tabs))}, opened, done, due)"
        gr.on([shared.opened.change, shared.done.change], None, texts, texts[2:], js=due)
        return shared

    def follow(
        self, name: str, show: Callable[..., list], inputs: Sequence, outputs: Sequence, choosers: Sequence = ()
    ) -> None:
        """Keeps a tab up to date: calls `show` when it is opened and there is an analysis that it has not shown, or
        none at all, and when there is a new analysis while it is open.

        Args:
            name: the tab's.
            show: called with (analysis or None, request, *values of the inputs); gives a value for each output.
            inputs, outputs: components.
            choosers: those of the inputs with which the visitor chooses what is shown: `show` is called then, too.
        """

        def shown(request: gr.Request, analysis, *values):
            each = show(analysis, request, *values)
            return each if len(outputs) > 1 else each[0]

        events = [self.due[name].change, *(chooser.input for chooser in choosers)]
        gr.on(events, shown, [self.analysis, *inputs], outputs, **QUIET)
