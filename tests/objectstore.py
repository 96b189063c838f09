"""An S3 server of the tests' own over real HTTP (moto's), and what stands in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

SECRET = "canary-s3-51f0"


@dataclass(frozen=True)
class ObjectStore:
    """A bucket, and the settings that lead to it."""

    endpoint: str
    bucket: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/backups"

    def settings(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1", "AFDB_BACKUPS": self.url,
        }  # fmt: skip

    def client(self) -> Any:
        import boto3

        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id="a",
                            aws_secret_access_key="b")  # fmt: skip

    def objects(self) -> dict[str, str]:
        """Every object's name in the store, and when it was written."""
        found = self.client().list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {one["Key"].removeprefix("backups/"): str(one["LastModified"]) for one in found}

    def flip(self, name: str) -> None:
        """Turn one byte of an object round."""
        client, key = self.client(), f"backups/{name}"
        raw = bytearray(client.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        raw[len(raw) // 2] ^= 1
        client.put_object(Bucket=self.bucket, Key=key, Body=bytes(raw))

    def delete(self, name: str) -> None:
        self.client().delete_object(Bucket=self.bucket, Key=f"backups/{name}")


def ask_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on a store that does not answer is not asked again, so that a test need not wait for it."""
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    monkeypatch.setattr("afdb_helpers.backup.remote.ATTEMPTS", 1)


@contextlib.contextmanager
def running() -> Iterator[str]:
    """The address of an S3 server that holds nothing yet."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
