"""HTML as a browser reads it, for tests of what was written."""

from html.parser import HTMLParser

VOID = frozenset(["br", "img", "input", "meta"])  # that never close


class Page(HTMLParser):
    """Refuses HTML whose tags do not close in order; keeps the attributes and the visible text."""

    def __init__(self, document: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(document)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
