"""`afdb costs refresh`: a provider's own price file against ours, from a local HTTP server and from files."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from afdb_helpers import cli, pricing
from afdb_helpers.pricing import feeds, pricefile

HETZNER = {
    "server_types": [
        {"name": name, "prices": [{"location": place, "price_monthly": {"net": net, "gross": "9"}}]}
        for name, place, net in (
            ("cx23", "fsn1", "5.9900000000"),
            ("cx33", "fsn1", "8.4900000000"),
            ("cx99", "fsn1", "1"),
        )
    ]
}
SKU = {"databaseEngine": "PostgreSQL", "deploymentOption": "Single-AZ", "regionCode": "us-east-1"}


def amazon(**hourly: str) -> dict[str, Any]:
    """A price list in Amazon's form: products and terms apart, joined by the SKU."""
    products, terms = {}, {}
    for number, (size, price) in enumerate(hourly.items()):
        sku = f"SKU{number}"
        products[sku] = {
            "sku": sku,
            "productFamily": "Database Instance",
            "attributes": {**SKU, "instanceType": f"db.t4g.{size}"},
        }
        dimension = {"unit": "Hrs", "pricePerUnit": {"USD": price}}
        terms[sku] = {
            f"{sku}.J": {"sku": sku, "effectiveDate": "2026-11-01T00:00:00Z", "priceDimensions": {"d": dimension}}
        }
    other = {"sku": "MY", "attributes": {**SKU, "databaseEngine": "MySQL", "instanceType": "db.t4g.micro"}}
    return {"products": {**products, "MY": other}, "terms": {"OnDemand": terms}}


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    return Path(shutil.copy(pricefile.DATA, tmp_path / "offers.yaml"))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[[Any], str]]:
    """Serves data over HTTP on this machine; gives its address."""
    pages: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = pages.get(self.path.partition("?")[0])
            self.send_response(200 if found is not None else 404)
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *words: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def serve(data: Any) -> str:
        pages["/prices"] = data if isinstance(data, bytes) else json.dumps(data).encode()
        return f"http://127.0.0.1:{server.server_port}/prices"

    yield serve
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def refresh(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prices: Path) -> Any:
    """Runs `afdb costs refresh` on a copy of the price file: exit code, standard output, standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["afdb", "costs", "refresh", "--prices", str(prices), *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out = capsys.readouterr()
        return int(ended.value.code or 0), out.out, out.err

    return run


def test_the_difference_is_shown_and_nothing_written_until_asked(refresh: Any, served: Any, prices: Path) -> None:
    address, before = served(HETZNER), prices.read_bytes()
    code, out, _ = refresh(address, "--format", "json")
    assert code == 0
    rows = {row["offer"]: row for row in json.loads(out)["rows"]}
    assert (rows["hetzner-cx23"]["was"], rows["hetzner-cx23"]["is"], rows["hetzner-cx23"]["change"]) == (
        "5.49",
        "5.99",
        "+9.1 %",
    )
    assert rows["hetzner-cx33"]["change"] == "same"
    assert rows["hetzner-cpx32-eu"]["change"] == "not in the file"
    assert "1 price of 4 changed; nothing is written" in out
    assert prices.read_bytes() == before


def test_with_write_only_prices_dates_and_sources_change(refresh: Any, served: Any, prices: Path) -> None:
    address, before = served(HETZNER), prices.read_text().splitlines()
    code, out, _ = refresh(f"{address}?token=secret", "--write")
    assert code == 0
    assert "written to" in out
    after = prices.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 2
    assert all("of: fee" in new and address in new and "secret" not in new for _, new in changed)
    catalogue = pricing.load(prices)
    assert (
        str(pricing.bill("hetzner-cx23", pricing.workload(), catalogue=catalogue).total) == "7.55"
    )  # (5.99 + 0.5) EUR
    assert catalogue.offer("hetzner-cx23").meters[0].source == address
    _, out, _ = refresh(address, "--format", "json")
    assert "0 prices of 4 changed" in out
    assert sum(row["change"] == "same" for row in json.loads(out)["rows"]) == 2


def test_amazons_price_list_is_joined_by_the_sku_and_made_monthly(refresh: Any, served: Any, prices: Path) -> None:
    address = served(amazon(micro="0.0170000000", small="0.0320000000"))
    code, _, err = refresh(address, "--write")
    assert code == 0, err
    offer = pricing.load(prices).offer("aws-rds-pg-t4g-micro")
    assert (str(offer.meters[0].price), str(offer.meters[0].as_of)) == ("12.41", "2026-11-01")
    assert str(pricing.load(prices).offer("aws-rds-pg-t4g-small").meters[0].price) == "23.36"


def test_a_file_of_our_own_form_and_of_block_style_is_read_and_written(
    refresh: Any, prices: Path, tmp_path: Path
) -> None:
    newer = pricefile.read_yaml(prices)
    offer = next(each for each in newer["offers"] if each["id"] == "fly-mpg-basic")
    offer["meters"][0]["price"], offer["as_of"] = 40, "2026-11-20"
    newer["offers"] = [offer]
    (tmp_path / "newer.yaml").write_text(yaml.safe_dump(newer))
    prices.write_text(yaml.safe_dump(pricefile.read_yaml(prices), sort_keys=False, default_flow_style=False))
    code, out, _ = refresh(str(tmp_path / "newer.yaml"), "--write")
    assert code == 0
    assert "+5.3 %" in out
    assert pricing.load(prices).offer("fly-mpg-basic").meters[0].price == 40


def test_older_figures_do_not_take_the_place_of_newer_ones(refresh: Any, prices: Path, tmp_path: Path) -> None:
    older = pricefile.read_yaml(prices)
    offer = next(each for each in older["offers"] if each["id"] == "fly-mpg-basic")
    offer["meters"][0]["price"], offer["as_of"] = 20, "2024-01-01"
    older["offers"], before = [offer], prices.read_bytes()
    (tmp_path / "older.yaml").write_text(yaml.safe_dump(older))
    _, out, _ = refresh(str(tmp_path / "older.yaml"), "--write")
    assert "older than ours" in out
    assert prices.read_bytes() == before


def hetzner(net: Any, name: str = "cx23", place: str = "fsn1") -> dict[str, Any]:
    return {"server_types": [{"name": name, "prices": [{"location": place, "price_monthly": {"net": net}}]}]}


TWICE = {"server_types": [*hetzner("5")["server_types"], *hetzner("6")["server_types"]]}


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (b"<html>no</html>", 2, "neither JSON nor YAML"),
        ([1, 2], 2, "no price file that is known"),
        ({"plans": 1}, 2, "it has plans at the top"),
        (hetzner("lots"), 2, "price_monthly.net of hetzner-cx23 is 'lots'"),
        (hetzner("-1"), 2, "a number from 0 to 1,000,000,000,000,000"),
        (hetzner("nan"), 2, "a number from 0"),
        (hetzner(None), 2, "price_monthly.net of hetzner-cx23 is None"),
        (hetzner(True), 2, "is True"),
        (TWICE, 2, "2 prices for hetzner-cx23"),
        (hetzner("0.0075"), 3, "would go from 5.49 to 0.0075"),
        ({"offers": []}, 2, "that file is no valid price file"),
    ],
)
def test_a_file_that_cannot_be_trusted_changes_nothing(
    refresh: Any, served: Any, prices: Path, data: Any, code: int, said: str
) -> None:
    before = prices.read_bytes()
    ended, _, err = refresh(served(data), "--write")
    assert ended == code
    assert said in err
    assert "\n  do: " in err
    assert prices.read_bytes() == before


def test_what_cannot_be_fetched_is_unavailable_and_an_address_of_another_kind_refused(
    refresh: Any, served: Any
) -> None:
    address = served(HETZNER)
    code, _, err = refresh(address.replace("/prices", "/elsewhere?key=secret"))
    assert code == 4
    assert "404" in err
    assert "secret" not in err
    assert refresh("http://127.0.0.1:9/prices")[0] == 4
    assert refresh("ftp://example.org/prices")[0] == 2
    assert refresh("nowhere.json")[0] == 2


def test_every_entry_of_the_feeds_is_about_a_meter_that_we_have() -> None:
    catalogue = pricing.load()
    found = [wanted for feed in feeds.feeds() for wanted in feed.prices]
    assert len(found) >= 10
    for wanted in found:
        assert any(meter.of == wanted.meter for meter in catalogue.offer(wanted.offer).meters), wanted
