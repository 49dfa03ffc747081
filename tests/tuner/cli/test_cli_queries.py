"""Every query on a finished study: tables for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import socket
import subprocess
import sys
from importlib.metadata import version

import pytest
from disruption.proxy import Proxy

from storage import leases, standing, studies
from storage.connecting import connect
from storage.leases import TrialResult
from storage.pool import PoolMember
from tests.tuner.http import seeding

BEST_KEYS = {"trial", "value", "state", "params", "metrics", "epochs", "seconds", "measures", "violation"}
STATUS_KEYS = {
    "study",
    "state",
    "budget",
    "complete",
    "pruned",
    "failed",
    "running",
    "open",
    "best_value",
    "best_trial",
}
NOISE = ("tensorflow", "cuda", "TF_", "oneDNN", "absl", "WARNING", "E0000", "I0000", "UserWarning")

QUERIES = {
    "studies": ("studies",),
    "status": ("status", "shapes"),
    "best": ("best", "shapes"),
    "trials": ("trials", "shapes"),
    "show": ("show", "shapes", "1"),
    "workers": ("workers", "shapes"),
    "split": ("split", "shapes", "--split", "test"),
}


def test_a_launch_tells_its_progress_in_plain_lines_and_nothing_of_tensorflow(finished):
    _, ran = finished
    assert ran.out == ""
    assert not [word for word in NOISE if word in ran.err]
    lines = ran.err.splitlines()
    assert "Data: 60 examples of 3 classes: bright, dark, striped (33 train, 15 validation, 12 test)" in lines
    ended = [line for line in lines if "  complete  val_accuracy " in line]
    assert [line.split()[1] for line in ended] == ["0", "1", "2", "3"]
    assert ended[0].endswith("2 epochs  best so far")
    assert "study shapes finished. 4 complete, 0 pruned, 0 failed, 0 open of 4 trials" in lines
    assert lines[-1].startswith("best: ")


@pytest.mark.parametrize("query", QUERIES)
def test_json_is_alone_on_standard_output(query, finished, tuner):
    ran = tuner(*QUERIES[query], "--format", "json", cwd=finished[0].folder)
    assert (ran.code, ran.err) == (0, "")
    assert ran.json


@pytest.mark.parametrize("query", QUERIES)
def test_csv_has_one_header_and_rows_of_its_length(query, finished, tuner):
    ran = tuner(*QUERIES[query], "--format", "csv", cwd=finished[0].folder)
    assert (ran.code, ran.err) == (0, "")
    header, *rows = csv.reader(io.StringIO(ran.out))
    assert len(set(header)) == len(header)
    assert rows and all(len(row) == len(header) for row in rows)


@pytest.mark.parametrize("query", QUERIES)
def test_a_table_has_one_record_a_line(query, finished, tuner):
    ran = tuner(*QUERIES[query], cwd=finished[0].folder)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.strip()
    assert not [line for line in ran.out.splitlines() if line != line.rstrip()]


def test_best_has_the_keys_that_programs_rely_on(finished, tuner):
    found = tuner("best", "shapes", "-k", "3", "--format", "json", cwd=finished[0].folder).json
    assert len(found) == 3
    assert all(set(item) == BEST_KEYS for item in found)
    values = [item["value"] for item in found]
    assert values == sorted(values, reverse=True)
    assert {"accuracy", "loss", "val_accuracy", "val_loss"} <= set(found[0]["metrics"])
    assert set(found[0]["params"]) == {"units", "rate", "dropped"}
    # The metrics are those of the best epoch alone, the value is a mean of two.
    curve = tuner("show", "shapes", found[0]["trial"], "--format", "json", cwd=finished[0].folder).json["curve"]
    assert values[0] == pytest.approx(sum(epoch["metrics"]["val_accuracy"] for epoch in curve) / 2)
    assert found[0]["metrics"]["val_accuracy"] == max(epoch["metrics"]["val_accuracy"] for epoch in curve)


def test_status_has_the_keys_that_programs_rely_on(finished, tuner):
    found = tuner("status", "shapes", "--format", "json", cwd=finished[0].folder).json
    assert set(found) >= STATUS_KEYS
    assert (found["state"], found["budget"], found["complete"], found["open"]) == ("finished", 4, 4, 0)
    best = tuner("best", "shapes", "-k", "1", "--format", "json", cwd=finished[0].folder).json[0]
    assert (found["best_trial"], found["best_value"]) == (best["trial"], best["value"])


def test_status_watch_of_a_study_that_has_ended_ends(finished, tuner):
    ran = tuner("status", "shapes", "--watch", "--format", "json", cwd=finished[0].folder)
    assert (ran.code, ran.json["state"]) == (0, "finished")


def test_status_watch_says_how_it_stands_and_goes_on_after_an_outage(new_postgres_url, place):
    database = connect(new_postgres_url, create=True)
    record = seeding.new_study(database, "digits", 4)
    (lease,) = seeding.begin_trials(database, record, 1)
    there = database.engine.url
    proxy = Proxy(there.host, there.port or 5432)
    url = there.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
    watching = place.start("status", "digits", "--watch", "--storage", url)
    assert watching.stderr.readline() == "study digits running: 0 of 4 trials done, 1 running, 3 open\n"
    assert watching.stderr.readline().startswith("trial 0  epoch 2/8")
    proxy.cut()
    assert watching.stderr.readline().startswith("The database is unavailable; waiting for it: cannot use the database")
    leases.close(database, lease, TrialResult(lease.trial_id, 0, "pruned", value=0.5, epochs=2))
    proxy.restore()
    assert watching.stderr.readline() == "The database is back\n"
    assert watching.stderr.readline() == "trial 0  pruned  val_accuracy 0.5  2 epochs\n"
    studies.set_state(database, record.study_id, "finished", "enough")
    out, err = watching.communicate(timeout=60)
    database.close()
    assert (watching.returncode, err) == (0, "")
    assert out.startswith("study       digits: finished (enough)\n")


def test_workers_are_listed_with_all_that_they_are(finished, tuner):
    (worker,) = tuner("workers", "shapes", "--format", "json", cwd=finished[0].folder).json
    assert (worker["host"], worker["slots"], worker["trials"]) == (socket.gethostname(), 1, [])
    assert (worker["state"], worker["version"], worker["drift"]) == ("left", version("keras-champion"), [])
    assert worker["pid"] > 0 and worker["seen_seconds"] >= 0
    header, line = tuner("workers", "shapes", cwd=finished[0].folder).out.splitlines()
    assert header.split() == ["host", "pid", "gpus", "slots", "trials", "seen", "state", "version"]
    assert line.split()[:2] == [socket.gethostname(), str(worker["pid"])]


def test_a_study_without_a_worker_says_who_would_take_it(tmp_path, tuner):
    database = connect(f"sqlite:///{tmp_path}/tuner.db", create=True)
    seeding.new_study(database, "digits", 3)
    assert (
        "workers     none; no standing worker serves this study. `tuner work digits` starts one\n"
        in tuner("status", "digits").out
    )
    assert tuner("pools").err == "no standing worker; `tuner work --any` starts one\n"
    assert tuner("workers", "digits").err == "no worker yet; no standing worker serves this study\n"
    standing.note(database, PoolMember("pool-1", "node-1", 7, "0.1.0"), "d*")
    database.close()
    assert "workers     none; 1 standing worker serves this study, and is free. " in tuner("status", "digits").out
    (found,) = tuner("pools", "--format", "json").json
    assert (found["host"], found["pid"], found["studies"], found["study"]) == ("node-1", 7, "d*", None)
    header, line = tuner("pools").out.splitlines()
    assert header.split() == ["host", "pid", "serves", "study", "seen", "version"]
    assert line.split()[:4] == ["node-1", "7", "d*", "-"]


def test_studies_lists_the_study(finished, tuner):
    found = tuner("studies", "--format", "json", cwd=finished[0].folder).json
    assert [(item["study"], item["state"], item["done"], item["budget"]) for item in found] == [
        ("shapes", "finished", 4, 4)
    ]
    assert found[0]["created_at"].endswith("+00:00") and "T" in found[0]["created_at"]


@pytest.mark.parametrize("key", ["value", "val_loss", "units", "seconds"])
def test_trials_are_sorted_by_a_column_a_metric_or_a_hyperparameter(key, finished, tuner):
    def listed(sort):
        found = tuner("trials", "shapes", "--sort", sort, "--format", "json", cwd=finished[0].folder).json
        return [({**item, **item["metrics"], **item["params"]})[key] for item in found]

    assert listed(key) == sorted(listed(key))
    assert listed(f"-{key}") == sorted(listed(key), reverse=True)


def test_trials_are_chosen_by_state_and_cut_by_limit(finished, tuner):
    def numbers(*options):
        found = tuner("trials", "shapes", *options, "--format", "json", cwd=finished[0].folder).json
        return [item["trial"] for item in found]

    assert numbers() == numbers("--state", "complete") == [0, 1, 2, 3]
    assert numbers("--limit", "2") == [0, 1]
    assert numbers("--limit", "1", "--sort", "-trial") == [3]
    assert numbers("--state", "diverged") == []


def test_no_such_trials_is_said_beside_standard_output(finished, tuner):
    ran = tuner("trials", "shapes", "--state", "pruned", cwd=finished[0].folder)
    assert (ran.code, ran.out, ran.err) == (0, "", "no trial matches\n")


def test_show_has_every_epoch(finished, tuner):
    found = tuner("show", "shapes", "1", "--format", "json", cwd=finished[0].folder).json
    assert (found["trial"], found["outcome"], found["traceback"]) == (1, "complete", None)
    assert [row["epoch"] for row in found["curve"]] == [1, 2]
    assert set(found["curve"][0]["metrics"]) == {"accuracy", "loss", "val_accuracy", "val_loss"}
    assert found["parameters"] > 0 and found["started_at"] < found["ended_at"]
    ran = tuner("show", "shapes", "1", cwd=finished[0].folder)
    for word in ("1 of study shapes: complete", "hyperparameters", "units", "val_accuracy", "attempts"):
        assert word in ran.out
    best = tuner("status", "shapes", "--format", "json", cwd=finished[0].folder).json["best_trial"]
    assert "\ncheckpoint" in tuner("show", "shapes", best, cwd=finished[0].folder).out


def test_logs_has_what_the_trial_printed(finished, tuner):
    ran = tuner("logs", "shapes", "1", cwd=finished[0].folder)
    assert ran.code == 0
    assert "Epoch 2 - " in ran.out and "val_accuracy" in ran.out


@pytest.mark.parametrize(("name", "count"), [("train", 33), ("validation", 15), ("test", 12)])
def test_split_lists_files_with_labels(name, count, finished, tuner, images):
    found = tuner("split", "shapes", "--split", name, "--format", "json", cwd=finished[0].folder).json
    assert len(found) == count
    assert all(set(item) == {"file", "label"} for item in found)
    assert {item["label"] for item in found} == {"bright", "dark", "striped"}
    assert all((images / item["label"] / item["file"].rpartition("/")[2]).samefile(item["file"]) for item in found)


def test_splits_share_no_file(finished, tuner):
    files = [
        item["file"]
        for name in ("train", "validation", "test")
        for item in tuner("split", "shapes", "--split", name, "--format", "json", cwd=finished[0].folder).json
    ]
    assert len(set(files)) == len(files) == 60


@pytest.mark.slow
def test_space_lists_range_scale_default_and_condition(place, raw_spec):
    spec = place.write_spec(raw_spec("image"))
    ran = place.run("space", spec)
    assert (ran.code, ran.err) == (0, "")
    rows = [line.split() for line in ran.out.splitlines()]
    assert rows[0] == ["name", "kind", "range", "scale", "default", "condition"]
    rate = next(line for line in ran.out.splitlines() if line.startswith("learning_rate"))
    assert " to " in rate and " log " in rate and "optimizer=" in rate


QUERIES_WITHOUT_KERAS = """
import sys
from tuner import cli
for line in sys.argv[1].split(";"):
    sys.argv = ["tuner", *line.split()]
    try:
        cli.main()
    except SystemExit as ended:
        assert not ended.code, (line, ended.code)
loaded = {"tensorflow", "keras", "keras_tuner", "jax", "torch"} & set(sys.modules)
assert not loaded, loaded
"""


def test_queries_never_import_tensorflow_or_keras(finished):
    place, _ = finished
    lines = ";".join(" ".join(arguments) for arguments in (*QUERIES.values(), ("logs", "shapes", "0")))
    done = subprocess.run(
        [sys.executable, "-c", QUERIES_WITHOUT_KERAS, lines],
        cwd=place.folder,
        env=place.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_commands_import_what_only_they_need_when_they_run():
    heavy = "{'tuner.spec.search_spec', 'tuner.launch.launching', 'fastapi', 'plotly'}"
    words = f"import sys, tuner.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_reader_that_stops_reading_is_no_error(finished):
    place, _ = finished
    script = "set -o pipefail; tuner split shapes --split train --format json | head -n 1; tuner best shapes | true"
    environment = place.environment | {"PATH": f"{sys.prefix}/bin:{place.environment['PATH']}"}
    done = subprocess.run(["bash", "-c", script], cwd=place.folder, env=environment, capture_output=True, text=True)
    assert done.stdout == "[\n"
    assert "Traceback" not in done.stderr and "error" not in done.stderr
