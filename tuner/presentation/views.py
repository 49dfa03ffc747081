"""What single queries look like to people: a study's status, one trial, the best trials, a search space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from storage.leaderboard import TrialDetail
from storage.progress import StudyStatus
from storage.standing import StandingPool
from tuner.presentation.tables import Format, Record, fits, print_records, print_table, show, table_of, wide_console
from tuner.queries.rungs import rungs_in_words

if TYPE_CHECKING:
    from tuner.launch.launches import LaunchView
    from tuner.spec.search_spec import SearchSpec


def trial_columns(records: Sequence[Record], *between: str) -> list[str]:
    """A column for each measure instead of the value alone, and the violation if a trial breaks a constraint."""
    measures = dict.fromkeys(name for record in records for name in record["measures"])
    breaks = ["violation"] if any(record["violation"] for record in records) else []
    return ["trial", *(measures or ["value"]), *breaks, *between, "epochs", "seconds"]


def flat_trial(record: Record) -> dict[str, Any]:
    """The measures beside the other columns, which win where names are equal."""
    return {**record["measures"], **_rounded(record)}


def print_best(records: Sequence[Record]) -> None:
    """One trial a line if the screen is wide enough, else one trial a column, so that values can be compared."""
    console = wide_console()
    rows = [flat_trial(record) for record in records]
    pruned = any(record["state"] != "complete" for record in records)
    columns = trial_columns(records, *(["state"] if pruned else []))
    flat = table_of(rows, (*columns, "params"))
    side_by_side = _side_by_side(rows, columns)
    chosen = flat if fits(console, flat) or not fits(console, side_by_side) else side_by_side
    print_table(console, chosen)


def _side_by_side(records: Sequence[Record], columns: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("trial")
    for record in records:
        table.add_column(str(record["trial"]), justify="right")
    for column in columns[1:]:
        table.add_row(Text(column), *(Text(show(record.get(column))) for record in records))
    table.add_row()
    for name in dict.fromkeys(name for record in records for name in record["params"]):
        table.add_row(Text(name), *(Text(show(record["params"].get(name))) for record in records))
    return table


def print_trials(records: Sequence[Record]) -> None:
    """One trial a line; hyperparameters are cut at the screen's edge, and are whole in a pipe."""
    console = wide_console()
    rows = [flat_trial(record) | {"ended": record["outcome"] or record["state"]} for record in records]
    table = table_of(rows, (*trial_columns(records, "ended"), "params"))
    if not fits(console, table):
        table.expand = True
        params = table.columns[-1]
        params.ratio, params.no_wrap, params.overflow = 1, True, "ellipsis"
    print_table(console, table)


def _rounded(record: Record) -> dict[str, Any]:
    seconds = record["seconds"]
    return dict(record) | {"seconds": None if seconds is None else round(seconds, 1)}


def launch_line(launch: LaunchView) -> str:
    """A launch's engine and how many of its workers are in each state, or why that is not known."""
    said = launch.problem or ", ".join(f"{count} {state}" for state, count in launch.counts.items()) or "no workers"
    return f"launch {launch.number} on {launch.engine}: {said}"


def status_facts(status: StudyStatus, spec: SearchSpec | None) -> dict[str, str | int | None]:
    """How a study stands, by name; None for what there is nothing to say of. A plain Optuna study has no spec."""
    done = status.complete + status.pruned + status.failed
    counts = {name: getattr(status, name) for name in ("complete", "pruned", "failed", "running", "open")}
    if status.rungs:
        counts["paused"] = status.paused
    return {
        "trials": f"{done} of {status.budget} done: " + ", ".join(f"{n} {name}" for name, n in counts.items()),
        "priority": status.priority or None,
        "outcomes": ", ".join(f"{n} {name}" for name, n in status.outcomes.items()) or None,
        "rungs": rungs_in_words(status.rungs),
        "training": _training(status),
        "best": _best(status, spec),
    }


def status_line(status: StudyStatus) -> str:
    """A study's state, progress and best value, on one line."""
    done = status.complete + status.pruned + status.failed
    best = f", best {show(status.best_value)} (trial {status.best_trial})" if status.best_trial is not None else ""
    paused = f", {status.paused} paused" if status.paused else ""
    counts = f"{done} of {status.budget} trials done, {status.running} running{paused}, {status.open} open"
    return f"study {status.study} {status.state}: {counts}{best}"


def print_status(
    status: StudyStatus,
    spec: SearchSpec | None,
    launches: Sequence[LaunchView] = (),
    pools: Sequence[StandingPool] = (),
) -> None:
    """Progress and counts, then the running trials and the live workers. A plain Optuna study has no spec.

    Args:
        launches: a line is printed for each, and one for each of their workers that failed.
        pools: the standing workers, for a study that runs without a worker.
    """
    console = wide_console()
    reason = f" ({status.reason})" if status.reason else ""
    _lines(
        console,
        {
            "study": f"{status.study}: {status.state}{reason}",
            **status_facts(status, spec),
            "workers": _nobody(status.study, pools) if lacks_workers(status) else None,
            "front": f"`tuner best {status.study}` shows the Pareto front" if _has_front(status) else None,
        },
    )
    for launch in launches:
        console.print(Text(launch_line(launch)), soft_wrap=True)
        for worker in launch.workers:
            if worker.said:
                console.print(Text(f"  {worker.name}: {worker.said}"), soft_wrap=True)
    if status.running_trials:
        console.print()
        rows = running_rows(status, spec)
        print_table(console, table_of(rows, list(rows[0])))
    live = [worker for worker in status.workers if worker.live]
    if live:
        console.print()
        rows = [
            {
                "worker": worker.id,
                "slots": worker.slots,
                "gpus": ", ".join(map(str, worker.gpus)) or None,
                "seen": f"{worker.seen_seconds:.0f} s ago",
            }
            for worker in live
        ]
        print_table(console, table_of(rows, list(rows[0])))


def print_workers(records: Sequence[Record]) -> None:
    """Every worker that ever worked on a study."""
    rows = [
        {
            "host": record["host"],
            "pid": record["pid"],
            "gpus": show(record["gpus"]) or None,
            "slots": record["slots"],
            "trials": show(record["trials"]) or None,
            "seen": f"{ago(record['seen_seconds'])} ago",
            "state": record["state"],
            "version": record["version"],
            "differs": "; ".join(record["drift"]) or None,
        }
        for record in records
    ]
    differing = any(row["differs"] for row in rows)
    print_table(wide_console(), table_of(rows, [name for name in rows[0] if differing or name != "differs"]))


def print_pools(pools: Sequence[StandingPool]) -> None:
    """The standing workers that are there."""
    rows = [
        {
            "host": pool.host,
            "pid": pool.pid,
            "serves": pool.studies,
            "study": pool.study,
            "seen": f"{ago(pool.seen_seconds)} ago",
            "version": pool.version,
        }
        for pool in pools
    ]
    print_table(wide_console(), table_of(rows, list(rows[0])))


def lacks_workers(status: StudyStatus) -> bool:
    """Whether the study runs, and nobody works on it."""
    return status.state == "running" and not any(worker.live for worker in status.workers)


def who_would_take(study: str, pools: Sequence[StandingPool]) -> str:
    """How many standing workers serve a study that has no worker."""
    serving = [pool for pool in pools if pool.serves(study)]
    if not serving:
        return "no standing worker serves this study"
    free = sum(pool.study is None for pool in serving)
    if len(serving) == 1:
        return f"1 standing worker serves this study, and is {'free' if free else 'at work on another one'}"
    return f"{len(serving)} standing workers serve this study, {free or 'none'} of them free"


def ago(seconds: float) -> str:
    """How long ago, in one unit: ``5 min``."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _nobody(study: str, pools: Sequence[StandingPool]) -> str:
    return f"none; {who_would_take(study, pools)}. `tuner work {study}` starts one"


def _has_front(status: StudyStatus) -> bool:
    return len(status.objectives) > 1 and status.best_trial is not None


def _training(status: StudyStatus) -> str | None:
    if status.training_share is None:
        return None
    return f"{status.training_share:.0%} of its workers' slot time"


def _best(status: StudyStatus, spec: SearchSpec | None) -> str | None:
    if status.best_trial is None:
        return "no complete trial keeps the constraints" if status.complete else None
    metric = f"{spec.objective.metric} " if spec else ""
    return f"{metric}{show(status.best_value)} (trial {status.best_trial})"


def running_rows(status: StudyStatus, spec: SearchSpec | None) -> list[dict[str, Any]]:
    """Of all running trials; what is unusual about them only where anything is."""
    rows = [running_row(vars(trial), spec) for trial in status.running_trials]
    if not any(trial.note for trial in status.running_trials):
        return rows
    return [{**row, "note": trial.note} for row, trial in zip(rows, status.running_trials, strict=True)]


def running_row(trial: Mapping[str, Any], spec: SearchSpec | None) -> dict[str, Any]:
    """A ``RunningTrial``'s attributes as a row: how far it is, and its metric."""
    of = f"/{spec.training.epochs * spec.training.executions_per_trial}" if spec else ""
    metric = spec.objective.metric if spec else None
    metrics = {metric: trial["metrics"].get(metric)} if metric else {"metrics": trial["metrics"]}
    seconds = trial["seconds"]
    return {
        "trial": trial["trial"],
        "epoch": f"{trial['epoch'] or 0}{of}",
        **metrics,
        "seconds": None if seconds is None else round(seconds),
        "worker": trial["worker"],
    }


def print_trial(study: str, detail: TrialDetail) -> None:
    """Outcome and timing, hyperparameters, the metrics of every epoch, and the traceback if it failed."""
    console = wide_console()
    facts = trial_facts(detail)
    _lines(console, {"trial": f"{detail.summary.trial} of study {study}: {facts.pop('outcome')}", **facts})
    _section(console, "hyperparameters", detail.summary.params)
    if detail.curve:
        console.print()
        rows = epoch_rows(detail)
        print_table(console, table_of(rows, list(dict.fromkeys(name for row in rows for name in row))))
    elif detail.summary.metrics:
        _section(console, "metrics", detail.summary.metrics)
    if detail.traceback:
        console.print()
        console.print(Text(detail.traceback.rstrip()), soft_wrap=True)


def trial_facts(detail: TrialDetail) -> dict[str, Any]:
    """What is known of a trial beside its hyperparameters and epochs, by name; None for what is not."""
    summary = detail.summary
    return {
        "outcome": (summary.outcome or summary.state) + (f" ({detail.reason})" if detail.reason else ""),
        "value": None if summary.value is None else show(summary.value) + _epoch(detail),
        "measures": summary.measures or None,
        "violation": summary.violation or None,
        "epochs": summary.epochs,
        "trained": None if summary.seconds is None else f"{summary.seconds:.1f} s",
        "started": detail.started_at,
        "ended": detail.ended_at,
        "parameters": None if detail.parameters is None else f"{detail.parameters:,}",
        "attempts": detail.attempts,
        "worker": detail.worker,
        "preset": detail.preset,
        "checkpoint": detail.checkpoint,
        "log": detail.log,
    }


def epoch_rows(detail: TrialDetail) -> list[dict[str, Any]]:
    """A trial's epochs with their metrics, and the seconds that each took."""
    rows: list[dict[str, Any]] = [{"epoch": row.epoch, **row.metrics, "s": row.seconds} for row in detail.curve]
    return [row | {"s": None if row["s"] is None else round(row["s"], 1)} for row in rows]


def _epoch(detail: TrialDetail) -> str:
    number, metrics = detail.best_epoch, detail.summary.metrics or {}
    if number is None:
        return ""
    if "executions" not in metrics:
        return f" in epoch {number}"
    spread = next((show(value) for name, value in metrics.items() if name.endswith("_spread")), "unknown")
    return f", the mean of {metrics['executions']:g} executions (spread {spread}); the best one in epoch {number}"


def _section(console: Console, title: str, values: Mapping[str, Any]) -> None:
    if not values:
        return
    console.print()
    console.print(Text(title, style="bold"))
    width = max(map(len, values)) + 2
    for name, value in values.items():
        console.print(Text(f"  {name:<{width}}{show(value)}"), soft_wrap=True)


def _lines(console: Console, values: Mapping[str, str | int | float | datetime | Mapping[str, Any] | None]) -> None:
    for name, value in values.items():
        if value is not None:
            console.print(Text(f"{name:<12}{show(value)}"), soft_wrap=True)


def print_space(records: Sequence[Record]) -> None:
    """Every hyperparameter with range, scale, default and condition, as ``Declared.as_dict`` gives them."""
    rows = [
        {
            "name": record["name"],
            "kind": record["kind"],
            "range": _range(record),
            "scale": record["sampling"] or ("ordered" if record["ordered"] else None),
            "default": record["default"],
            "condition": " and ".join(_condition(item) for item in record["conditions"]) or None,
        }
        for record in records
    ]
    print_records(rows, ("name", "kind", "range", "scale", "default", "condition"), Format.TABLE, "no hyperparameters")


def _range(record: Record) -> str:
    if record["values"]:
        return ", ".join(show(value) for value in record["values"])
    plain = record["step"] is None or (record["kind"], record["step"]) == ("int", 1)
    step = "" if plain else f" step {show(record['step'])}"
    return f"{show(record['low'])} to {show(record['high'])}{step}"


def _condition(condition: Record) -> str:
    return f"{condition['parent']}={'|'.join(show(value) for value in condition['values'])}"
