"""Trials of a study."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from storage.leaderboard import TrialDetail, TrialSummary
from tuner import queries
from tuner.http.parameters import Answers, Cursor, Limit, Number, Study
from tuner.http.streams import streamed
from tuner.queries.paging import USUAL_PAGE, Page

router = APIRouter(prefix="/api/v1/studies/{study}", tags=["trials"])


@router.get("/trials", response_model=Page[TrialSummary])
async def list_trials(
    service: Answers,
    study: Study,
    state: Annotated[str | None, Query(max_length=64, description="Only those in it, or with that outcome.")] = None,
    sort: Annotated[
        str,
        Query(
            max_length=512,
            pattern=r"^[^\x00]*$",
            description="trial, value, epochs, seconds, state, outcome, a metric or a hyperparameter; -KEY descends.",
        ),
    ] = "trial",
    limit: Limit = USUAL_PAGE,
    cursor: Cursor = None,
) -> Response:
    """A page of a study's trials."""
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


@router.get("/trials/{number}", response_model=TrialDetail)
async def show_trial(service: Answers, study: Study, number: Number) -> Response:
    """Everything known about one trial, its curves too."""
    return await service.answer(TrialDetail, queries.show_trial, study, number)


@router.get("/trials/{number}/log", response_class=Response)
async def trial_log(service: Answers, study: Study, number: Number) -> Response:
    """What the trial's processes printed, of one attempt after another."""
    return await streamed(service, partial(queries.trial_log, study, number, storage=service.database), "text/plain")


@router.get("/best", response_model=list[TrialSummary])
async def best_trials(service: Answers, study: Study, k: Annotated[int | None, Query(ge=1, le=500)] = None) -> Response:
    """The best complete trials, the best first; with several objectives the Pareto front, by the leading one."""
    return await service.answer(list[TrialSummary], queries.best_trials, study, k)
