"""Pages in a browser: charts, what changes while one looks, the phone, the keyboard, a database that goes away."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from disruption.servers import PostgresServer

from storage import leases, standing, studies
from storage.connecting import connect
from storage.pool import PoolMember
from tests.tuner.http import seeding
from tests.tuner.http.conftest import ODD

Serve = Callable[..., str]
PAGES = {
    "studies": "/",
    "sign-in": "/sign-in",
    "launch-blank": "/launch",
    "workers": "/workers",
    "champions-none": "/champions",
    "study-large": "/studies/large",
    "trial": "/studies/large/trials/0",
    "study-several-objectives": "/studies/several",
    "study-live": "/studies/running",
    "study-workers": "/studies/running/workers",
    "export-none": "/studies/running/export",
    "trial-running": "/studies/running/trials/20",
    "study-new": "/studies/new",
    "study-failed": "/studies/failed",
    "study-of-optuna": "/studies/plain",
    "study-odd-name": f"/studies/{quote(ODD, safe='')}",
    "not-found": "/studies/nothing",
}
WIDTHS = {1280: "desktop", 375: "phone"}
MAY_FAIL = re.compile(r"(?:/log|/studies/nothing)$")
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    """A window of a phone's width, in which nothing may go wrong and nobody be asked."""
    page = chromium.new_page(viewport={"width": 375, "height": 700})
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("response", lambda answer: wrong.append(answer.url) if _failed(answer) else None)
    yield page
    page.close()
    assert not wrong


def at(site: httpx.Client, path: str) -> str:
    return f"{site.base_url}".rstrip("/") + path


def stand_by(url: str) -> None:
    """Workers of every kind were seen just now."""
    database = connect(url)
    seeding.seen_again(database, studies.load_study(database, "running"))
    for pid, served in ((815, "team-*"), (816, "*")):
        standing.note(database, PoolMember(f"pool-node-2-{pid}-3fa2c1", "node-2", pid, "0.1.0"), served)
    database.close()


def _failed(answer: Any) -> bool:
    return answer.status >= 400 and answer.status != 503 and not MAY_FAIL.search(answer.url)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_and_draws_its_charts(
    tab: Any, site: httpx.Client, filled_url: str, scheme: str, width: int
) -> None:
    """And is photographed for people to look at."""
    stand_by(filled_url)
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 800})
    for name, path in PAGES.items():
        tab.goto(at(site, path))
        places = tab.locator("[data-source]")
        for index in range(places.count()):
            chart = places.nth(index).get_attribute("data-chart")
            tab.locator(f"#words-{chart}").scroll_into_view_if_needed()
            tab.wait_for_selector(f"#words-{chart}:not(:has-text('being drawn'))")
            assert "cannot be drawn" not in tab.locator(f"#words-{chart}").inner_text()
        assert tab.evaluate(OVERFLOW) <= 0, path
        assert tab.locator("main h1").count() == 1, path
        picture = f"{name}-{WIDTHS[width]}-{scheme}.png"
        tab.screenshot(path=Path(__file__).parents[3] / "build/screenshots" / picture, full_page=True)
    tab.goto(at(site, "/studies/large"))
    for chart in ("history", "curves", "importances", "parallel"):
        tab.locator(f"#chart-{chart}").scroll_into_view_if_needed()
        tab.wait_for_selector(f"#chart-{chart} svg.main-svg")
        wide = "element => element.parentElement.scrollWidth - element.parentElement.clientWidth"
        assert tab.locator(f"#chart-{chart}").evaluate(wide) <= 0, chart
    assert "the best value is" in tab.locator("#words-history").inner_text()


def test_the_dashboard_draws_the_same_study(tab: Any, site: httpx.Client) -> None:
    tab.set_viewport_size({"width": 1280, "height": 800})
    tab.goto(at(site, "/dashboard/"))
    tab.click("text=running")
    tab.wait_for_selector(".plotly svg.main-svg")
    tab.screenshot(path=Path(__file__).parents[3] / "build/screenshots/dashboard-desktop-light.png")


def test_a_page_follows_its_study_and_keeps_what_somebody_does(serving: Serve, tmp_path: Path, tab: Any) -> None:
    url = f"sqlite:///{tmp_path}/tuner.db"
    database = connect(url, create=True)
    record = seeding.new_study(database, "digits", 8)
    seeding.finish_trials(database, record, 5)
    (lease,) = seeding.begin_trials(database, record, 1)
    tab.goto(f"{serving(url)}/studies/digits")
    row = tab.locator("#running tbody tr")
    assert "2/8" in row.inner_text()
    tab.locator("#delete summary").click()
    tab.locator("#spec summary").click()
    tab.select_option("select[name=state]", "complete")
    tab.fill("input[name=confirm]", "dig")
    tab.evaluate("window.mark = document.querySelector('#running tbody tr')")
    place = "document.activeElement.getBoundingClientRect().top"
    before = tab.evaluate(place)

    leases.record_epoch(database, lease, 3, {"val_accuracy": 0.75, "loss": 0.5}, 3.0)
    tab.wait_for_selector("#running tbody tr:has-text('3/8')", state="attached")
    assert "0.75" in row.inner_text()
    assert tab.evaluate("window.mark.isConnected"), "the row is the same one"
    assert tab.evaluate("document.activeElement.name") == "confirm"
    assert tab.input_value("input[name=confirm]") == "dig" and tab.input_value("select[name=state]") == "complete"
    assert tab.evaluate("document.getElementById('spec').open && document.getElementById('delete').open")
    assert abs(tab.evaluate(place) - before) < 2, "what somebody looks at stays where it is"

    assert lease.trial_id is not None and lease.number is not None
    result = leases.TrialResult(lease.trial_id, lease.number, "pruned", value=0.75, epochs=3)
    leases.close(database, lease, result)
    tab.wait_for_selector("#status:has-text('6 of 8 done')")
    tab.wait_for_selector("#running >> text=No trial is running now")
    database.close()


def test_forms_in_the_browser(serving: Serve, tmp_path: Path, tab: Any) -> None:
    url = f"sqlite:///{tmp_path}/tuner.db"
    database = connect(url, create=True)
    seeding.new_study(database, ODD, 8)
    database.close()
    tab.goto(serving(url))
    tab.click(f"text={ODD}")
    tab.click("button:text-is('Stop')")
    tab.click("button:text-is('Resume')")
    tab.wait_for_selector("button:text-is('Stop')")
    tab.click("#delete summary")
    tab.fill("input[name=confirm]", ODD)
    tab.click("button:text-is('Delete')")
    tab.wait_for_selector("text=There is no study yet")


def test_the_keyboard_alone_reaches_the_content_and_sorts(tab: Any, site: httpx.Client) -> None:
    tab.goto(at(site, "/studies/large"))
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    assert tab.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.closest('main') !== null")
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    tab.focus("#trials thead a >> nth=0")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/studies/large?sort=trial*")


def test_while_the_database_is_away_pages_say_so_and_go_on_by_themselves(
    serving: Serve, tmp_path: Path, tab: Any
) -> None:
    with PostgresServer(tmp_path / "postgres") as server:
        database = connect(server.url, create=True)
        seeding.new_study(database, "digits", 8)
        database.close()
        address = serving(server.url)
        tab.goto(f"{address}/studies/digits")
        assert tab.locator("#banner").is_hidden()
        server.take_away("fast")
        tab.wait_for_selector("#banner:visible")
        with httpx.Client(base_url=address, headers={"Accept": "text/html"}, timeout=30) as client:
            away = client.get("/studies/digits")
        assert away.status_code == 503 and away.headers["Retry-After"]
        assert re.search(r'<meta http-equiv="refresh" content="\d+">', away.text)
        assert "<h1>The database is unavailable</h1>" in away.text
        server.bring_back()
        tab.wait_for_selector("#banner", state="hidden")
