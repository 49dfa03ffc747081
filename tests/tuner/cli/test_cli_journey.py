"""From the form in a browser to the champion on disk: `tuner serve`, a standing worker, and Chromium, all real."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.errors import UnknownTrial
from tests.tuner.cli.conftest import SPACES, Place
from tuner.champion.records.champion_json import read_champion
from tuner.champion.registry.archive import unpack
from tuner.client import Client
from tuner.errors import ExportError

PATIENCE = 120_000
SPACE = f"{SPACES}:Fast"


@pytest.fixture
def address(place: Place, images: Path) -> str:
    """Where `tuner serve` answers, for a standing worker that is there too."""
    storage = ("--storage", place.storage)
    serving = place.start("serve", "--port", "0", "--allow-space", SPACE, "--data-root", str(images.parent), *storage)
    assert serving.stderr is not None
    (found,) = re.findall(r"is served at (http://127\.0\.0\.1:\d+)", serving.stderr.readline())
    working = place.start("work", "--any", "--slots", "1", *storage)
    assert working.stderr is not None
    assert working.stderr.readline()
    return str(found)


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    """A window in which no script may fail."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    page.close()
    assert not wrong


@pytest.mark.slow
def test_from_the_form_to_the_champion_on_disk(
    address: str, tab: Any, images: Path, tmp_path: Path, photograph: Callable[..., None]
) -> None:
    launch_from_the_form(tab, address, images, photograph)
    watch_it_finish(tab, photograph)
    export_from_its_page(tab, photograph)
    with Client(address) as client:
        file = download(tab, tmp_path, photograph)
        (champion,) = client.list_champions("shapes")
        assert champion.verified and champion.aliases == ("production",)
        digest = champion.digest
        assert digest is not None
        with file.open("rb") as archive:
            folder = unpack(archive, digest, "champion shapes@1", tmp_path / "champion")
        assert (folder.study, folder.verification.verified) == ("shapes", True)
        export_by_the_client(client, tmp_path)


def launch_from_the_form(tab: Any, address: str, images: Path, photograph: Callable[..., None]) -> None:
    tab.goto(address)
    tab.wait_for_selector("text=There is no study yet")
    photograph(tab, "studies-none", ("light",))
    tab.click("nav >> text=Launch")
    tab.fill("input[name=study]", "shapes")
    tab.select_option("select[name=space]", SPACE)
    tab.fill("input[name=objective]", "val_accuracy")
    tab.fill("input[name=trials]", "many")
    tab.fill("#image_directory-data-path", str(images))
    photograph(tab, "launch", ("light",))
    tab.click("button:text-is('Check'):not(.hidden)")
    assert "trials" in tab.locator("#trials-problem").inner_text()
    photograph(tab, "launch-problem", ("light",))
    tab.fill("input[name=trials]", "3")
    for name, value in (("data.image_size", "[8, 8]"), ("training.epochs", "2"), ("training.batch_size", "16")):
        tab.fill(f"[name='{name}']:visible", value)
    tab.select_option("[name='data.color_mode']:visible", "grayscale")
    tab.click("button:text-is('Check'):not(.hidden)")
    tab.wait_for_selector("text=Spec that will be launched")
    tab.wait_for_selector("text=1 standing worker is available now")
    photograph(tab, "launch-checked")
    tab.click("button:text-is('Launch')")
    tab.wait_for_selector("#actions, [role=alert]")
    assert tab.url.endswith("/studies/shapes"), tab.locator("[role=alert], .problem").all_inner_texts()


def watch_it_finish(tab: Any, photograph: Callable[..., None]) -> None:
    """The page is not loaded anew."""
    tab.evaluate("window.mark = 1")
    tab.wait_for_selector("#running tbody tr", state="attached")
    photograph(tab, "study-running", ("light",))
    tab.wait_for_selector("#actions .badge.finished")
    tab.wait_for_selector("#status:has-text('3 of 3 done')")
    assert tab.locator("#trials tbody tr").count() == 3
    assert tab.evaluate("window.mark") == 1
    photograph(tab, "study-finished")


def export_from_its_page(tab: Any, photograph: Callable[..., None]) -> None:
    tab.click("text=Export the champion")
    tab.click("summary:text-is('More')")
    tab.fill("input[name=top]", "2")
    photograph(tab, "export", ("light",))
    tab.click("button:text-is('Export')")
    tab.wait_for_selector("#exports tbody tr")
    photograph(tab, "export-running")
    tab.wait_for_selector("#exports .badge.done, #exports .badge.failed")
    assert tab.locator("#exports .badge.done").count() == 1, tab.locator("#exports").inner_text()
    tab.click("#exports >> text=shapes@1")


def download(tab: Any, folder: Path, photograph: Callable[..., None]) -> Path:
    tab.wait_for_selector(".badge.verified")
    tab.fill("input[name=alias]", "production")
    tab.click("button:text-is('Promote')")
    tab.wait_for_selector(".badge.alias:text-is('production')")
    photograph(tab, "champion")
    with tab.expect_download() as coming:
        tab.click("a:text-is('Download')")
    file = folder / coming.value.suggested_filename
    coming.value.save_as(file)
    tab.goto(tab.url.rsplit("/", 2)[0])
    tab.wait_for_selector("text=shapes@1")
    photograph(tab, "champions", ("light",))
    assert tarfile.is_tarfile(file)
    return file


def export_by_the_client(client: Client, folder: Path) -> None:
    """As in process: the report, the files, and what is refused."""
    report = client.export_champion("shapes", folder / "by client", trial=0, top=1)
    assert (report.version, report.champion.trial) == (2, 0)
    assert read_champion(folder / "by client") == report.champion
    (folder / "other").mkdir()
    (folder / "other/notes.txt").write_text("mine")
    with pytest.raises(ExportError, match="is not empty and not an export"):
        client.export_champion("shapes", folder / "other")
    with pytest.raises(UnknownTrial, match="no trial 7"):
        client.export_champion("shapes", folder / "none", trial=7)
    assert not (folder / "none").exists()
