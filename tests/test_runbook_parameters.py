"""Parameters: what a cell may declare, what a value may be, and that neither ever loses a digit or keeps a secret."""

from __future__ import annotations

import ast
import base64
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.runbook import leaks, parameters
from afdb_helpers.runbook.parameters import Parameter

CELL = """from typing import Literal

target: str = "default"  # help: the database
backup: str
jobs: int = 2  # help: at once
share: float = 0.5
dry_run: bool = False
mode: Literal["fast", "safe"] = "safe"
level: Literal[1, 2] = 1
revision: str | None = None
limit: int | None = -5
"""
NOTHING = leaks.Known(())


def declared() -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in parameters.declared(CELL)}


def check(given: dict[str, Any]) -> dict[str, Any]:
    return parameters.check(parameters.declared(CELL), {"backup": "b"} | given, NOTHING)


def test_types_defaults_and_help_come_from_the_syntax_tree() -> None:
    found = declared()
    assert list(found) == [
        "target", "backup", "jobs", "share", "dry_run", "mode", "level", "revision", "limit",
    ]  # fmt: skip
    assert found["target"] == Parameter("target", "str", default="default", help="the database")
    assert found["backup"].required
    assert (found["mode"].kind, found["mode"].choices, found["mode"].type) == (
        "choice",
        ("fast", "safe"),
        "fast | safe",
    )
    assert (found["revision"].optional, found["revision"].default, found["revision"].type) == (
        True,
        None,
        "str or None",
    )
    assert found["limit"].default == -5


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("x = 1", "not of the form"),
        ("x: int = f()", "is not a literal"),
        ("x: int = '1'", "the default of x is not int"),
        ("x: bool = 1", "the default of x is not bool"),
        ("x: list = []", "types are"),
        ("x: Literal['a'] = 'b'", "the default of x is not a"),
        ("x: str = None", "the default of x is not str"),
        ("x: int = 1\nx: int = 2", "declared twice"),
        ("import os", "not of the form"),
        ("%magic", "not Python"),
        ("a.b: int = 1", "not of the form"),
        ("x: float = float('inf')", "is not a literal"),
    ],
)
def test_what_is_no_parameter_is_refused_with_its_reason(source: str, why: str) -> None:
    with pytest.raises(ConfigError, match="the parameters cell cannot be read") as refused:
        parameters.declared(source)
    assert why in refused.value.why


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("target", "1975e0837120", "1975e0837120"),
        ("target", "007", "007"),
        ("target", "None", "None"),
        ("target", "", ""),
        ("jobs", "4", 4),
        ("jobs", "-4", -4),
        ("share", "1e-3", 0.001),
        ("dry_run", "yes", True),
        ("dry_run", "False", False),
        ("mode", "fast", "fast"),
        ("level", "2", 2),
        ("revision", "1975e0837120", "1975e0837120"),
        ("revision", "None", None),
        ("limit", "None", None),
        ("limit", "12", 12),
    ],
)
def test_text_becomes_a_value_of_the_declared_type(name: str, text: str, value: Any) -> None:
    found = check({name: text})[name]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("jobs", "4.0", "jobs: '4.0' is not int"),
        ("jobs", "four", "is not int"),
        ("jobs", "1_000", "is not int"),
        ("jobs", "٤", "is not int"),
        ("jobs", "None", "is not int"),
        ("jobs", 4.0, "jobs takes int"),
        ("jobs", True, "jobs takes int"),
        ("share", "nan", "is not float"),
        ("share", "inf", "is not float"),
        ("share", float("inf"), "share takes float"),
        ("dry_run", "maybe", "is not bool"),
        ("dry_run", 1, "dry_run takes bool"),
        ("mode", "slow", "is not fast | safe"),
        ("mode", 1, "mode takes fast | safe"),
        ("level", "3", "is not 1 | 2"),
        ("level", True, "level takes 1 | 2"),
        ("target", None, "target takes str"),
        ("target", ["default"], "target takes str"),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: Any, what: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check({name: value})
    assert what in refused.value.what
    assert name != "dry_run" or value == 1 or refused.value.do == "give one of: true, false"


@pytest.mark.parametrize("value", [float("inf"), 1975, 1e5, True])
def test_a_number_for_a_text_is_refused_with_the_advice_to_pass_text(value: object) -> None:
    with pytest.raises(ConfigError, match="revision takes str or None") as refused:
        check({"revision": value})
    assert "-p turns text that looks like a number into one" in refused.value.why
    assert "-r NAME VALUE" in refused.value.do


def test_every_hexadecimal_revision_id_stays_what_it_is() -> None:
    ids = ["1975e0837120", "000000000000", "123456789012", "0x1234567890", "1e1000000000", "infinity0000", "nan"]
    assert [check({"revision": id_})["revision"] for id_ in ids] == ids


def test_an_unknown_name_is_refused_naming_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no parameter called 'revison'") as refused:
        check({"revison": "002"})
    assert refused.value.why == "the nearest: revision"
    with pytest.raises(ConfigError) as refused:
        check({"zzz": "002"})
    assert refused.value.why.startswith("it has: target, backup")


def test_a_name_that_is_none_is_refused_without_being_quoted() -> None:
    with pytest.raises(ConfigError) as refused:
        check({"postgresql://u:hunter22@h/d": "x"})
    assert "hunter22" not in str(refused.value)


def test_a_required_parameter_left_out_is_refused_naming_it() -> None:
    with pytest.raises(ConfigError, match="needs backup") as refused:
        parameters.check(parameters.declared(CELL), {}, NOTHING)
    assert refused.value.do == "add -p backup VALUE"


@given(st.text())
def test_an_injected_value_is_a_literal_and_nothing_else(text: str) -> None:
    tree = ast.parse(parameters.injected({"target": text}))
    assert len(tree.body) == 1
    assert isinstance(tree.body[0], ast.Assign)
    assert ast.literal_eval(tree.body[0].value) == text


# ── secrets ─────────────────────────────────────────────────────────────────────────────────────────────────────────

SETTINGS = {
    "PRODUCTION_DATABASE_URL": "postgresql://app:S3cr%2Ft-p%40ss@db.example.org:5432/shop?sslmode=require",
    "DATABASE_URL": "sqlite:///shop.db",
    "POSTGRES_PASSWORD": "plain-password",
    "SUPABASE_SERVICE_ROLE_KEY": "eyJhbGciOiJIUzI1NiJ9.e30.abc",
    "REPLICA_URL": "postgresql:///shop?host=db&password=query-password",
    "MAX_TOKENS": "100000",
    "KEYBOARD": "qwertz-de",
    "SSH_KEY": "/etc/hostname",
    "SHORT_TOKEN": "abc",
    "PATH": "/usr/bin:/bin",
}


def test_the_secrets_are_passwords_of_urls_and_values_of_keys_tokens_and_passwords() -> None:
    found = {(secret.setting, secret.value) for secret in leaks.known(SETTINGS).secrets}
    assert found == {
        ("PRODUCTION_DATABASE_URL (password)", "S3cr%2Ft-p%40ss"),
        ("PRODUCTION_DATABASE_URL (password)", "S3cr/t-p@ss"),
        ("POSTGRES_PASSWORD", "plain-password"),
        ("SUPABASE_SERVICE_ROLE_KEY", "eyJhbGciOiJIUzI1NiJ9.e30.abc"),
        ("REPLICA_URL (password)", "query-password"),
    }


def test_a_password_that_is_also_public_text_is_not_looked_for_and_said_so() -> None:
    settings = {"DATABASE_URL": "postgresql://postgres:postgres@localhost/postgres", "A_TOKEN": "backup"}
    found = leaks.known(settings, public="# Backup\n\nThe backup of a target.")
    assert found.secrets == ()
    assert found.indistinct == ("A_TOKEN", "DATABASE_URL (password)")


def test_a_secret_has_no_repr() -> None:
    assert "plain-password" not in repr(leaks.known(SETTINGS))


@pytest.mark.parametrize(
    "value",
    [
        "plain-password", "x plain-password y", quote("S3cr/t-p@ss", safe=""), "S3cr%2ft-p%40ss", "S3cr/t-p@ss",
        base64.b64encode(b"ab plain-password").decode(), base64.b64encode(b"plain-password").decode(),
        "postgresql://u:pw@h/d", "host=h password=pw", "postgresql:///d?host=h&password=pw",
    ],
)  # fmt: skip
def test_a_secret_as_a_value_is_refused_and_never_quoted(value: str) -> None:
    with pytest.raises(Refused, match="secret as parameter: the value of target") as refused:
        parameters.check(parameters.declared(CELL), {"backup": "b", "target": value}, leaks.known(SETTINGS))
    assert value not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["production", "postgresql://app@db/shop", "20261122T154233Z-backup-default-7f3a", "sha256:00ff", "OPS-12"]
)
def test_an_ordinary_value_is_no_secret(value: str) -> None:
    given = {"backup": "b", "target": value}
    assert parameters.check(parameters.declared(CELL), given, leaks.known(SETTINGS)) == given


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=6, max_size=30),
    st.binary(max_size=4),
    st.binary(max_size=4),
)
def test_a_secret_is_found_in_every_shape_it_may_take(secret: str, before: bytes, after: bytes) -> None:
    import html
    import json

    known = leaks.Known((leaks.Secret("S", secret, leaks.shapes(secret)),))
    shapes = [
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote(secret, safe=" +"),  # as SQLAlchemy writes it into a URL
        json.dumps(secret),
        html.escape(secret),
        repr(secret)[1:-1],
    ]
    shapes.append(json.dumps(secret, ensure_ascii=False))
    shapes.append(base64.b64encode(before + secret.encode() + after).decode())
    shapes.append(base64.urlsafe_b64encode(before + secret.encode() + after).decode())
    for shape in shapes:
        assert known.within(shape) == ["S"]
        cleaned, found = leaks.cleaned({"a": [shape, 1, None]}, known)
        assert found == {"S"}
        assert shape not in cleaned["a"][0]
        assert "[S]" in cleaned["a"][0]
