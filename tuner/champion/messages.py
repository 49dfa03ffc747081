"""What the processes of an export are asked, and what they answer, over the pipe of ``child_process``.

The scoring process takes ``ScoreTrials`` (answered by ``TrialsScored``), then ``AverageTrials`` (``Averaged``). The
retraining process takes ``PrepareTraining``, which it does not answer, then ``TrainAgain`` (``TrainedAgain``). The
exporting process takes ``WriteExport`` (``Written``), then ``ScoreOutputs`` (``Scored``), ``CompareOutputs``
(``Compared``) and ``DecodeImages`` (``Decoded``). A trying process takes one ``TryExport`` (``Tried``), a converting
process one ``Convert`` (``Converted``). Each may say ``Refused`` in place of an answer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from tuner.champion.child_process import Refused
from tuner.champion.records.arithmetic import Arithmetic
from tuner.champion.records.assessment import Scores
from tuner.champion.records.champion_json import ChampionInput, OutputTensor
from tuner.champion.records.ensemble import Ensemble, Limits
from tuner.champion.records.request import ExportRequest
from tuner.champion.records.retraining import Run
from tuner.data.prepared import TargetFacts
from tuner.processes.messages import Message


class ScoreTrials(Message):
    """Asks for the scores of trials on validation and test.

    Attributes:
        intervals: of so many of the best the scores have intervals.
    """

    type: Literal["score_trials"] = "score_trials"
    requests: tuple[ExportRequest, ...]
    intervals: int


class TrialsScored(Message):
    """The trials' scores, or why they cannot be computed again."""

    type: Literal["trials_scored"] = "trials_scored"
    scores: tuple[Scores, ...] = ()
    unscorable: str | None = None


class AverageTrials(Message):
    """Asks for the best average of the trials that were scored.

    Attributes:
        limits: what it may cost.
        single: the trial to compare it with.
        file: the ``.keras`` file to write.
    """

    type: Literal["average_trials"] = "average_trials"
    limits: Limits
    single: int
    file: Path


class Averaged(Message):
    """The average, or why there is none."""

    type: Literal["averaged"] = "averaged"
    ensemble: Ensemble | None
    reason: str | None = None


class PrepareTraining(Message):
    """Which trial's hyperparameters will be trained, on which splits and for how many epochs.

    Attributes:
        workspace: an existing folder for temporary files.
    """

    type: Literal["prepare_training"] = "prepare_training"
    request: ExportRequest
    splits: tuple[str, ...]
    epochs: int
    workspace: Path


class TrainAgain(Message):
    """Asks for one training; ``file`` is the ``.keras`` file to write."""

    type: Literal["train_again"] = "train_again"
    seed: int
    file: Path


class TrainedAgain(Message):
    type: Literal["trained_again"] = "trained_again"
    run: Run


class WriteExport(Message):
    """Asks for the files of Keras itself, in ``folder``; ``workspace`` is for temporary ones."""

    type: Literal["write_export"] = "write_export"
    request: ExportRequest
    folder: Path
    workspace: Path


class Written(Message):
    """An export, not yet proven.

    Attributes:
        data: the prepared data's folder.
        input, outputs: of ``serving_default``.
        learned: what the model makes of each of the data's targets.
        raw_signature, raw_tensors: where the SavedModel gives the model's own outputs, and what they are called.
        raw_columns: the last dimension of the only one; 0 where there are several.
        unscorable: why no metric can be computed from them; None if one may be.
        lost: why the objective is not among the model's metrics, if it was once; else empty.
        left_out: what the trial's model was compiled with and ``model.keras`` is not.
        needs: the classes and functions of the user's own that ``model.keras`` names, each as ``module.name``.
        own: by name, the inputs of the examples that prove it as the user's own arrays have them, see
            ``tuner.champion.clean``; None where the examples are files or rows.
        arithmetic: in what the model computes.
        drawn: for a model that does not take the data's inputs: a .npy file of examples for each of its inputs.
        versions: of keras and tensorflow.
    """

    type: Literal["written"] = "written"
    data: Path
    input: ChampionInput
    outputs: tuple[OutputTensor, ...]
    learned: tuple[TargetFacts, ...]
    raw_signature: str
    raw_tensors: tuple[str, ...]
    raw_columns: int
    unscorable: str | None
    lost: str
    left_out: tuple[str, ...]
    needs: dict[str, str]
    own: dict[str, dict[str, Any]] | None
    drawn: tuple[Path, ...]
    arithmetic: Arithmetic
    versions: dict[str, str]


class TryExport(Message):
    """Asks whether the default model could be exported. ``data`` is the prepared data's folder."""

    type: Literal["try_export"] = "try_export"
    request: ExportRequest
    data: Path


class Tried(Message):
    """What an export of such a model lacks, a sentence each."""

    type: Literal["tried"] = "tried"
    warnings: tuple[str, ...]


class ScoreOutputs(Message):
    """Asks for the model's own metrics on outputs, .npy files in the order of the model's."""

    type: Literal["score_outputs"] = "score_outputs"
    outputs: tuple[Path, ...]


class Scored(Message):
    """The model's own metrics by name, or why they cannot be computed."""

    type: Literal["scored"] = "scored"
    metrics: dict[str, float]
    failed: str | None = None


class CompareOutputs(Message):
    """Asks how far outputs, .npy files, are from what ``model.keras`` gives."""

    type: Literal["compare_outputs"] = "compare_outputs"
    outputs: tuple[Path, ...]


class Compared(Message):
    """The largest absolute difference of each output."""

    type: Literal["compared"] = "compared"
    differences: tuple[float, ...]


class DecodeImages(Message):
    """Asks for the pixels of image files, decoded as the SavedModel does it, in files that begin with ``stem``."""

    type: Literal["decode_images"] = "decode_images"
    files: tuple[str, ...]
    stem: Path


class Decoded(Message):
    """Of how many of the files the pixels were written."""

    type: Literal["decoded"] = "decoded"
    images: int


class Convert(Message):
    """Asks for the files of one other format, in ``folder``."""

    type: Literal["convert"] = "convert"
    request: ExportRequest
    format: str
    folder: Path


class ConvertedFile(Message):
    """A file, relative to the export, or why there is none. ``quantised``: its numbers are not float32."""

    name: str
    file: str | None = None
    quantised: bool = False
    refused: str | None = None
    alternative: str | None = None


class Converted(Message):
    """Attributes: ``takes``, ``gives``: the tensors of all of the files, in words."""

    type: Literal["converted"] = "converted"
    files: tuple[ConvertedFile, ...]
    takes: dict[str, str] = Field(default_factory=dict)
    gives: str = ""


ToScoring = Annotated[ScoreTrials | AverageTrials, Field(discriminator="type")]
ToRetraining = Annotated[PrepareTraining | TrainAgain, Field(discriminator="type")]
FromRetraining = Annotated[TrainedAgain | Refused, Field(discriminator="type")]
ToExporting = Annotated[WriteExport | ScoreOutputs | CompareOutputs | DecodeImages, Field(discriminator="type")]
ToModels = Annotated[ToScoring | ToExporting, Field(discriminator="type")]
FromModels = Annotated[
    TrialsScored | Averaged | Written | Scored | Compared | Decoded | Refused, Field(discriminator="type")
]
FromTrying = Annotated[Tried | Refused, Field(discriminator="type")]
FromConverting = Annotated[Converted | Refused, Field(discriminator="type")]

TO_MODELS: TypeAdapter[ToModels] = TypeAdapter(ToModels)
FROM_MODELS: TypeAdapter[FromModels] = TypeAdapter(FromModels)
TO_RETRAINING: TypeAdapter[ToRetraining] = TypeAdapter(ToRetraining)
FROM_RETRAINING: TypeAdapter[FromRetraining] = TypeAdapter(FromRetraining)
TO_TRYING: TypeAdapter[TryExport] = TypeAdapter(TryExport)
FROM_TRYING: TypeAdapter[FromTrying] = TypeAdapter(FromTrying)
TO_CONVERTING: TypeAdapter[Convert] = TypeAdapter(Convert)
FROM_CONVERTING: TypeAdapter[FromConverting] = TypeAdapter(FromConverting)
