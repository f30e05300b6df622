"""What is printed reaches whoever reads it: no letter of a label ends a run, whatever the console can show."""

import json
import sys


def forgive() -> None:
    """Let standard output and errors write escapes in place of letters that their encoding has not."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a program may have put something else there
            stream.reconfigure(errors="backslashreplace")


def writable(text: str) -> bool:
    """Whether standard output can write all letters of a text."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
        return True
    except UnicodeEncodeError:
        return False


def print_json(text: str) -> None:
    """Print a JSON document; in ASCII, by JSON's own escapes, where the output cannot write its letters."""
    print(text if writable(text) else json.dumps(json.loads(text), indent=2, allow_nan=False))
