"""Routes of the API that only read: they give what the pages show, and what an operator's machines ask for."""

from __future__ import annotations

import httpx
import pytest


@pytest.fixture
def program(site: httpx.Client) -> httpx.Client:
    """A program at the address of ``site``."""
    with httpx.Client(base_url=site.base_url, timeout=30) as client:
        yield client


def test_trials_are_listed_page_by_page_and_shown_one_by_one(program: httpx.Client) -> None:
    trials = "/api/v1/studies/large/trials"
    first = program.get(trials, params={"sort": "-value", "state": "complete", "limit": 3}).json()
    second = program.get(trials, params={"sort": "-value", "state": "complete", "limit": 3, "cursor": first["cursor"]})
    values = [each["value"] for each in (*first["items"], *second.json()["items"])]
    assert values == sorted(values, reverse=True) and len(values) == 6
    best = program.get("/api/v1/studies/large/best", params={"k": 3}).json()
    assert [each["value"] for each in best] == values[:3]
    shown = program.get(f"{trials}/{best[0]['trial']}").json()
    assert shown["summary"] == best[0] and len(shown["curve"]) == best[0]["epochs"]
    assert program.get(f"{trials}/2000").status_code == 404


def test_leases_are_the_units_of_the_budget(program: httpx.Client) -> None:
    found = program.get("/api/v1/studies/running/leases", params={"limit": 500}).json()["items"]
    states = [each["state"] for each in found]
    assert [states.count(state) for state in ("closed", "held", "open")] == [20, 2, 8]


def test_health_readiness_and_metrics_are_told(program: httpx.Client) -> None:
    assert program.get("/healthz").json()["status"] == "ok"
    assert program.get("/readyz").json() == {"status": "ready", "database": "sqlite"}
    counted = program.get("/metrics")
    assert counted.headers["content-type"].startswith("text/plain")
    assert "tuner_database_up 1.0" in counted.text
