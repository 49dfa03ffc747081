"""Trial process and worker take from each other what is a message of theirs, and nothing else."""

from __future__ import annotations

import json
import math
from multiprocessing import Pipe

import pytest
from pydantic import ValidationError

from tuner.champion.messages import FROM_MODELS
from tuner.trial.messages import (
    FROM_PREPARATION,
    EpochDone,
    Stop,
    StudyRefused,
    receive_from_trial,
    receive_from_worker,
    send,
)


def test_every_value_arrives_as_it_was() -> None:
    here, there = Pipe()
    with here, there:
        send(there, EpochDone(epoch=1, metrics={"loss": math.nan, "val_loss": math.inf}, seconds=0.5))
        arrived = receive_from_trial(here)
        assert isinstance(arrived, EpochDone)
        assert math.isnan(arrived.metrics["loss"]) and arrived.metrics["val_loss"] == math.inf
        send(here, Stop())
        assert receive_from_worker(there) == Stop()


def test_a_key_that_a_message_does_not_have_is_refused() -> None:
    here, there = Pipe()
    with here, there:
        there.send_bytes(json.dumps({"type": "building", "more": 1}).encode())
        with pytest.raises(ValidationError, match="more"):
            receive_from_trial(here)
        here.send_bytes(json.dumps({"type": "stop", "more": 1}).encode())
        with pytest.raises(ValidationError, match="more"):
            receive_from_worker(there)


def test_a_refused_study_is_not_a_refused_question() -> None:
    refused = StudyRefused(kind="data", message="no file", key="data.path", files=["a.png"])
    assert FROM_PREPARATION.validate_json(refused.model_dump_json()) == refused
    with pytest.raises(ValidationError, match="study_refused"):
        FROM_MODELS.validate_json(refused.model_dump_json())
    with pytest.raises(ValidationError, match="refused"):
        FROM_PREPARATION.validate_json(json.dumps({"type": "refused", "reason": "it cannot"}))
