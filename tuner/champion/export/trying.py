"""Whether models like the default one could be exported: tried before a study begins, in a process as an export's."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tuner.champion.child_process import ChildProcess
from tuner.champion.messages import FROM_TRYING, FromTrying, Tried, TryExport
from tuner.champion.records.request import ExportRequest
from tuner.errors import ExportError
from tuner.spec.search_spec import SearchSpec


class ExportTrial:
    """The process, which imports what it needs as soon as it is there.

    What a trial's own process has registered or defined while it built a model is not there when one is exported.
    """

    def __init__(self, log: Path) -> None:
        self._child: ChildProcess[FromTrying] = ChildProcess("tuner.champion.export.trying_process", FROM_TRYING, log)

    def __enter__(self) -> Self:
        self._child.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.__exit__(kind, error, trace)

    def warnings(self, spec: SearchSpec, model: Path, values: dict[str, Any], data: Path) -> list[str]:
        """What an export of such a model would lack, a sentence each.

        Args:
            model: the ``.keras`` file, as a trial keeps it.
            values: the model's hyperparameters.
            data: the prepared data's folder.
        """
        request = ExportRequest(
            spec=spec,
            study=spec.study,
            trial=0,
            checkpoint=model,
            value=0.0,
            metrics={},
            params=values,
            data_fingerprint="",
            cache=data.parent,
            called="the default values",
        )
        try:
            return list(self._child.ask(TryExport(request=request, data=data), Tried, "process that tried it").warnings)
        except ExportError as error:
            return [f"the trials' models cannot be exported as they are: {error}"]
