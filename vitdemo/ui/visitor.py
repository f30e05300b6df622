"""Which language a visitor is spoken to in: the one of the link, or else the browser's."""

import gradio as gr

from vitdemo.ui.text import Say, language_of, speaker


def language(request: gr.Request) -> str:
    """A key of `text.LANGUAGES`. Gradio sends the link's parameters along with every event."""
    return language_of(request.headers.get("accept-language"), request.query_params.get("lang", ""))


def say_to(request: gr.Request) -> Say:
    return speaker(language(request))
