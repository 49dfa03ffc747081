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


@router.get("/history", response_model=Points)
async def history(
    service: Answers, study: Study, points: Annotated[int, Query(ge=1, le=5000)] = USUAL_POINTS
) -> Response:
    """How the leading objective developed: of each group of neighbouring trials the best."""
    return await service.answer(Points, charts.history_chart, study, points)


@router.get("/curves", response_model=list[TrialCurve])
async def curves(
    service: Answers,
    study: Study,
    trial: Annotated[list[Annotated[int, Query(ge=0, lt=2**31)]], Query(max_length=50)] = [],  # noqa: B006
) -> Response:
    """Learning curves of those trials; else of the best, the newest, and those that run."""
    return await service.answer(list[TrialCurve], charts.curves_chart, study, tuple(trial))


@router.get("/importances", response_model=dict[str, dict[str, float]])
async def importances(service: Answers, study: Study) -> Response:
    """By objective, how much each hyperparameter mattered; empty with too few complete trials."""
    return await service.answer(dict[str, dict[str, float]], charts.importances_chart, study)


@router.get("/parameters", response_model=ParameterChart)
async def parameters(service: Answers, study: Study) -> Response:
    """Complete trials by their hyperparameters, for parallel coordinates and slices."""
    return await service.answer(ParameterChart, charts.parameters_chart, study)
