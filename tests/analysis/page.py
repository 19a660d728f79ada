"""An HTML page as a browser would see it, for tests."""

from html.parser import HTMLParser

# Elements that have no end.
_VOID = {"br", "img", "link", "meta"}


class Page(HTMLParser):
    """What a browser would load and show: addresses, text without scripts and styles, and unclosed tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.num_tags: dict[str, int] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.num_tags[tag] = self.num_tags.get(tag, 0) + 1
        self.addresses += [value for name, value in attrs if name in {"src", "href"} and value]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in _VOID or self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" not in self.open and "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)
