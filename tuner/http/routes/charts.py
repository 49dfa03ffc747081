"""What a study's charts show, as data."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from storage.samples import Points
from tuner.http.parameters import Answers, Study
from tuner.queries import charts
from tuner.queries.charts import USUAL_POINTS, ParameterChart, TrialCurve

router = APIRouter(prefix="/api/v1/studies/{study}/charts", tags=["charts"])


@router.get("/history", response_model=Points, summary="Fetch the optimisation history")
async def history(
    service: Answers,
    study: Study,
    points: Annotated[int, Query(ge=1, le=5000, description="Return at most this many points.")] = USUAL_POINTS,
) -> Response:
    """Shows how the leading objective developed. Each point is the best of a group of neighbouring trials."""
    return await service.answer(Points, charts.history_chart, study, points)


@router.get("/curves", response_model=list[TrialCurve], summary="Fetch learning curves")
async def curves(
    service: Answers,
    study: Study,
    trial: Annotated[
        list[Annotated[int, Query(ge=0, lt=2**31)]],
        Query(max_length=50, description="Numbers of the trials to return. Repeat the parameter for several trials."),
    ] = [],  # noqa: B006
) -> Response:
    """Returns the learning curves of the given trials, or of the best, the newest and the running ones."""
    return await service.answer(list[TrialCurve], charts.curves_chart, study, tuple(trial))


@router.get("/importances", response_model=dict[str, dict[str, float]], summary="Fetch hyperparameter importances")
async def importances(service: Answers, study: Study) -> Response:
    """Returns how much each hyperparameter mattered to each objective; empty with too few complete trials."""
    return await service.answer(dict[str, dict[str, float]], charts.importances_chart, study)


@router.get("/parameters", response_model=ParameterChart, summary="Fetch trials by their hyperparameters")
async def parameters(service: Answers, study: Study) -> Response:
    """Returns the complete trials with their hyperparameters, for charts of parallel coordinates and slices."""
    return await service.answer(ParameterChart, charts.parameters_chart, study)
