"""Trials of a study."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import PlainTextResponse, Response

from storage.leaderboard import TrialDetail, TrialSummary
from tuner import queries
from tuner.http.parameters import Answers, Cursor, Limit, Number, Study
from tuner.http.streams import streamed
from tuner.queries.paging import USUAL_PAGE, Page

router = APIRouter(prefix="/api/v1/studies/{study}", tags=["trials"])


@router.get("/trials", response_model=Page[TrialSummary], summary="List trials")
async def list_trials(
    service: Answers,
    study: Study,
    state: Annotated[
        str | None, Query(max_length=64, description="List only trials in this state or with this outcome.")
    ] = None,
    sort: Annotated[
        str,
        Query(
            max_length=512,
            pattern=r"^[^\x00]*$",
            description="Sort by trial, value, epochs, seconds, state, outcome, a metric or a hyperparameter. "
            "-KEY sorts in descending order.",
        ),
    ] = "trial",
    limit: Limit = USUAL_PAGE,
    cursor: Cursor = None,
) -> Response:
    """Lists the trials of a study, page by page."""
    return await service.answer(
        Page[TrialSummary],
        queries.trial_page,
        study,
        state=state,
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        limit=limit,
        cursor=cursor,
    )


@router.get("/trials/{number}", response_model=TrialDetail, summary="Show a trial")
async def show_trial(service: Answers, study: Study, number: Number) -> Response:
    """Returns everything known about one trial, including its learning curves."""
    return await service.answer(TrialDetail, queries.show_trial, study, number)


@router.get("/trials/{number}/log", response_class=PlainTextResponse, summary="Fetch a trial's log")
async def trial_log(service: Answers, study: Study, number: Number) -> Response:
    """Returns the log of a trial, one attempt after another."""
    return await streamed(service, partial(queries.trial_log, study, number, storage=service.database), "text/plain")


@router.get("/best", response_model=list[TrialSummary], summary="List the best trials")
async def best_trials(
    service: Answers,
    study: Study,
    k: Annotated[int | None, Query(ge=1, le=500, description="Return at most this many trials.")] = None,
) -> Response:
    """Lists the best trials, the best first.

    A pruned trial is among them if the model of its best epoch is kept. A study with several objectives returns its
    Pareto front, sorted by the leading objective.
    """
    return await service.answer(list[TrialSummary], queries.best_trials, study, k)
