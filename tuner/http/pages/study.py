"""One study: how it stands, its charts, its trials, its workers; stopping, resuming and deleting it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from storage.errors import UnknownStudy
from storage.progress import StudyStatus
from tuner import api, queries
from tuner.errors import UnreadableSpec
from tuner.http.access import needs
from tuner.http.pages.forms import OWN_FORM, gone_to
from tuner.http.pages.leaderboard import Order, leaderboard, usual_sort
from tuner.http.pages.templating import page, study_address
from tuner.http.parameters import Answers, Cursor, Study
from tuner.http.service import Service
from tuner.launch import changes, questions
from tuner.presentation.views import lacks_workers, running_rows, status_facts, who_would_take
from tuner.report.facts import spec_yaml
from tuner.spec.search_spec import SearchSpec

router = APIRouter(prefix="/studies/{study}", include_in_schema=False)
_LAUNCHING = [Depends(needs("launch")), OWN_FORM]
_TRIALS = 25
_FRONT = 50
_LIVE = 20
_WORKERS = 100

State = Annotated[str | None, Query(max_length=64)]
Sort = Annotated[str | None, Query(max_length=512, pattern=r"^[^\x00]*$")]


@router.get("")
async def study(
    request: Request, service: Answers, study: Study, state: State = None, sort: Sort = None, cursor: Cursor = None
) -> Response:
    status, spec, stored = await asyncio.gather(
        service.found(queries.study_status, study), _spec(service, study), _stored(service, study)
    )
    order = Order(sort or usual_sort(status), state or None)
    trials, front, would_take = await asyncio.gather(
        service.found(
            queries.trial_page,
            study,
            state=order.state,
            sort=order.key,
            descending=order.descending,
            limit=_TRIALS,
            cursor=cursor,
        ),
        _front(service, status),
        _who_would_take(service, status),
    )
    workers = [each for each in status.workers if each.live]
    return page(
        request,
        "study.html",
        study=study,
        status=status,
        known=status_facts(status, spec),
        done=status.complete + status.pruned + status.failed,
        running=running_rows(status, spec),
        would_take=would_take,
        front=front,
        trials=leaderboard(status, trials, order),
        states=queries.TRIAL_STATES,
        first=cursor is None,
        workers=workers[:_LIVE],
        more_workers=len(workers[_LIVE:]),
        spec=stored,
        max_trials=service.settings.max_trials,
    )


async def _spec(service: Service, study: str) -> SearchSpec | None:
    """None for a study that Optuna alone made, and for a spec that another version of this software wrote."""
    try:
        return await service.found(api.study_spec, study)
    except (UnknownStudy, UnreadableSpec):
        return None


async def _stored(service: Service, study: str) -> str | None:
    """The spec as YAML; None for a study that Optuna alone made."""
    try:
        return spec_yaml(await service.found(queries.stored_spec, study))
    except UnknownStudy:
        return None


async def _front(service: Service, status: StudyStatus) -> list[dict[str, Any]]:
    """The Pareto front, best by the leading objective first; empty with one objective."""
    if len(status.objectives) < 2:
        return []
    found = await service.found(queries.best_trials, status.study, _FRONT)
    return [{"trial": each.trial, **each.measures} for each in found]


async def _who_would_take(service: Service, status: StudyStatus) -> str | None:
    """How many standing workers serve a study that lacks workers; None for any other."""
    if not lacks_workers(status):
        return None
    return who_would_take(status.study, await service.found(queries.list_pools))


@router.get("/workers")
async def workers(request: Request, service: Answers, study: Study) -> Response:
    """Everybody who worked on it, the newest first, and what engines say of its launches."""
    found = await service.found(queries.list_workers, study)
    launches = await service.found(questions.list_launches, study)
    newest = found[::-1]
    return page(
        request,
        "study_workers.html",
        study=study,
        workers=newest[:_WORKERS],
        more_workers=len(newest[_WORKERS:]),
        launches=launches,
        kept=_WORKERS,
    )


@router.post("/stop", dependencies=_LAUNCHING)
async def stop(service: Answers, study: Study) -> Response:
    await service.reads.run(partial(changes.stop, study, storage=service.database))
    return gone_to(study_address(study))


@router.post("/resume", dependencies=_LAUNCHING)
async def resume(
    service: Answers, study: Study, trials: Annotated[int | None, Form(ge=1, lt=2**31)] = None
) -> Response:
    service.policy.check_trials(trials)
    await service.reads.run(partial(changes.resume, study, trials=trials, storage=service.database))
    return gone_to(study_address(study))


@router.post("/delete", dependencies=[Depends(needs("admin")), OWN_FORM])
async def delete(
    service: Answers,
    study: Study,
    confirm: Annotated[str, Form(max_length=512)] = "",
    artifacts: Annotated[bool, Form()] = False,
) -> Response:
    await service.reads.run(
        partial(changes.delete_study, study, confirm=confirm, artifacts=artifacts, storage=service.database)
    )
    return gone_to("/")
