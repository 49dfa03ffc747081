"""The pages of champions and workers."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from storage import champions, tokens
from storage.connecting import connect
from tests.tuner.http import seeding
from tests.tuner.http.conftest import BROWSER
from tests.tuner.http.test_study_page import text_of
from tuner.champion.records.champion_json import hash_files, read_champion, write_record
from tuner.champion.registry.files import register_export
from tuner.study.open_study import OpenStudy

Serve = Callable[..., str]


def test_without_any_the_pages_say_how_to_make_one(site: httpx.Client) -> None:
    assert "No champion has been exported yet" in site.get("/champions").text
    assert site.get("/champions", params={"study": "large"}).status_code == 200
    assert site.get("/champions", params={"study": "nothing"}).status_code == 404
    for path in ("large/1", "nothing/1", "large/0", "large/x"):
        assert site.get(f"/champions/{path}").status_code in (404, 422)


def test_every_worker_that_lives_is_listed_with_its_study(site: httpx.Client) -> None:
    shown = site.get("/workers")
    assert "node-1:4711" in shown.text and 'href="/studies/running"' in shown.text
    assert re.findall(r'href="/studies/running/trials/(\d+)"', shown.text) == ["20", "21"]
    assert site.get("/workers", params={"cursor": "nonsense"}).status_code == 400


def exported(database: Any, folder: Path, bare_export: Path) -> None:
    """Version 1 is verified, and its card comes from a stranger; version 2 is neither kept nor verified."""
    record = seeding.new_study(database, "digits", 3, artifacts=str(folder / "artifacts"))
    seeding.finish_trials(database, record, 2)
    card = "# Card\n\n<script>alert(1)</script> [link](javascript:alert(2)) ![x](http://evil.example/x.png)\n\n|a|b|\n|-|-|\n|1|2|\n"
    known = read_champion(bare_export)
    (bare_export / "champion.json").unlink()
    (bare_export / "card.md").write_text(card)
    write_record(known.model_copy(update={"files": hash_files(bare_export)}), bare_export)
    register_export(OpenStudy(database, record), bare_export, read_champion(bare_export))
    told = {"verified": False, "metric": "val_accuracy", "reason": "<i>off</i> by 0.1"}
    champions.register(database, record.study_id, 1, path="/nowhere", value=0.5, verification=told)


def test_a_champion_is_shown_promoted_and_downloaded(serving: Serve, tmp_path: Path, bare_export: Path) -> None:
    url = f"sqlite:///{tmp_path}/tuner.db"
    database = connect(url, create=True)
    exported(database, tmp_path, bare_export)
    with httpx.Client(base_url=serving(url), headers=BROWSER) as client:
        listed = client.get("/champions").text
        assert "digits@1" in listed and "badge unverified" in listed
        (download,) = re.findall(r'href="(/api/v1/champions/[^"]+/download)"', listed)
        assert client.get(download).headers["Content-Type"] == "application/x-tar"

        shown = client.get("/champions/digits/1")
        assert "<h3>Card</h3>" in shown.text and "<td>1</td>" in shown.text
        assert "<script>alert" not in shown.text and "javascript:" not in re.sub(r">[^<]*<", "><", shown.text)
        assert not re.search(r'(?:src|href)="(?:http|//)', shown.text)
        csrf = re.findall(r'name="csrf" value="([^"]+)"', shown.text)[0]
        promote = "/champions/digits/1/promote"
        assert client.post(promote, data={"alias": "production"}).status_code == 403
        bad = client.post(promote, data={"csrf": csrf, "alias": "a b"})
        assert bad.status_code == 400 and "cannot be an alias" in bad.text
        done = client.post(promote, data={"csrf": csrf, "alias": "production"})
        assert (done.status_code, done.headers["Location"]) == (303, "/champions/digits/1")
        assert "anonymous over HTTP" in text_of(client.get("/champions/digits/1"))
        assert "production" in client.get("/champions").text

        other = client.get("/champions/digits/2")
        assert "<i>off" not in other.text and "no: <i>off</i> by 0.1" in html.unescape(other.text)
        assert "only on the machine that exported it" in other.text and ">Promote<" not in other.text

        tokens.create(database, "somebody", "read")
        assert ">Promote<" not in client.get("/champions/digits/1").text
    database.close()


def test_a_champion_whose_files_are_gone_is_shown_from_the_database(
    serving: Serve, tmp_path: Path, bare_export: Path
) -> None:
    url = f"sqlite:///{tmp_path}/tuner.db"
    database = connect(url, create=True)
    exported(database, tmp_path, bare_export)
    for blob in [each for each in (tmp_path / "artifacts").rglob("*") if each.is_file()]:
        blob.write_bytes(b"other")
    with httpx.Client(base_url=serving(url), headers=BROWSER) as client:
        shown = client.get("/champions/digits/1")
        assert shown.status_code == 200 and "only what the database has is shown" in shown.text
    database.close()
