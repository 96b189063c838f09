"""A notebook's cells as a page shows them: outputs in their richest harmless form, never more than a page holds."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from afdb_helpers.pages.markup import clean, plain
from afdb_helpers.report import count

TEXT = 100_000  # characters of one output, of its beginning and its end
MARKUP = 1_000_000  # of one output's markup; a longer one is shown as its text
PICTURE = 6_000_000  # of one picture, in base64
PAGE = 6_000_000  # of all outputs together: a browser shows such a page, and a ticket takes it
_IMAGES = ("image/png", "image/jpeg", "image/svg+xml")
_SKIPPED = "Left out, since this page is full: {} of output. It is in notebook.ipynb."


class Cells:
    """Turns cells into what the template shows. Whatever stands in place of a notebook, nothing is raised."""

    def __init__(self) -> None:
        self.room = PAGE

    def shown(self, notebook: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The cells that hold something, in order."""
        cells = [cell for cell in _list(notebook.get("cells")) if isinstance(cell, dict)]
        return [self._cell(cell) for cell in cells if _text(cell.get("source")).strip()]

    def _cell(self, cell: Mapping[str, Any]) -> dict[str, Any]:
        source = cut(_text(cell.get("source")))
        if cell.get("cell_type") == "markdown":
            return {"kind": "markdown", "html": markdown(source)}
        about = _dict(_dict(cell.get("metadata")).get("papermill"))
        outputs = [shown for one in _list(cell.get("outputs")) if (shown := self._fitting(_dict(one)))]
        seconds = about.get("duration")
        took = f"{seconds:.1f} s" if isinstance(seconds, int | float) and seconds >= 0.05 else ""
        return {"kind": "code", "source": source, "status": str(about.get("status", "")), "took": took,
                "outputs": outputs}  # fmt: skip

    def _fitting(self, output: Mapping[str, Any]) -> dict[str, str] | None:
        shown = _output(output)
        size = max(map(len, (shown or {"": ""}).values()))
        if size <= self.room:
            self.room -= size
            return shown
        return {"text": _SKIPPED.format(count(size, "character")), "name": "note"}


@cache
def _reader() -> Any:
    import mistune

    return mistune.create_markdown(escape=True, plugins=["table"])


def markdown(text: str) -> str:
    """Markdown as harmless markup."""
    return clean(_reader()(text))


def cut(text: str, limit: int = TEXT) -> str:
    """Text as it is, or its beginning and end with what was left out between them."""
    if len(text) <= limit:
        return text
    left = count(len(text) - limit, "character")
    return (
        f"{text[: limit * 3 // 5]}\n\n… {left} left out here; all is in notebook.ipynb …\n\n{text[-limit * 2 // 5 :]}"
    )


def _output(output: Mapping[str, Any]) -> dict[str, str] | None:
    """The richest form of an output that is harmless and fits: picture, markup, text."""
    kind, data = output.get("output_type"), _dict(output.get("data"))
    if kind == "stream":
        return {"text": plain(cut(_text(output.get("text")))), "name": str(output.get("name", ""))}
    if kind == "error":
        trace = "\n".join(map(str, _list(output.get("traceback"))))
        return {"text": plain(cut(trace or f"{output.get('ename')}: {output.get('evalue')}")), "name": "error"}
    text = _text(data.get("text/plain"))
    for image in _IMAGES:
        if image in data and len(picture := _text(data[image])) <= PICTURE:
            raw = base64.b64encode(picture.encode("utf-8", "replace")).decode() if image.endswith("xml") else picture
            alt = "" if text.startswith("<") else cut(plain(text), 300)
            return {"image": f"data:{image};base64,{re.sub(r'[^A-Za-z0-9+/=]', '', raw)}", "alt": alt}
    markup = _text(data.get("text/html"))
    if 0 < len(markup) <= MARKUP:
        return {"html": clean(markup)}
    return {"text": plain(cut(text)), "name": "result"} if text else None


def _text(value: Any) -> str:
    """A notebook's text, which is one string or a list of them."""
    return "".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
