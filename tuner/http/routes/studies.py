"""Routes that list, show, create, stop, resume and delete studies."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, PlainTextResponse, Response

from storage.lease_list import LeaseView
from storage.progress import StudyOverview, StudyStatus
from tuner import api, queries
from tuner.http.access import needs
from tuner.http.launching import launched, scaled, space_of
from tuner.http.parameters import Answers, Cursor, Limit, Study, WorkerName
from tuner.http.streams import streamed
from tuner.json_codec import as_json
from tuner.launch import changes, questions
from tuner.launch.launches import LaunchView
from tuner.launch.presets import Enqueued
from tuner.queries.paging import USUAL_PAGE, Page
from tuner.queries.workers import WorkerView
from tuner.spec.schema import UncheckedSpec

router = APIRouter(prefix="/api/v1/studies", tags=["studies"])
spaces = APIRouter(prefix="/api/v1/space", tags=["studies"])
_LAUNCHING = [Depends(needs("launch"))]


class Deletion(BaseModel):
    """The confirmation that a study is to be deleted."""

    model_config = ConfigDict(extra="forbid")

    confirm: str = Field(max_length=512, description="The study's name once more, as confirmation.")
    artifacts: bool = Field(False, description="Also delete the study's files: models, logs and the champions' files.")


class Scaling(BaseModel):
    """The number of workers to scale to."""

    model_config = ConfigDict(extra="forbid")

    workers: int = Field(ge=1, lt=2**31, description="New number of workers.")


class Resuming(BaseModel):
    """Options for resuming a study."""

    model_config = ConfigDict(extra="forbid")

    trials: int | None = Field(
        None, ge=1, lt=2**31, description="New budget of the study, in trials; it must exceed the present one."
    )


_AS_IT_WAS = Resuming()


@router.get("", response_model=Page[StudyOverview], summary="List studies")
async def list_studies(service: Answers, limit: Limit = USUAL_PAGE, cursor: Cursor = None) -> Response:
    """Lists the studies, the newest first, page by page."""
    return await service.answer(Page[StudyOverview], queries.study_page, limit=limit, cursor=cursor)


@router.post("", response_model=StudyStatus, status_code=201, dependencies=_LAUNCHING, summary="Create a study")
async def create_study(
    service: Answers,
    spec: Annotated[UncheckedSpec, Body()],
    on: Annotated[
        str | None, Query(max_length=64, description="Engine that starts workers for the study: local, ray or slurm.")
    ] = None,
    workers: Annotated[
        int | None, Query(ge=1, lt=2**31, description="Number of workers, instead of the spec's `resources.workers`.")
    ] = None,
) -> Response:
    """Checks a spec, its data and one batch, then creates the study, which runs as soon as a worker joins it.

    The body is a spec as JSON instead of YAML. It may name only the search spaces, data folders and engines that the
    operator allows, and it may not say where files are kept. Without `on`, workers of the standing pool take the study.
    """
    created = await service.launching(lambda: as_json(StudyStatus, launched(service, spec, on, workers)))
    return Response(created, 201, media_type="application/json")


@spaces.post(
    "",
    response_model=list[dict[str, Any]],
    dependencies=_LAUNCHING,
    summary="List the hyperparameters of a search space",
)
async def search_space(service: Answers, spec: Annotated[UncheckedSpec, Body()]) -> Response:
    """Lists the hyperparameters of a spec's search space without creating a study.

    Each hyperparameter has its name, kind, range, scale, default and condition. The spec may name only what the
    operator allows.
    """

    def listed() -> bytes:
        return as_json(list[dict[str, Any]], space_of(service, spec))

    return Response(await service.launching(listed), media_type="application/json")


@router.get("/{study}", response_model=StudyStatus, summary="Show a study")
async def study_status(service: Answers, study: Study) -> Response:
    """Returns a study's progress, its running trials and its workers."""
    return await service.answer(StudyStatus, queries.study_status, study)


@router.delete(
    "/{study}", response_model=dict[str, str], dependencies=[Depends(needs("admin"))], summary="Delete a study"
)
async def delete_study(service: Answers, study: Study, deletion: Deletion) -> Response:
    """Deletes a study with its trials and champions. This cannot be undone. No worker may be working on the study."""
    await service.reads.run(
        partial(
            changes.delete_study,
            study,
            confirm=deletion.confirm,
            artifacts=deletion.artifacts,
            storage=service.database,
        )
    )
    return JSONResponse({"deleted": study})


@router.post("/{study}/stop", response_model=dict[str, str], dependencies=_LAUNCHING, summary="Stop a study")
async def stop(service: Answers, study: Study) -> Response:
    """Asks every worker to leave after its current epoch, and returns the study's state."""
    state = await service.reads.run(partial(changes.stop, study, storage=service.database))
    return JSONResponse({"state": state})


@router.post("/{study}/resume", response_model=StudyStatus, dependencies=_LAUNCHING, summary="Resume a study")
async def resume(service: Answers, study: Study, resuming: Resuming = _AS_IT_WAS) -> Response:
    """Resumes a stopped study, which runs as soon as a worker joins it.

    A study whose trials are all done needs a larger `trials`.
    """
    service.policy.check_trials(resuming.trials)
    return await service.done(StudyStatus, changes.resume, study, trials=resuming.trials)


@router.post("/{study}/scale", response_model=LaunchView, dependencies=_LAUNCHING, summary="Scale a study's workers")
async def scale(service: Answers, study: Study, scaling: Scaling) -> Response:
    """Changes how many workers an engine runs. Surplus workers leave in an orderly way."""
    done = await service.launching(lambda: as_json(LaunchView, scaled(service, study, scaling.workers)))
    return Response(done, media_type="application/json")


@router.post("/{study}/enqueue", response_model=Enqueued, dependencies=_LAUNCHING, summary="Enqueue a configuration")
async def enqueue(service: Answers, study: Study, values: Annotated[dict[str, Any], Body()]) -> Response:
    """Enqueues a configuration to be tried next.

    The body maps names of hyperparameters to values. Hyperparameters that it does not name are sampled.
    """

    def enqueued() -> bytes:
        return as_json(Enqueued, api.enqueue(study, values, storage=service.settings.storage))

    return Response(await service.launching(enqueued), media_type="application/json")


@router.post(
    "/{study}/enqueue-all",
    response_model=list[Enqueued],
    dependencies=_LAUNCHING,
    summary="Enqueue several configurations",
)
async def enqueue_all(
    service: Answers, study: Study, configurations: Annotated[list[dict[str, Any]], Body()]
) -> Response:
    """Enqueues configurations to be tried next, in their order: all of them, or none if something is wrong with one.

    The body is a list; each of its items maps names of hyperparameters to values.
    """

    def enqueued() -> bytes:
        return as_json(list[Enqueued], api.enqueue_all(study, configurations, storage=service.settings.storage))

    return Response(await service.launching(enqueued), media_type="application/json")


@router.get("/{study}/spec", response_model=dict[str, Any], summary="Fetch a study's spec")
async def study_spec(service: Answers, study: Study) -> Response:
    """Returns the spec that a study was launched with."""
    return await service.answer(dict[str, Any], queries.stored_spec, study)


@router.get("/{study}/leases", response_model=Page[LeaseView], summary="List a study's leases")
async def list_leases(service: Answers, study: Study, limit: Limit = USUAL_PAGE, cursor: Cursor = None) -> Response:
    """Lists the leases of a study, one for each trial of its budget, page by page."""
    return await service.answer(Page[LeaseView], queries.lease_page, study, limit=limit, cursor=cursor)


@router.get("/{study}/workers", response_model=list[WorkerView], summary="List a study's workers")
async def list_workers(service: Answers, study: Study) -> Response:
    """Lists every worker that has ever worked on a study, in the order in which they started."""
    return await service.answer(list[WorkerView], queries.list_workers, study)


@router.get("/{study}/workers/{worker}/log", response_class=PlainTextResponse, summary="Fetch a worker's log")
async def worker_log(service: Answers, study: Study, worker: WorkerName) -> Response:
    """Returns the log of a worker."""
    return await streamed(service, partial(questions.worker_log, study, worker, storage=service.database), "text/plain")


@router.get("/{study}/launches", response_model=list[LaunchView], summary="List a study's launches")
async def list_launches(service: Answers, study: Study) -> Response:
    """Lists the launches of a study on engines, with the states of their workers."""
    return await service.answer(list[LaunchView], questions.list_launches, study)
