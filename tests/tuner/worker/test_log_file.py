from __future__ import annotations

import logging
from pathlib import Path

import pytest

from storage.artifacts import StudyArtifacts
from tuner.errors import DataError, LaunchError
from tuner.launch import questions
from tuner.worker.log_file import kept_log

ID = "w1-0-node-7-abcdef"


@pytest.mark.parametrize("kept_in", ["folder", "bucket"])
def test_a_worker_s_log_is_read_by_its_name_wherever_it_ran(
    kept_in: str, create_study, make_spec, database, cache: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = str(tmp_path / "artifacts")
    if kept_in == "bucket":
        place = f"s3://{request.getfixturevalue('s3_bucket')}/studies"
    record = create_study(make_spec(artifacts=place))
    artifacts = StudyArtifacts.at(place, record.name, tmp_path / "node")
    with pytest.raises(DataError), kept_log(artifacts, ID):
        logging.getLogger("tuner").warning("trial 3 was adopted")
        raise DataError("no such folder: /data/images")
    logging.getLogger("tuner").warning("after its end")
    url = database.engine.url.render_as_string(hide_password=False)
    for name in ("w1-0", ID):
        text = b"".join(questions.worker_log(record.name, name, storage=url)).decode()
        assert "WARNING trial 3 was adopted" in text and "ERROR no such folder: /data/images" in text
        assert "after its end" not in text
    with pytest.raises(LaunchError, match="has a worker w1"):
        questions.worker_log(record.name, "w1-00", storage=url)
