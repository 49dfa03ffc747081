"""The facts in the head of the page, and the data that the charts need beside the trials."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from storage.history import StudyHistory, TrialHistory
from storage.urls import mask_password
from tuner.queries.measures import measures
from tuner.queries.rungs import rungs_in_words

_SECRET = re.compile(r"pass|pwd|secret|token|credential", re.IGNORECASE)
_SHOWN_PRINT = 12


def ended(trial: TrialHistory) -> str:
    """Outcome, or the state where there is none."""
    return trial.summary.outcome or trial.summary.state


def keeps_constraints(trial: TrialHistory) -> bool:
    return not trial.summary.violation


def head(history: StudyHistory) -> dict[str, str]:
    """The facts of the head, by their names, in words."""
    status, record = history.status, history.record
    done = status.complete + status.pruned + status.failed
    found = {"State": status.state + (f" ({status.reason})" if status.reason else "")}
    found["Objective"] = ", ".join(f"{each.name} ({each.better} is better)" for each in measures(history))
    found["Best value"] = _best(history)
    found["Trials"] = f"{done:,} of {status.budget:,} ended"
    if rungs := rungs_in_words(status.rungs):
        found["Rungs"] = rungs
    found["Time spent"] = _time(history)
    if record is not None:
        found["Data"] = _data(record.summary)
        found["Fingerprint"] = record.fingerprint[:_SHOWN_PRINT]
    return found


def _best(history: StudyHistory) -> str:
    status = history.status
    if status.best_trial is None:
        return "no complete trial keeps the constraints" if status.complete else "no complete trial yet"
    several = f"; {len(history.best)} trials on the Pareto front" if len(history.maximize) > 1 else ""
    return f"{status.best_value:.5g} (trial {status.best_trial}){several}"


def _time(history: StudyHistory) -> str:
    trained = sum(trial.summary.seconds or 0.0 for trial in history.trials)
    starts = [trial.started_at for trial in history.trials if trial.started_at]
    ends = [trial.ended_at for trial in history.trials if trial.ended_at]
    if history.status.running:
        ends.append(history.now)
    if not starts or not ends:
        return "none yet"
    return f"{duration(trained)} of training, {duration((max(ends) - min(starts)).total_seconds())} from start to end"


def duration(seconds: float) -> str:
    """1234 -> ``20 min``."""
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{max(0.0, seconds):.3g} s"


def _data(summary: Any) -> str:
    if not isinstance(summary, Mapping):
        return "not recorded"
    splits = summary.get("splits") or {}
    counts = [f"{name} {split['examples']:,}" for name, split in splits.items() if isinstance(split, Mapping)]
    said = [str(summary.get("kind") or "not recorded").replace("_", " "), str(summary.get("task") or "")]
    return "; ".join(part for part in (*said, ", ".join(counts)) if part)


def spec_text(history: StudyHistory) -> str | None:
    """The spec as YAML; None for a plain Optuna study."""
    return None if history.record is None else spec_yaml(history.record.spec)


def spec_yaml(spec: Mapping[str, Any]) -> str:
    """A stored spec as YAML, its passwords masked."""
    return yaml.safe_dump(_masked(spec), sort_keys=False, allow_unicode=True)


def _masked(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {str(name): _masked(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, key) for item in value]
    if isinstance(value, str) and _SECRET.search(key):
        return "***"
    return mask_password(value) if isinstance(value, str) and "://" in value else value
