"""A study whose artifacts are in a bucket of S3, from its launch to its champion."""

from __future__ import annotations

import re
from pathlib import Path

import boto3
import psutil
import pytest

from tuner import api

WAITING = Path(__file__).with_name("waiting_spaces.py")


@pytest.mark.slow
def test_launch_sigterm_resume_logs_and_export_with_artifacts_in_a_bucket(s3_bucket, place, raw_spec, images, tmp_path):
    gate = place.folder / "gate"
    spec = place.write_spec(
        raw_spec()
        | {
            "artifacts": f"s3://{s3_bucket}/some/prefix",
            "space": {"name": f"{WAITING}:UntilGate", "gate": str(gate)},
            "trials": 1,
            "training": {"epochs": 10_000, "batch_size": 16, "early_stopping": None},
        }
    )

    def kept(pattern):
        found = boto3.client("s3").list_objects_v2(Bucket=s3_bucket).get("Contents", [])
        return [each["Key"] for each in found if re.fullmatch(f"some/prefix/shapes/{pattern}", each["Key"])]

    launcher = place.start("launch", spec)
    place.wait_for_epoch("shapes", 2)
    # As Slurm, Kubernetes and spot markets send it to the command that they have started.
    family = psutil.Process(launcher.pid).children(recursive=True)
    launcher.terminate()
    _, err = launcher.communicate(timeout=60)
    assert launcher.returncode == 0, err
    assert "Traceback" not in err
    psutil.wait_procs(family, timeout=30)
    assert not any(process.is_running() for process in family)
    waiting = api.show_trial("shapes", 0, storage=place.storage)
    assert (waiting.summary.state, waiting.attempts) == ("waiting", 0)
    trained = len(api.show_trial("shapes", 0, storage=place.storage).curve)
    assert kept(rf"trials/00000/run-001/resume/epoch-0*{trained}\..*\.npz")

    gate.touch()
    resumed = place.run("launch", spec)
    assert resumed.code == 0, resumed.err
    ended = api.show_trial("shapes", 0, storage=place.storage)
    assert ended.summary.outcome == "complete"
    assert [epoch.epoch for epoch in ended.curve] == list(range(1, len(ended.curve) + 1))
    assert ended.checkpoint == f"s3://{s3_bucket}/some/prefix/shapes/trials/00000/run-002/best.keras"
    assert kept(".*/resume/.*") == []
    assert kept(r"trials/.*\.keras") == ["some/prefix/shapes/trials/00000/run-002/best.keras"]

    # From here on as on another machine, which has nothing but the URL.
    place.environment["TUNER_CACHE"] = str(tmp_path / "another-cache")
    logs = place.run("logs", "shapes", "0")
    assert (logs.code, logs.out.count("--- trial 0, attempt 1")) == (0, 2), logs.err
    assert f"resumed after epoch {trained}" in logs.out
    listed = place.run("split", "shapes", "--split", "validation", "--format", "json")
    assert len(listed.json) == 15
    exported = place.run("export", "shapes", "--to", "champion")
    assert exported.code == 0, exported.err
    assert "verified: the SavedModel gives" in exported.err
    assert not [path for path in place.folder.iterdir() if path.name.startswith("tuner-artifacts")]
