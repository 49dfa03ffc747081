"""What the service refuses, and how it says so."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import schemathesis
from disruption.servers import PostgresServer
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from sqlalchemy.engine import make_url

from storage import tokens
from storage.connecting import connect
from tests.tuner.http.seeding import database_of_a_study
from tuner.client import Client
from tuner.errors import NoAccess, ScopeTooSmall, ServiceError, SpecError, TooOften
from tuner.http.serving import Serving
from tuner.http.settings import ServiceSettings

Serve = Callable[..., str]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with a study in it."""
    return database_of_a_study(tmp_path_factory.mktemp("service"))


@pytest.fixture
def http(serving: Serve, url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving(url, requests_per_minute=0), timeout=30) as client:
        yield client


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """Every error has the one shape."""
    found = answer.json()["error"]
    assert list(found) == ["code", "message", "where", "details"] and found["message"], found
    return dict(found)


@pytest.mark.fast
def test_the_documentation_needs_no_other_server(http: httpx.Client) -> None:
    page = http.get("/docs").text
    places = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(places) == 5 and all(http.get(each).status_code == 200 for each in places)
    assert "://" not in page and "<script>" not in page
    assert http.get("/docs/..%2F__init__.py").status_code == 404
    assert "/api/v1/studies/{study}/trials" in http.get("/openapi.json").json()["paths"]


def test_errors_of_the_framework_have_the_one_shape(http: httpx.Client) -> None:
    assert error_of(http.get("/nothing"))["code"] == "NotFound"
    assert error_of(http.put("/api/v1/studies"))["code"] == "MethodNotAllowed"
    invalid = http.get("/api/v1/studies/digits/trials", params={"limit": 0})
    assert invalid.status_code == 422
    assert error_of(invalid)["where"] == [{"key": "limit", "message": "Input should be greater than or equal to 1"}]
    bad = http.post("/api/v1/studies", content=b"{not json", headers={"Content-Type": "application/json"})
    assert bad.status_code == 422 and "JSON" in error_of(bad)["message"]
    assert [each["key"] for each in error_of(bad)["where"]] == ["body"]
    unnamed = http.post("/api/v1/studies", content=b'{"study": "x"}')
    assert unnamed.status_code == 422 and "Content-Type: application/json" in error_of(unnamed)["message"]
    named = http.get("/api/v1/champions/aliases%2Fx/nothing")
    assert "at /api/v1/champions/aliases/x/nothing;" in error_of(named)["message"]


def test_a_body_that_is_too_large_is_refused_before_it_is_read(http: httpx.Client) -> None:
    said = http.post("/api/v1/studies", content=b"x" * 2_000_000)
    assert said.status_code == 413 and error_of(said)["code"] == "TooLarge"
    in_pieces = http.post("/api/v1/studies", content=(b"x" * 100_000 for _ in range(20)))
    assert in_pieces.status_code == 413


@pytest.mark.parametrize("name", ["..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "%00", "a" * 600, "%FF%FE", "';--"])
def test_odd_names_are_only_names(http: httpx.Client, name: str) -> None:
    for path in ("", "/trials", "/best", "/workers/x/log", "/events"):
        assert http.get(f"/api/v1/studies/{name}{path}").status_code in (404, 422)
    assert http.get(f"/api/v1/champions/{name}/download").status_code in (404, 422)


def test_every_answer_has_the_security_headers(http: httpx.Client) -> None:
    for path in ("/api/v1/studies", "/nothing", "/healthz"):
        headers = http.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
        assert "script-src 'self';" in headers["Content-Security-Policy"]
        assert "server" not in headers


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_what_nobody_expected_has_the_headers_and_its_secrets_stay_out_of_the_log(
    url: str, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    served = Serving(ServiceSettings(storage=url, port=0))

    def broken() -> None:
        raise RuntimeError("no way to postgresql://ann:s3cr3t@db/tuner?sslpassword=s3cr3t with kc_abc-def_123")

    served.app.add_api_route("/broken", broken)
    with served as address, httpx.Client(base_url=address, headers={"Accept": accept}) as http:
        answer = http.get("/broken")
    assert answer.status_code == 500 and "its log says why" in answer.text
    assert answer.headers["X-Frame-Options"] == "DENY" and "Content-Security-Policy" in answer.headers
    (record,) = caplog.records
    logged = logging.Formatter().format(record)
    assert "GET /broken failed" in logged and "Traceback" in logged and "postgresql://ann:***@db/tuner" in logged
    assert "s3cr3t" not in logged + answer.text and "abc-def" not in logged + answer.text


def test_pages_of_other_sites_can_do_nothing(http: httpx.Client) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        said = http.post("/api/v1/studies/digits/stop", headers=headers)
        assert said.status_code == 403 and error_of(said)["code"] == "ScopeTooSmall"
    # A name that was pointed at this machine.
    assert http.get("/api/v1/studies", headers={"Host": "evil.example"}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8730", "127.0.0.2", "[::1]:8730", "ip6-localhost", "tuner.localhost"])
def test_a_service_on_loopback_answers_to_every_name_of_loopback(http: httpx.Client, host: str) -> None:
    assert http.get("/api/v1/studies", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "10.0.0.7"])
def test_a_service_on_loopback_answers_to_no_other_name(http: httpx.Client, host: str) -> None:
    assert http.get("/api/v1/studies", headers={"Host": host}).status_code == 421


def test_a_service_at_a_name_of_loopback_is_reached_from_this_machine_alone(url: str) -> None:
    for host, alone in (("localhost.localdomain", True), ("ip6-localhost", True), ("0.0.0.0", False), ("", False)):
        assert ServiceSettings(storage=url, host=host).on_loopback == alone, host
    assert not ServiceSettings(storage=url, host="localhost", proxies=("127.0.0.1",)).on_loopback


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"])
def test_who_comes_through_a_proxy_is_not_alone_on_this_machine(http: httpx.Client, header: str) -> None:
    said = http.get("/api/v1/studies", headers={header: "203.0.113.9"})
    assert said.status_code == 401 and "`tuner serve --proxy`" in error_of(said)["message"]


def test_a_cursor_that_somebody_wrote_does_no_harm(http: httpx.Client) -> None:
    from tuner.queries.paging import cursor_after

    listing = {"study": "digits", "state": None, "sort": "value", "descending": False}
    for position in ("x", [1], [-1, 1], [1, "text"], [1, 10**30], [2**40, 1], {"a": 1}, [[1], 2]):
        said = http.get(
            "/api/v1/studies/digits/trials", params={"sort": "value", "cursor": cursor_after(listing, position)}
        )
        assert said.status_code == 400 and error_of(said)["code"] == "CursorError", position


def test_tokens(serving: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"sqlite:///{tmp_path}/tokens.db"
    with httpx.Client(base_url=serving(url)) as anybody:
        database = connect(url)
        assert anybody.get("/api/v1/studies").status_code == 200
        # Without any token, users of this machine may do everything; with one, look.
        assert anybody.post("/api/v1/studies/x/stop").status_code == 404
        secrets = {scope: tokens.create(database, f"for-{scope}", scope) for scope in tokens.SCOPES}
        assert anybody.get("/api/v1/studies").status_code == 200
        assert error_of(anybody.post("/api/v1/studies/x/stop"))["code"] == "ScopeTooSmall"
        late = tokens.create(database, "late", "admin", seconds=-1)
        for secret in (late, "kc_nonsense", "ü" * 10):
            with httpx.Client(base_url=anybody.base_url, headers={"Authorization": f"Bearer {secret}".encode()}) as one:
                refused = one.get("/api/v1/studies")
                assert refused.status_code == 401, secret
        statuses = {}
        for scope, secret in secrets.items():
            headers = {"Authorization": f"Bearer {secret}"}
            stop = anybody.post("/api/v1/studies/x/stop", headers=headers)
            delete = anybody.request("DELETE", "/api/v1/studies/x", json={"confirm": "x"}, headers=headers)
            statuses[scope] = [anybody.get("/api/v1/studies", headers=headers).status_code, stop.status_code]
            statuses[scope].append(delete.status_code)
        assert statuses == {"read": [200, 403, 403], "launch": [200, 404, 403], "admin": [200, 404, 404]}
        with Client(str(anybody.base_url), secrets["read"]) as client, pytest.raises(ScopeTooSmall, match="for-read"):
            client.stop("x")
        assert tokens.revoke(database, "for-admin") and not tokens.revoke(database, "for-admin")
        with (
            Client(str(anybody.base_url), secrets["admin"]) as client,
            pytest.raises(NoAccess, match="unknown, revoked or expired"),
        ):
            client.list_studies()
        database.close()
    stored = (tmp_path / "tokens.db").read_bytes()
    assert not any(secret.encode() in stored for secret in secrets.values())
    assert not any(secret in caplog.text for secret in secrets.values())


def test_reached_from_elsewhere_it_wants_a_token(serving: Serve, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tokens.db"
    address = serving(url, host="0.0.0.0").replace("0.0.0.0", "127.0.0.1")
    assert httpx.get(f"{address}/healthz").status_code == 200
    refused = httpx.get(f"{address}/api/v1/studies")
    assert refused.status_code == 401 and refused.headers["WWW-Authenticate"] == "Bearer"


def test_too_many_requests_have_to_wait(serving: Serve, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rate.db"
    with Client(serving(url, requests_per_minute=2)) as client:
        client.list_studies(), client.list_studies()
        with pytest.raises(TooOften, match="wait") as often:
            client.list_studies()
    assert often.value.seconds >= 1


def test_a_spec_names_only_what_the_operator_allows(serving: Serve, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/specs.db"
    spec = {
        "study": "digits",
        "data": {"kind": "image_directory", "path": "/etc"},
        "space": "os:system",
        "objective": "val_accuracy",
        "trials": 2,
        "storage": "sqlite:////tmp/other.db",
    }
    with Client(serving(url)) as client:
        with pytest.raises(SpecError) as refused:
            client.create_study(spec)
        assert {each.key for each in refused.value.problems} == {"space", "data.path", "storage"}
        with pytest.raises(SpecError) as wrong:
            client.create_study({**spec, "trials": "many"})
        assert "trials" in {each.key for each in wrong.value.problems}
        assert client.list_studies() == []


def test_a_database_that_is_away_is_said_so_and_comes_back(
    serving: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with PostgresServer(tmp_path / "postgres") as server:
        url = server.url.replace("postgres@", "postgres:hunter2@")
        port = str(make_url(url).port)
        with httpx.Client(base_url=serving(url), timeout=30) as http:
            assert http.get("/api/v1/studies").status_code == 200
            server.take_away("fast")
            for path in ("/api/v1/studies", "/readyz", "/api/v1/studies/x/trials"):
                away = http.get(path)
                assert away.status_code == 503 and int(away.headers["Retry-After"]) > 0
                assert error_of(away)["code"] == "DatabaseUnavailable"
                assert not any(told in away.text for told in ("hunter2", "127.0.0.1", port))
            # The reason is for the operator, and not with every request.
            assert ["/tuner: connection failed" in line and port in line for line in caplog.messages] == [True]
            counts = http.get("/metrics").text
            assert "tuner_database_up 0.0" in counts and "tuner_http_requests_total{" in counts
            assert http.get("/healthz").status_code == 200
            server.bring_back()
            assert http.get("/api/v1/studies").status_code == 200
            assert http.get("/readyz").json() == {"status": "ready", "database": "postgresql"}
            assert "tuner_database_up 1.0" in http.get("/metrics").text
    assert "hunter2" not in caplog.text


@contextmanager
def frozen(server: Path) -> Iterator[None]:
    """A PostgreSQL server whose processes stand still, and whose connections live."""
    postmaster = psutil.Process(int(next(server.rglob("postmaster.pid")).read_text().split()[0]))
    stopped = [postmaster, *postmaster.children()]
    for each in stopped:
        each.suspend()
    try:
        yield
    finally:
        for each in stopped:
            each.resume()


def test_a_database_server_that_is_frozen_counts_as_away(serving: Serve, tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    with (
        PostgresServer(folder) as server,
        httpx.Client(base_url=serving(server.url, answer_seconds=0.5), timeout=60) as http,
    ):
        assert http.get("/api/v1/studies").status_code == 200
        with frozen(folder):
            away = http.get("/api/v1/studies")
            assert away.status_code == 503 and error_of(away)["code"] == "DatabaseUnavailable"
            assert "tuner_database_up 0.0" in http.get("/metrics").text
        assert http.get("/api/v1/studies").status_code == 200


def test_nothing_answers(tmp_path: Path) -> None:
    with Client("http://127.0.0.1:9", seconds=2) as client, pytest.raises(ServiceError, match="no service answers"):
        client.list_studies()


def test_whatever_openapi_allows_never_fails_the_service(http: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    document = json.loads(http.get("/openapi.json").content)
    schema = schemathesis.openapi.from_dict(document)
    for operation in schema.get_all_operations():
        made = operation.ok()
        if made.path.endswith("/events"):
            continue

        @settings(max_examples=5, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        def answers(case: schemathesis.Case) -> None:
            answer = case.call_and_validate(base_url=str(http.base_url), timeout=20, checks=[not_a_server_error])
            described = document["paths"][case.operation.path][case.operation.method]["responses"]
            assert answer.status_code < 300 or str(answer.status_code) in described, (case.operation.label, answer)

        given(case=made.as_strategy())(answers)()
