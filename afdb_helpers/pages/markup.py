"""Text and markup from anywhere made harmless: nothing runs, nothing is loaded, nothing leaves its place.

Markup is not passed through: it is read, and what is known is written anew, each attribute made here. So what comes out
is safe however a browser would have read what went in.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_UNSEEN = re.compile(
    r"\x1b\[[0-9:;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # a terminal's colours, titles and links
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # control characters but tab and line feed
    r"|[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"  # of no width, or turning the direction of what follows
    r"|[\ud800-\udfff]"  # half a character, which no file can hold
)
_TAGS = (
    "p strong em b i u s code pre kbd samp sub sup small mark del ins span div table caption thead tbody tfoot tr th td"
    " ul ol li dl dt dd h1 h2 h3 h4 h5 h6 a blockquote figure figcaption details summary br hr img"
)
_KNOWN = frozenset(_TAGS.split())
_VOID = frozenset({"br", "hr", "img"})
_SILENT = frozenset({"script", "style", "template", "noscript", "title", "textarea", "iframe", "svg", "math"})
_DEPTH = 64  # of nesting: browsers have a limit of their own, and behave oddly at it
_BEGINS = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)|<[!?]")  # a tag, or what is none; any other < is text
_ATTRIBUTE = re.compile(r"""[\s/]*([^\s=>/"']+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+))?|[\s/]*[^\s>]""")
_LINK = re.compile(r"https?://[^\s<>]+", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|svg\+xml);base64,[A-Za-z0-9+/=\s]+")
_CLASSES = {  # of the styles that our own reports carry for Jupyter; others are left out
    "text-align:right": "right",
    "text-align:center": "centre",
    "white-space:nowrap": "nowrap",
    "white-space:pre-line": "lines",
    "min-width:16em": "wide",
    "color:#1a7f37": "good",
    "color:#cf222e": "bad",
}


def plain(text: str) -> str:
    """Text without what is not seen but acts: terminal sequences, control characters, turned directions."""
    return _UNSEEN.sub("", text)


def escape(text: object) -> str:
    """Any value as text of a page."""
    return html.escape(plain(str(text)), quote=True)


def clean(markup: str) -> str:
    """Markup with known tags, links and embedded pictures alone, every tag closed; scripts and styles are gone."""
    out: list[str] = []
    opened: list[str] = []
    for kind, value, attributes in _tokens(markup):
        if kind == "text":
            out.append(escape(html.unescape(value)))
        elif kind == "open" and value in _VOID:
            out.append(_tag(value, attributes))
        elif kind == "open" and len(opened) < _DEPTH:
            opened.append(value)
            out.append(_tag(value, attributes))
        elif kind == "close" and value in opened:
            while opened[-1] != value:
                out.append(f"</{opened.pop()}>")
            out.append(f"</{opened.pop()}>")
    return "".join(out) + "".join(f"</{tag}>" for tag in reversed(opened))


def _tokens(markup: str) -> Iterator[tuple[str, str, str]]:
    """Text, and the tags that are known with the text of their attributes. Linear in the length, whatever is in it."""
    at, end = 0, len(markup)
    while at < end:
        found = _BEGINS.search(markup, at)
        begin = found.start() if found else end
        yield "text", markup[at:begin], ""
        if not found:
            return
        if not found[1]:
            at = _after(markup, "-->" if markup.startswith("<!--", begin) else ">", begin)
        else:
            name, closing = found[1].lower(), markup[begin + 1] == "/"
            inside, at = _attributes(markup, found.end())
            if name in _SILENT and not closing:
                at = _after(markup, ">", _close_of(markup, name, at))
            elif name in _KNOWN:
                yield ("close" if closing else "open"), name, inside


def _after(markup: str, what: str, begin: int) -> int:
    found = markup.find(what, begin)
    return len(markup) if found < 0 else found + len(what)


def _close_of(markup: str, name: str, begin: int) -> int:
    found = re.compile(rf"</{name}\b", re.IGNORECASE).search(markup, begin)
    return found.start() if found else len(markup)


def _attributes(markup: str, begin: int) -> tuple[str, int]:
    """What stands between a tag's name and its end, and where to read on."""
    at = begin
    while (found := _ATTRIBUTE.match(markup, at)) and found.end() > at:
        at = found.end()
    return markup[begin:at], _after(markup, ">", at)


def _tag(name: str, attributes: str) -> str:
    given: dict[str, str] = {}
    for key, value in _ATTRIBUTE.findall(attributes):
        given.setdefault(key.lower(), plain(html.unescape(value.strip("\"'"))).strip())
    kept = {}
    if name == "a" and _LINK.fullmatch(given.get("href", "")):
        kept = {"href": given["href"], "rel": "noreferrer noopener"}
    if name == "img":
        if not _PICTURE.fullmatch(given.get("src", "")):
            return ""
        kept = {"src": re.sub(r"\s", "", given["src"]), "alt": given.get("alt", "")}
    if name in ("td", "th"):
        kept = {key: given[key] for key in ("colspan", "rowspan") if re.fullmatch(r"\d{1,3}", given.get(key, ""))}
    style = re.sub(r"\s", "", given.get("style", "")).lower()
    if classes := [to for rule, to in _CLASSES.items() if rule in style.split(";")]:
        kept["class"] = " ".join(classes)
    written = "".join(f' {key}="{escape(value)}"' for key, value in kept.items())
    return f"<{name}{written}>"
