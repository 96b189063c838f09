"""What a runbook may be given: names, types, choices, defaults and help, from the syntax tree of one cell.

The cell tagged `parameters` holds lines `name: type = literal  # help: text`; without a value the parameter is
required. Types: str, int, float, bool, Literal["a", "b"], and any of them `| None`. Nothing is executed to read it.
"""

from __future__ import annotations

import ast
import difflib
import io
import math
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.runbook.leaks import Known, looks_secret

_HELP = re.compile(r"#\s*help:\s*(.*)")
_BOOL = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_ADVICE = "pass it as text: `afdb run … -p NAME VALUE`, or with papermill `-r NAME VALUE` in place of -p"


@dataclass(frozen=True)
class Parameter:
    """One parameter. `kind` is str, int, float, bool or choice; `required` ones have no default."""

    name: str
    kind: str
    optional: bool = False
    choices: tuple[Any, ...] = ()
    required: bool = False
    default: Any = None
    help: str = ""

    @property
    def type(self) -> str:
        """The type as a person reads it: `str`, `int or None`, `fast | safe`."""
        shown = " | ".join(map(str, self.choices)) if self.choices else self.kind
        return f"{shown} or None" if self.optional else shown


def declared(source: str) -> tuple[Parameter, ...]:
    """The parameters that the cell's source declares. Raises `ConfigError` naming the line it cannot read."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise _unreadable(error.lineno or 0, f"it is not Python: {error.msg}") from None
    helps = _helps(source)
    found = [_declared(node, helps) for node in tree.body if not _is_typing_import(node)]
    for index, parameter in enumerate(found):
        if parameter.name in (earlier.name for earlier in found[:index]):
            raise _unreadable(0, f"{parameter.name} is declared twice")
    return tuple(found)


def check(
    parameters: Iterable[Parameter], given: Mapping[str, Any], secrets: Known, *, runbook: str = "this runbook"
) -> dict[str, Any]:
    """The given values with their declared types. Text is parsed; nothing else is turned into another type.

    Raises `ConfigError` on a name that is not declared, a value that is not of its type, or a required parameter
    left out, and `Refused` on a value that is or holds a secret. No message quotes a secret.
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in by_name:
            raise _unknown(name, by_name, runbook)
    for name, value in given.items():
        refuse_secret(name, value, secrets)
    missing = [name for name, parameter in by_name.items() if parameter.required and name not in given]
    if missing:
        raise ConfigError(
            f"{runbook} needs {' and '.join(missing)}",
            why=f"{missing[0]} has no default",
            do=" ".join(["add", *(f"-p {name} VALUE" for name in missing)]),
        )
    return {name: parsed(by_name[name], value) for name, value in given.items()}


def parsed(parameter: Parameter, value: Any) -> Any:
    """The value with the parameter's type. Raises `ConfigError` where turning it would lose something."""
    if parameter.optional and (value is None or value == "None"):
        return None
    if isinstance(value, str):
        fits, result = _from_text(parameter, value)
    else:
        fits, result = _from_value(parameter, value)
    if not fits:
        raise _mistyped(parameter, value)
    return result


def refuse_secret(name: str, value: Any, secrets: Known) -> None:
    """Raise `Refused` where a value to be written down is a secret: a record would keep it for years."""
    settings = secrets.within(str(value))
    why = f"it is or holds the secret of {settings[0]}" if settings else looks_secret(str(value))
    if why:
        raise Refused(
            f"secret as parameter: the value of {name} is refused",
            why=f"{why}, and parameters are stored in the notebook and in the record",
            do="put the URL into the environment or .env and pass the target's name, for example -p target staging",
        )


def injected(values: Mapping[str, Any]) -> str:
    """The source of the cell that sets the given values: literals only, so that a value can never be code."""
    return "\n".join(["# Parameters of this run", *(f"{name} = {value!r}" for name, value in values.items())])


def _declared(node: ast.stmt, helps: Mapping[int, str]) -> Parameter:
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
        raise _unreadable(node.lineno, "it is not of the form `name: type = literal`")
    name = node.target.id
    kind, optional, choices = _type(node.annotation)
    bare = Parameter(
        name, kind, optional, choices, node.value is None, None, helps.get(node.end_lineno or node.lineno, "")
    )
    if node.value is None:
        return bare
    try:
        default = ast.literal_eval(node.value)
    except ValueError:
        raise _unreadable(node.lineno, f"the default of {name} is not a literal") from None
    if not (optional and default is None) and not _from_value(bare, default)[0]:
        raise _unreadable(node.lineno, f"the default of {name} is not {bare.type}")
    return Parameter(name, kind, optional, choices, False, default, bare.help)


def _type(annotation: ast.expr) -> tuple[str, bool, tuple[Any, ...]]:
    """Kind, whether None is allowed, and the choices of a Literal."""
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            kind, _, choices = _type(left)
            return kind, True, choices
        case ast.Name(id="str" | "int" | "float" | "bool" as kind):
            return kind, False, ()
        case ast.Subscript(value=ast.Name(id="Literal"), slice=chosen):
            items = chosen.elts if isinstance(chosen, ast.Tuple) else [chosen]
            values = tuple(item.value for item in items if isinstance(item, ast.Constant))
            if len(values) == len(items) and all(type(value) in (str, int) for value in values):
                return "choice", False, values
    raise _unreadable(
        annotation.lineno, "types are str, int, float, bool and Literal[…] of text or ints, or one | None"
    )


def _from_text(parameter: Parameter, text: str) -> tuple[bool, Any]:
    match parameter.kind:
        case "str":
            return True, text
        case "int":
            return bool(re.fullmatch(r"[+-]?[0-9]+", text)), int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else None
        case "float":
            try:
                number = float(text)
            except ValueError:
                return False, None
            return math.isfinite(number), number
        case "bool":
            return text.lower() in _BOOL, _BOOL.get(text.lower())
    by_text = {str(choice): choice for choice in parameter.choices}
    return text in by_text, by_text.get(text)


def _from_value(parameter: Parameter, value: Any) -> tuple[bool, Any]:
    match parameter.kind:
        case "choice":
            return any(type(value) is type(choice) and value == choice for choice in parameter.choices), value
        case "float":
            fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            return fits, float(value) if fits else None
        case kind:
            return type(value).__name__ == kind, value


def _helps(source: str) -> dict[int, str]:
    """Line number to the text of its `# help:` comment."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: _HELP.match(token.string) for token in tokens if token.type == tokenize.COMMENT}
    return {line: match[1].strip() for line, match in comments.items() if match}


def _is_typing_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "typing"


def _unreadable(line: int, why: str) -> ConfigError:
    place = f", line {line}" if line else ""
    return ConfigError(
        f"the parameters cell cannot be read{place}",
        why=why,
        do="write each parameter as `name: type = literal  # help: text`; nothing else belongs into that cell",
    )


def _unknown(name: str, by_name: Mapping[str, Parameter], runbook: str) -> ConfigError:
    near = difflib.get_close_matches(name, by_name, n=3, cutoff=0.5)
    shown = f"called {name!r}" if str(name).isidentifier() else "of the given name, which is not a name at all"
    why = f"the nearest: {', '.join(near)}" if near else f"it has: {', '.join(by_name) or 'none'}"
    return ConfigError(
        f"{runbook} has no parameter {shown}", why=why, do="correct the name; `afdb runbooks` lists them"
    )


def _mistyped(parameter: Parameter, value: Any) -> ConfigError:
    if isinstance(value, str):
        shown = repr(value if len(value) <= 60 else value[:57] + "…")
        choices = ["true", "false"] if parameter.kind == "bool" else list(map(str, parameter.choices))
        do = f"give one of: {', '.join(choices)}" if choices else f"give {parameter.type}"
        return ConfigError(f"{parameter.name}: {shown} is not {parameter.type}", why="it is declared so", do=do)
    why = f"it arrived as the {type(value).__name__} {str(value)[:60]}"
    if parameter.kind in ("str", "choice"):
        why += ", and papermill's -p turns text that looks like a number into one: an id would change"
    return ConfigError(f"{parameter.name} takes {parameter.type}", why=why, do=_ADVICE)
