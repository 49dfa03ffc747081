"""Champions in an MLflow registry: a real server on this machine, asked by MLflow's own client."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

import numpy as np
import pytest

from storage import studies
from storage.champions import register
from storage.connecting import connect
from tuner import api
from tuner.champion.records.champion_json import read_champion, write_record
from tuner.champion.registry.files import keep_export, register_export
from tuner.cli import main
from tuner.errors import RegistryError
from tuner.study.open_study import OpenStudy

pytestmark = pytest.mark.slow
START_SECONDS = 90.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of an MLflow server."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", folder / "artifacts"]
    command = [sys.executable, "-m", "mlflow", "server", *places, "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(folder)}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--workers", "1", "--gunicorn-opts", "--log-level warning"],
            cwd=folder,
            env=os.environ | quiet,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        uri, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
        while not answers(f"{uri}/health"):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "server.log").read_text()
            # Nothing tells when a server listens.
            time.sleep(0.1)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("URI", "USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("TUNER_STORAGE", f"sqlite:///{tmp_path}/tuner.db")


Register = Callable[..., None]


@pytest.fixture
def registered(tmp_path: Path) -> Register:
    """Registers an export in a new study of its name; ``verified`` is what the database has of it."""
    study = f"digits-{uuid4().hex[:8]}"

    def put(folder: Path, **verification: Any) -> str:
        champion = read_champion(folder).model_copy(update={"study": study})
        write_record(champion, folder)
        place = str(tmp_path / "artifacts")
        database = connect(f"sqlite:///{tmp_path}/tuner.db", create=True)
        described: dict[str, Any] = {"spec": {}, "summary": {}, "versions": {}, "space": {}, "budget": 1}
        record = studies.create_study(
            database,
            study,
            objectives=[{"metric": "val_accuracy", "direction": "maximize"}],
            fingerprint=champion.data_fingerprint,
            artifacts=place,
            **described,
        )
        opened = OpenStudy(database, record)
        if verification:
            kept = keep_export(opened.artifacts, folder, champion.files)
            register(database, record.study_id, 7, path="/x", value=0.75, verification=verification, kept=kept)
        else:
            register_export(opened, folder, champion)
        database.close()
        return study

    return put


def client(server: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=server, registry_uri=server)


def downloaded(server: str, model: str, version: int, to: Path) -> Path:
    from mlflow.artifacts import download_artifacts

    to.mkdir()
    uri = client(server).get_model_version(model, str(version)).source
    return Path(download_artifacts(artifact_uri=uri, dst_path=str(to), tracking_uri=server))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.fast
def test_a_champion_is_there_once_with_all_that_is_known_of_it(
    server: str, registered: Register, bare_export: Path, tmp_path: Path
) -> None:
    study = registered(bare_export)
    first = api.register_in_mlflow(f"{study}@1", server)
    assert (first.model, first.version, first.uri, first.new) == (study, 1, server, True)
    run = client(server).get_run(first.run_id)
    assert client(server).get_experiment(run.info.experiment_id).name == study
    assert (run.info.status, run.info.run_name) == ("FINISHED", f"{study}@1")
    assert run.data.params == {"units": "8", "activation": "relu"}
    assert run.data.metrics["val_accuracy"] == run.data.metrics["champion.value"] == 0.75
    assert np.isnan(run.data.metrics["val_auc"])
    version = client(server).get_model_version(study, "1")
    digest = api.list_champions(storage=None)[0].digest
    for told in (run.data.tags, version.tags):
        assert (told["champion.study"], told["champion.trial"], told["champion.digest"]) == (study, "7", digest)
        assert told["champion.data_fingerprint"] == "0" * 64 and told["champion.versions.keras"] == "3"
    fetched = downloaded(server, study, 1, tmp_path / "downloaded")
    assert contents(fetched / "export") == contents(bare_export)
    assert read_champion(fetched / "export").trial == 7

    again = api.register_in_mlflow(study, server, alias="production")
    assert (again.version, again.run_id, again.new) == (1, first.run_id, False)
    assert len(client(server).search_model_versions(f"name = '{study}'")) == 1
    assert client(server).get_model_version_by_alias(study, "production").version == "1"

    other = api.register_in_mlflow(study, server, name=f"{study} of 'Käse'")
    assert other.new and client(server).get_model_version(other.model, "1").run_id == other.run_id


def tuner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Exit code and standard error of a command."""
    monkeypatch.setattr(sys, "argv", ["tuner", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), capsys.readouterr().err


def test_on_the_command_line_the_server_may_come_from_the_environment(
    server: str,
    registered: Register,
    bare_export: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    study = registered(bare_export)
    register = ("champions", "register", study, "--name", "letters")
    code, said = tuner(monkeypatch, capsys, *register)
    assert (code, said.startswith("error: name the MLflow server: give --mlflow http://HOST:PORT")) == (1, True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.replace("://", "://ann:s3cr3t@"))
    code, said = tuner(monkeypatch, capsys, *register, "--as", "staging")
    assert (code, said) == (
        0,
        f"{study} is now version 1 of the model letters at {server}; the alias staging now points to it\n",
    )
    code, said = tuner(monkeypatch, capsys, *register)
    assert (code, said) == (0, f"{study} is already version 1 of the model letters at {server}\n")
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ


def test_what_mlflow_takes_no_name_for_is_refused_before_anything_is_uploaded(
    server: str, registered: Register, bare_export: Path
) -> None:
    study = registered(bare_export)
    for name in ("a/b", "a:b", " "):
        with pytest.raises(RegistryError, match=r"MLflow refuses the model name .*choose a --name without / and :"):
            api.register_in_mlflow(study, server, name=name)
    for alias in ("latest", "V1", "a b", ""):
        with pytest.raises(RegistryError, match="cannot be an alias in MLflow: use letters, digits, - and _"):
            api.register_in_mlflow(study, server, alias=alias)
    assert client(server).get_experiment_by_name(study) is None


def test_an_unverified_champion_is_registered_only_if_that_is_wanted(
    server: str, registered: Register, bare_export: Path
) -> None:
    study = registered(bare_export, verified=False, reason="it is a training metric")
    with pytest.raises(RegistryError, match=r"@1 is not verified: it is a training metric; .* with `unverified`"):
        api.register_in_mlflow(study, server)
    assert api.register_in_mlflow(study, server, unverified=True).version == 1


def test_a_damaged_file_is_not_registered(server: str, registered: Register, bare_export: Path, tmp_path: Path) -> None:
    study = registered(bare_export)
    blobs = tmp_path / "artifacts" / study / "champions" / "blobs"
    (blobs / read_champion(bare_export).files["model.keras"]).write_bytes(b"another")
    with pytest.raises(RegistryError, match=r"its model\.keras is not the file that was registered"):
        api.register_in_mlflow(study, server)
    assert client(server).search_model_versions(f"name = '{study}'") == []


def test_a_deleted_experiment_is_named(server: str, registered: Register, bare_export: Path) -> None:
    study = registered(bare_export)
    experiment = client(server).create_experiment(study)
    client(server).delete_experiment(experiment)
    with pytest.raises(RegistryError, match=f"was deleted in MLflow: `mlflow experiments restore -x {experiment}`"):
        api.register_in_mlflow(study, server)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("http://ann:s3cr3t@127.0.0.1:9", "MLflow at http://127.0.0.1:9 cannot be reached: .*Connection refused"),
        ("http://ann:s3cr3t@no-such-host.invalid", r"MLflow at http://no-such-host\.invalid cannot be reached: "),
        (
            "http://s3cr3t@127.0.0.1:9",
            "needs both a user and a password; put a token into MLFLOW_TRACKING_TOKEN",
        ),
        ("127.0.0.1:5000?token=s3cr3t", "must be that of a server"),
        ("http://127.0.0.1:5000?token=s3cr3t", "must be that of a server"),
        ("http://ann:s3cr3t@127.0.0.1:port", "must be that of a server"),
        ("sqlite:///s3cr3t.db", "must be that of a server"),
    ],
)
def test_a_server_that_is_not_there(
    registered: Register, bare_export: Path, monkeypatch: pytest.MonkeyPatch, uri: str, says: str
) -> None:
    study = registered(bare_export)
    began = time.monotonic()
    with pytest.raises(RegistryError, match=says) as refused:
        api.register_in_mlflow(study, uri)
    assert time.monotonic() - began < 20
    assert "s3cr3t" not in str(refused.value) and "\n" not in str(refused.value)


class _Refusing(BaseHTTPRequestHandler):
    """Answers with the status that its server has, and with credentials, as a careless proxy does."""

    def do_GET(self) -> None:
        body = b"<p>no entry\nfor ann:s3cr3t</p>"
        self.server.seen = self.headers["Authorization"]  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "refuses these credentials: .* into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "),
        (403, "does not permit this request: .*no entry for"),
        (404, "refuses the request: .*no entry for"),
        (200, "refuses the request: .*no entry for"),
    ],
)
def test_a_server_that_refuses(registered: Register, bare_export: Path, status: int, says: str) -> None:
    study = registered(bare_export)
    web = HTTPServer(("127.0.0.1", 0), _Refusing)
    web.status = status  # type: ignore[attr-defined]
    thread = threading.Thread(target=web.serve_forever)
    thread.start()
    try:
        with pytest.raises(RegistryError, match=says) as refused:
            api.register_in_mlflow(study, f"http://ann:s3cr3t@127.0.0.1:{web.server_port}")
    finally:
        web.shutdown()
        thread.join()
        web.server_close()
    # The user and the password of the URI were given, and are told nobody.
    assert web.seen == "Basic YW5uOnMzY3IzdA=="  # type: ignore[attr-defined]
    assert "s3cr3t" not in str(refused.value) and "\n" not in str(refused.value)


def test_without_mlflow_it_says_what_to_install(
    registered: Register, bare_export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = registered(bare_export)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(RegistryError, match=r"pip install 'keras-champion\[mlflow\]'"):
        api.register_in_mlflow(study, "http://127.0.0.1:9")


LOADING = """
import sys
import mlflow
import tensorflow as tf
mlflow.set_tracking_uri(sys.argv[1])
images = [open(file, "rb").read() for file in sys.argv[3:]]
loaded = mlflow.pyfunc.load_model(sys.argv[2]).predict({"image_bytes": images})
called = mlflow.tensorflow.load_model(sys.argv[2])(image_bytes=tf.constant(images))
assert called["probabilities"].numpy().tolist() == loaded["probabilities"]
names = ["dark", "light", "mid tone"]
for label, shares in zip(loaded["label"], loaded["probabilities"], strict=True):
    assert label.decode() == names[shares.index(max(shares))]
print("each label is the most probable")
"""


def test_mlflow_loads_and_runs_it_without_this_project(
    server: str, registered: Register, copy_of: Callable[[], Path], shades: Any, tmp_path: Path
) -> None:
    pytest.importorskip("pandas", reason="mlflow.tensorflow imports it")
    study = registered(copy_of())
    api.register_in_mlflow(study, server, alias="production")
    files = [shades.folder / "images" / label / "000 img.png" for label in ("dark", "light")]
    ran = subprocess.run(
        [sys.executable, "-c", LOADING, server, f"models:/{study}@production", *files],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.splitlines()[-1:] == ["each label is the most probable"], ran.stderr[-2000:]
