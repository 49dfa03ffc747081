"""What is believed of a champion's record, which anybody may have written where nothing says who did."""

from __future__ import annotations

import math
from typing import Any

from storage import leaderboard
from storage.champions import Champion as RegisteredRow
from tuner.champion.choosing.candidates import own_score
from tuner.champion.records.champion_json import Champion, Verification
from tuner.errors import RegistryError
from tuner.study.open_study import OpenStudy


def unproven(study: OpenStudy, exported: Champion) -> Champion:
    """A record that is not signed, with the study's value of its trial and nothing of what it says was verified.

    Raises:
        RegistryError: the study has no value of that trial.
        UnknownTrial: the study has no such trial.
    """
    summary = leaderboard.trial(study.database, study.name, exported.trial).summary
    if summary.value is None:
        raise RegistryError(
            f"the export is said to be of trial {exported.trial}, and study {study.name} has no value of that trial"
        )
    metric = study.record.objectives[0]["metric"]
    value = own_score(summary, metric)
    verification = Verification(
        verified=False,
        reason="its record is not signed by an export of this study: export the trial again to have it verified",
        metric=metric,
        value=None,
        recorded=value,
        tolerance=0.0,
        accuracy=None,
        examples=0,
        max_difference=None,
        seconds=0.0,
    )
    return exported.model_copy(update={"verification": verification, "value": value})


def as_registered(record: Champion, row: RegisteredRow, signed: bool) -> Champion:
    """A registered record with the value and the verification that the database has of it.

    Args:
        signed: by the study. Scores of a record that is neither signed nor verified are left out.
    """
    told: dict[str, Any] = {
        "value": math.nan if row.value is None else row.value,
        "verification": record.verification.model_copy(
            update={"verified": row.is_verified, "value": row.verification.get("value")}
        ),
    }
    if not (signed or row.is_verified):
        told |= {"metrics": {}, "assessment": None, "ensemble": None, "retraining": None}
    return record.model_copy(update=told)
