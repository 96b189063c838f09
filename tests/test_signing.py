"""A signature is believed when a listed key made it over exactly this content and kind; else it is refused."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from afdb_helpers import signing
from afdb_helpers.errors import ConfigError, Refused

KIND = "application/vnd.test+json"


@pytest.fixture
def key(tmp_path: Path) -> tuple[Path, str]:
    return tmp_path / "alice.pem", signing.create(tmp_path / "alice.pem")


def _signed(path: Path, said: Any, kind: str = KIND) -> dict[str, Any]:
    return signing.sign(json.dumps(said).encode(), kind, signing.load(str(path)))


def test_what_was_signed_is_returned_with_the_signers_name(key: tuple[Path, str]) -> None:
    envelope = json.loads(json.dumps(_signed(key[0], {"digest": "sha256:1"})))
    assert signing.opened(envelope, KIND, {key[1]: "alice"}) == ({"digest": "sha256:1"}, "alice")


def test_a_key_may_be_the_settings_text(key: tuple[Path, str]) -> None:
    assert signing.public(signing.load(key[0].read_text())) == key[1]


def test_only_its_owner_can_read_a_new_key_and_nothing_is_overwritten(key: tuple[Path, str]) -> None:
    assert stat.S_IMODE(key[0].stat().st_mode) == 0o600
    before = key[0].read_bytes()
    with pytest.raises(ConfigError, match="File exists"):
        signing.create(key[0])
    assert key[0].read_bytes() == before


def test_every_changed_byte_and_every_other_key_is_refused(key: tuple[Path, str], tmp_path: Path) -> None:
    envelope, keys = _signed(key[0], {"n": 1}), {key[1]: "alice"}
    payload = base64.b64decode(envelope["payload"])
    for at in range(len(payload)):
        changed = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
        with pytest.raises(Refused, match="not believed"):
            signing.opened(envelope | {"payload": base64.b64encode(changed).decode()}, KIND, keys)
    mallory = signing.create(tmp_path / "mallory.pem")
    for wrong in ({mallory: "alice"}, {}):
        with pytest.raises(Refused, match="not believed"):
            signing.opened(envelope, KIND, wrong)


def test_a_signature_over_another_kind_of_content_is_refused(key: tuple[Path, str]) -> None:
    with pytest.raises(Refused, match="something else"):
        signing.opened(_signed(key[0], {}, "application/other"), KIND, {key[1]: "alice"})


@pytest.mark.parametrize("broken", [{}, {"payload": 1}, {"payload": "!", "payloadType": KIND, "signatures": []}])
def test_what_is_no_envelope_is_refused(key: tuple[Path, str], broken: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="not believed"):
        signing.opened(broken, KIND, {key[1]: "alice"})


def test_believed_keys_are_lines_of_name_and_digits(tmp_path: Path, key: tuple[Path, str]) -> None:
    file = tmp_path / "approvers"
    file.write_text(f"# who may approve\nalice {key[1]}  # since May\n\n")
    assert signing.believed(file) == {key[1]: "alice"}
    file.write_text("alice\n")
    with pytest.raises(ConfigError, match=r"line 1 of .* is no key"):
        signing.believed(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        signing.believed(tmp_path / "none")


@pytest.mark.parametrize("text", ["-----BEGIN PRIVATE KEY-----\nsecretsecret\n", "/no/such/file"])
def test_a_key_that_cannot_be_used_is_said_without_quoting_it(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        signing.load(text)
    assert "AFDB_SIGNING_KEY cannot be used" in str(caught.value)
    assert "secretsecret" not in str(caught.value)
