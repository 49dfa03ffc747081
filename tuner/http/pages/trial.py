"""One trial, and the end of what it printed."""

from __future__ import annotations

from collections import deque
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from storage.leaderboard import TrialDetail
from tuner import queries
from tuner.http.pages.templating import page
from tuner.http.parameters import Answers, Number, Study
from tuner.presentation.views import epoch_rows, trial_facts
from tuner.report.style import thinned
from tuner.study.storage_access import Storage

router = APIRouter(prefix="/studies/{study}/trials/{number}", include_in_schema=False)
_EPOCHS = 100
_LOG_BYTES = 32 * 1024


@router.get("")
async def trial(request: Request, service: Answers, study: Study, number: Number) -> Response:
    found: TrialDetail = await service.found(queries.show_trial, study, number)
    rows = epoch_rows(found)
    known = trial_facts(found)
    return page(
        request,
        "trial.html",
        study=study,
        number=number,
        state=found.summary.outcome or found.summary.state,
        ongoing=found.ended_at is None,
        known={name: value for name, value in known.items() if name != "outcome"},
        trial=found,
        rows=[rows[index] for index in thinned(len(rows), _EPOCHS)],
        epochs=len(rows),
        columns=list(dict.fromkeys(name for row in rows for name in row)),
    )


@router.get("/log")
async def log(request: Request, service: Answers, study: Study, number: Number) -> Response:
    text, cut = await service.reads.run(partial(_end_of_log, study, number, service.database))
    return page(request, "trial_log.html", study=study, number=number, text=text, cut=cut)


def _end_of_log(study: str, number: int, storage: Storage) -> tuple[str, bool]:
    """The last lines, and whether there are more before them."""
    pieces: deque[bytes] = deque()
    kept, cut = 0, False
    for piece in queries.trial_log(study, number, storage=storage):
        pieces.append(piece)
        kept += len(piece)
        while kept - len(pieces[0]) >= _LOG_BYTES:
            kept -= len(pieces.popleft())
            cut = True
    text = b"".join(pieces)
    cut = cut or len(text) > _LOG_BYTES
    shown = text[-_LOG_BYTES:].decode("utf-8", "replace")
    return (shown.partition("\n")[2] if cut else shown), cut
