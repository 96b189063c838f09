"""The text of a PDF as Chromium prints it, page by page: enough of the format to read what a reader would."""

from __future__ import annotations

import re
import zlib

_OBJECT = re.compile(rb"(\d+) 0 obj\n?(.*?)endobj", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_SHOWN = re.compile(r"/(F\d+) [\d.]+ Tf|<([0-9A-Fa-f]+)> Tj|\[([^\]]*)\] TJ|(BT)")


def pages(data: bytes) -> list[str]:
    """Each page's text, a line each text object."""
    objects = {int(found[1]): found[2] for found in _OBJECT.finditer(data)}
    return [_text(objects, one) for one in objects.values() if b"/Type /Page\n" in one]


def _stream(body: bytes) -> str:
    found = _STREAM.search(body)
    assert found, "an object without a stream"
    return (zlib.decompress(found[1]) if b"FlateDecode" in body else found[1]).decode("latin-1")


def _reference(body: bytes, name: bytes) -> int:
    found = re.search(rb"/" + name + rb" (\d+) 0 R", body)
    assert found, name
    return int(found[1])


def _letters(objects: dict[int, bytes], font: bytes) -> dict[int, str]:
    """A font's glyphs as letters, from its ToUnicode map."""
    said, letters = _stream(objects[_reference(font, b"ToUnicode")]), {}
    for block in re.findall(r"beginbfchar(.*?)endbfchar", said, re.DOTALL):
        for glyph, text in re.findall(r"<(\w+)> <(\w+)>", block):
            letters[int(glyph, 16)] = bytes.fromhex(text).decode("utf-16-be")
    for block in re.findall(r"beginbfrange(.*?)endbfrange", said, re.DOTALL):
        for first, last, text in re.findall(r"<(\w+)> <(\w+)> <(\w+)>", block):
            for glyph in range(int(first, 16), int(last, 16) + 1):
                letters[glyph] = chr(int(text, 16) + glyph - int(first, 16))
    return letters


def _text(objects: dict[int, bytes], page: bytes) -> str:
    named = {name.decode(): objects[int(number)] for name, number in re.findall(rb"/(F\d+) (\d+) 0 R", page)}
    fonts = {name: _letters(objects, body) for name, body in named.items() if b"/ToUnicode" in body}
    out: list[str] = []
    font: dict[int, str] = {}
    for name, shown, several, begins in _SHOWN.findall(_stream(objects[_reference(page, b"Contents")])):
        if name:
            font = fonts.get(name, {})
        for glyphs in [shown, *re.findall(r"<(\w+)>", several)]:
            out += [font.get(int(glyphs[at : at + 4], 16), "?") for at in range(0, len(glyphs), 4)]
        out += ["\n"] if begins else []
    return "".join(out)
