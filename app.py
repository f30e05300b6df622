"""The page of vitdemo. `python app.py` opens it; `python app.py --help` says what may be set."""

import argparse
import sys

from vitdemo import address, console, host, spaces
from vitdemo.errors import VitdemoError


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="app.py",
        description="Opens the page of vitdemo, and its endpoints for programs.",
        epilog='Where gradio[mcp] is installed (pip install "gradio[mcp]") the endpoints are MCP tools too.',
    )
    parser.add_argument("--host", default=None, help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=None, help="port to listen on (default: 7860 or the next free one)")
    parser.add_argument("--share", action="store_true", help="make a public link through Gradio's servers")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    host.add_arguments(parser)
    return parser.parse_args(arguments)


def build(options: argparse.Namespace):
    """The page as a `gr.Blocks`, not launched, without any model loaded, and the handlers behind it.

    Raises:
        VitdemoError: an option is not allowed here.
    """
    spaces.begin()
    from vitdemo.ui.handlers import Handlers
    from vitdemo.ui.page import build as build_page
    from vitdemo.ui.pictures import samples

    catalogue = host.catalogue(options)
    handlers = Handlers(catalogue, host.models(options), samples(catalogue))
    return build_page(handlers), handlers


def main(arguments: list[str] | None = None) -> int:
    console.forgive()
    options = parse(arguments)
    try:
        address.check(options.host, options.port)
        page, handlers = build(options)
    except VitdemoError as error:
        print(error, file=sys.stderr)
        return 2
    from vitdemo.ui.page import launch_options

    page.queue(max_size=64).launch(
        state_session_capacity=200,  # a session keeps one analysis, a few megabytes
        server_name=options.host,
        server_port=options.port,
        share=options.share,
        inbrowser=options.open,
        prevent_thread_lock=True,
        **launch_options(page, handlers),
    )
    handlers.warm()
    page.block_thread()
    return 0


if __name__ == "__main__":
    sys.exit(main())
