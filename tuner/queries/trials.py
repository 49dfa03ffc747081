"""Questions about the trials of a study: the best ones, all of them in some order, one with its log."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

from storage import leaderboard
from storage.leaderboard import SORT_COLUMNS, Position, TrialDetail, TrialSummary, position_of
from tuner.errors import CursorError, TunerError
from tuner.queries.logs import pieces
from tuner.queries.paging import USUAL_PAGE, Page, cursor_after, paged, position_in
from tuner.study.open_study import OpenStudy
from tuner.study.storage_access import Storage, open_storage
from tuner.trial.outcome import ENDS

USUAL_BEST = 5
_MOST_TRIALS = 2**31
TRIAL_STATES = ("running", "waiting", "paused", *(outcome.value for outcome in ENDS))


def best_trials(study: str, k: int | None = None, *, storage: Storage = None) -> list[TrialSummary]:
    """The best trials, the best first; with several objectives the Pareto front, by the leading one.

    A pruned trial is among them if the model of its best epoch is kept. Trials that break a constraint come last, and
    are on the front only if every one breaks one.

    Args:
        k: at most so many; None for 5, or for the whole front.
    """
    with open_storage(storage) as database:
        return leaderboard.best(database, study, k, USUAL_BEST)


def list_trials(
    study: str,
    *,
    state: str | None = None,
    sort: str = "trial",
    descending: bool = False,
    limit: int | None = None,
    storage: Storage = None,
) -> list[TrialSummary]:
    """Trials of a study.

    Args:
        state: only those in this state, or with this outcome: one of ``TRIAL_STATES``.
        sort: trial, value, state, outcome, epochs, seconds, a metric or a hyperparameter; trials without it come last.
        descending: the greatest first.
        limit: at most this many.

    Raises:
        TunerError: there is no such state.
        StorageError: there is no such study, or nothing of the name ``sort``.
    """
    _check_state(state)
    with open_storage(storage) as database:
        return leaderboard.trials(database, study, state=state, sort=sort, descending=descending, limit=limit)


def trial_page(
    study: str,
    *,
    state: str | None = None,
    sort: str = "trial",
    descending: bool = False,
    limit: int = USUAL_PAGE,
    cursor: str | None = None,
    storage: Storage = None,
) -> Page[TrialSummary]:
    """A page of ``list_trials``, which says what the arguments are.

    Args:
        cursor: of the page before; None for the first.

    Raises:
        CursorError: it is of another study, state or order.
        TunerError, StorageError: as ``list_trials``.
    """
    listing = {"study": study, "state": state, "sort": sort, "descending": descending}
    _check_state(state)
    after = _position(sort, position_in(listing, cursor))
    with open_storage(storage) as database:
        found = leaderboard.trials(
            database, study, state=state, sort=sort, descending=descending, limit=limit + 1, after=after
        )
    items, more = paged(found, limit)
    if not more:
        return Page(items, None)
    last = position_of(items[-1], sort)
    return Page(items, cursor_after(listing, [last.trial, last.value]))


def _position(sort: str, stored: Any) -> Position | None:
    """A cursor's position. Anybody may write one, and databases refuse what does not fit the column."""
    if stored is None:
        return None
    match stored:
        case [int(trial), value] if 0 <= trial < _MOST_TRIALS and (value is None or _fits(sort, value)):
            return Position(trial, value)
    raise CursorError("the cursor does not fit this order: start without one")


def _fits(sort: str, value: Any) -> bool:
    if isinstance(value, str):
        return sort not in SORT_COLUMNS or (sort in ("state", "outcome") and "\0" not in value)
    if isinstance(value, int):
        return abs(value) < 2**53
    return isinstance(value, float) and isfinite(value)


def _check_state(state: str | None) -> None:
    if state is not None and state not in TRIAL_STATES:
        raise TunerError(f"{state!r} is not a state or outcome of trials; choose one of {', '.join(TRIAL_STATES)}")


def show_trial(study: str, number: int, *, storage: Storage = None) -> TrialDetail:
    """Everything known about one trial."""
    with open_storage(storage) as database:
        return leaderboard.trial(database, study, number)


def trial_log(study: str, number: int, *, storage: Storage = None) -> Iterator[bytes]:
    """What the trial's processes printed, of one attempt after another, in pieces.

    Raises:
        TunerError: there is no log, or none that can be reached from this machine.
    """
    with open_storage(storage) as database:
        leaderboard.trial(database, study, number)
        found = OpenStudy.load(database, study)
    logs = found.artifacts.logs(number)
    if not logs:
        raise TunerError(f"trial {number} of study {study} has no log in {found.artifacts.place_of('')}")
    return pieces(found.artifacts, logs)
