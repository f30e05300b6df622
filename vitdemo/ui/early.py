"""A script that runs in the browser before Gradio's own.

Gradio asks the browser for its language once, before it runs what `launch(head=…)` brings. For a visitor who chooses
another language the script has to be in the page itself: this puts it there, when the page is sent.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Early:
    """ASGI middleware that puts `script` first into the head of the HTML pages that pass."""

    def __init__(self, app: ASGIApp, script: str):
        self._app = app
        self._tag = f"<head><script>{script}</script>".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        is_page = False

        async def pass_on(message: Message) -> None:
            nonlocal is_page
            if message["type"] == "http.response.start":
                headers = dict(message["headers"])
                is_page = headers.get(b"content-type", b"").startswith(b"text/html")
                if is_page:  # it grows
                    kept = [pair for pair in message["headers"] if pair[0] != b"content-length"]
                    message = {**message, "headers": kept}
            elif is_page and b"<head>" in message.get("body", b""):
                is_page = False
                message = {**message, "body": message["body"].replace(b"<head>", self._tag, 1)}
            await send(message)

        await self._app(scope, receive, pass_on)
