"""What is to be exported, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tuner.champion.records.assessment import Assessment
from tuner.champion.records.champion_json import Champion, Verification
from tuner.champion.records.ensemble import Ensemble
from tuner.champion.records.retraining import Retraining
from tuner.champion.records.trial_curve import TrialCurve
from tuner.spec.search_spec import SearchSpec


class ExportRequest(BaseModel):
    """A model to export, and where it comes from.

    Attributes:
        spec: the study's spec; its objective is what is verified.
        trial: the trial's number; of an ensemble the heaviest member's.
        checkpoint: the model's ``.keras`` file: what the trial kept of its best epoch, what it was retrained to, or an
            ensemble.
        split: whose examples must give ``value`` again.
        value: the objective on that split.
        metrics: all metrics recorded with it.
        params: the trial's hyperparameters.
        data_fingerprint: of the data that the study was run on.
        cache: the folder that holds this node's prepared data.
        assessment: how the trial was chosen; None where its score cannot be computed again.
        ensemble: of which models it is an average; None for a single one.
        single_because: why it is no average, for people; None where none was asked for, or it is one.
        retraining: how the trial did when it was trained again.
        history: the trial's epochs; of an ensemble those of each member.
        importances: each hyperparameter's share in the study's objective; None with too few complete trials.
        called: what the model is, for people, where it is no trial's.
    """

    model_config = ConfigDict(frozen=True)

    spec: SearchSpec
    study: str
    trial: int
    checkpoint: Path
    value: float
    metrics: dict[str, float]
    params: dict[str, Any]
    data_fingerprint: str
    cache: Path
    split: Literal["validation", "test"] = "validation"
    assessment: Assessment | None = None
    ensemble: Ensemble | None = None
    single_because: str | None = None
    retraining: Retraining | None = None
    history: tuple[TrialCurve, ...] = ()
    importances: dict[str, float] | None = None
    called: str = ""

    @property
    def subject(self) -> str:
        """What the model is, for people."""
        if self.called:
            return self.called
        if self.ensemble is not None:
            return f"the ensemble of trials {', '.join(str(each.trial) for each in self.ensemble.members)}"
        return f"trial {self.trial}{', retrained,' if self.split == 'test' else ''}"

    @property
    def evaluation_batch(self) -> int:
        """The batch size with which the trial was evaluated."""
        return int(self.params.get("batch_size") or self.spec.training.batch_size)


@dataclass(frozen=True)
class ExportReport:
    """An export that stands at ``folder``; ``champion`` is what its champion.json says.

    ``violated`` has the study's constraints that the trial breaks, in words; ``unassessed`` why its score could not be
    computed again to choose among the best trials; ``version`` the one under which the study has it, once it has.
    """

    folder: Path
    champion: Champion
    violated: tuple[str, ...] = ()
    unassessed: str | None = None
    version: int | None = None

    @property
    def verification(self) -> Verification:
        return self.champion.verification
