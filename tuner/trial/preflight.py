"""Before a study: the data opened, the space listed, one model built and one batch run, each failure said in one line.

``python -m tuner.trial.preflight`` reads a request from standard input and writes messages, one JSON object a line, to
standard output. What libraries print goes to the log that the request names. A worker that stands by runs what needs
Keras in a process of its own: ``preflight_main``. Its first child for a study does the first part alone:
``prepare_main``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from tuner.data.prepared import open_prepared
from tuner.data.summary import summary_of
from tuner.errors import DataError, PreflightError, RefusedKey, SpaceError, TunerError
from tuner.processes.parents import end_with_parent
from tuner.processes.quick_imports import import_keras
from tuner.spec.data import Python
from tuner.spec.objective import MEASURES
from tuner.spec.search_spec import SearchSpec
from tuner.trial.channel import end_with_worker, tell_worker
from tuner.trial.messages import Checked, DecodeProgress, Listed, Prepared, StudyRefused
from tuner.trial.process import redirect_output

if TYPE_CHECKING:
    import keras_tuner

    from search_spaces.base import StagedModel
    from tuner.data.cache import PreparedData
    from tuner.data.prepared import TargetFacts
    from tuner.hyperparameters import TrialHyperParameters

Say = Callable[[Any], None]

# A Python source that is read in less is read twice.
_CHEAP_SECONDS = 15.0
# A model that is built in less processor time is built again, to see what its hyperparameters change.
_QUICK_SECONDS = 3.0


class Request(BaseModel):
    """What is asked.

    Attributes:
        data: the folder of the prepared data; None to prepare it.
        only_data: prepare the data, and no more.
        check: run the model too.
        explore: list the whole space rather than what the defaults reach.
        keep: a ``.keras`` file to write, of the model that has run, as a trial would keep it.
    """

    spec: SearchSpec
    cache: Path
    log: Path
    data: Path | None = None
    only_data: bool = False
    check: bool = True
    explore: bool = False
    keep: Path | None = None


def prepare_data(spec: SearchSpec, cache: Path, say: Say) -> PreparedData:
    """Decodes the data into the node's cache, or finds it there, and says where.

    Raises:
        DataError: it cannot be read or split.
    """
    from tuner.data.cache import prepare

    data = prepare(spec.data, cache, lambda done, total: say(DecodeProgress(done=done, total=total)))
    say(Prepared(folder=str(data.folder), fingerprint=data.fingerprint, description=data.describe()))
    return data


def run(request: Request, say: Say) -> None:
    """Says Prepared, Checked and Listed, as far as they are asked for, or StudyRefused at the first failure."""
    try:
        _run(request, say)
    except TunerError as error:
        say(refusal(error))
    except Exception as error:
        text = " ".join(str(error).split())
        message = f"{type(error).__name__}: {text}"
        say(StudyRefused(kind="preflight", key="space", message=message, traceback=traceback.format_exc()))


def refusal(error: TunerError) -> StudyRefused:
    kind = "data" if isinstance(error, DataError) else "space" if isinstance(error, SpaceError) else "preflight"
    files = list(error.files) if isinstance(error, DataError) else []
    origin = error.__cause__
    trace = "".join(traceback.format_exception(origin)) if origin else None
    key = error.key if isinstance(error, RefusedKey) else "space"
    return StudyRefused(kind=kind, key=key, message=str(error), files=files, traceback=trace)  # type: ignore[arg-type]


def _run(request: Request, say: Say) -> None:
    spec = request.spec
    data = _looked_at(request, say) if request.data is None else open_prepared(request.data)
    if request.only_data:
        return
    # Not before: what is wrong with the data is said at once.
    import_keras()
    from search_spaces.base import SearchSpace
    from tuner.data.pipeline_options import leave_autotuning_off
    from tuner.hyperparameters import (
        RefusedEntry,
        TrialHyperParameters,
        check_entries,
        default_of,
        explore,
        grid,
        reachable,
        unknown_entries,
    )
    from tuner.trial.class_weighting import has_own_fit
    from tuner.trial.compilation import check_compilation
    from tuner.trial.space import load_space

    leave_autotuning_off()
    space = load_space(spec, summary_of(data))
    check_compilation(spec.training)
    hp = TrialHyperParameters(default_of, use_defaults=True, spec=spec.hyperparameters)
    if request.check:
        say(_check(spec, space, data, hp, request.keep))
    wants_grid = spec.sampler.name == "grid"
    # Where the default model has met every entry, there is no need to build others to find them.
    in_question = not spec.hyperparameters.allow_new_entries or unknown_entries(spec.hyperparameters, hp.declared)
    own = isinstance(space, SearchSpace)
    portfolio, kind = ([dict(each) for each in space.portfolio], space.kind) if own else ([], None)
    if not (request.explore or wants_grid or in_question or portfolio or _declares(space)):
        say(Listed(hyperparameters=[], portfolio=[], kind=kind))
        return
    try:
        listed = explore(getattr(space, "declare", space.build), spec=spec.hyperparameters)
        # A `fit` of the space's own declares some too, which a look at a batch meets.
        met = request.check or not has_own_fit(space) or _meet_fit(spec, space, data, hp)
        known = {each.name for each in listed}
        listed = (*listed, *(each for each in hp.declared if each.name not in known))
        if met:
            check_entries(spec.hyperparameters, listed)
        declared = reachable(listed)
        values = grid(declared, spec.sampler.options.get("search_space", {})) if wants_grid else None
    except RefusedEntry:
        raise
    except Exception as error:
        raise SpaceError(f"the search space cannot be listed: {type(error).__name__}: {error}") from error
    items = [item.as_dict() for item in declared]
    say(Listed(hyperparameters=items, grid=values, portfolio=portfolio, kind=kind))


def _looked_at(request: Request, say: Say) -> PreparedData:
    """The data, prepared; what costs little is read twice where it comes from a function."""
    spec, started = request.spec, time.monotonic()
    data = prepare_data(spec, request.cache, say)
    if request.check and isinstance(spec.data, Python) and time.monotonic() - started < _CHEAP_SECONDS:
        from tuner.data.second_reading import check_second_reading

        check_second_reading(spec.data, data.fingerprint, request.cache)
    return data


def _meet_fit(spec: SearchSpec, space: keras_tuner.HyperModel, data: PreparedData, hp: TrialHyperParameters) -> bool:
    """Lets a space's ``fit`` declare its hyperparameters; says whether it could."""
    try:
        _one_batch(spec, space, hp, _default_model(spec, space, data, hp), data)
    except PreflightError as error:
        print(f"what only fit declares is not listed: {error}", flush=True)
        return False
    return True


def _declares(space: keras_tuner.HyperModel) -> bool:
    """Whether the space can be listed without building models: then its hyperparameters are always listed."""
    from search_spaces.base import SearchSpace

    return isinstance(space, SearchSpace) and type(space).declare is not SearchSpace.declare


def _check(
    spec: SearchSpec,
    space: keras_tuner.HyperModel,
    data: PreparedData,
    hp: TrialHyperParameters,
    keep: Path | None,
) -> Checked:
    """One model with default values, one training and one validation batch."""
    from tuner.trial.class_weighting import class_weighting
    from tuner.trial.fitting import check_targets, doubts
    from tuner.trial.keeping import why_not_saved
    from tuner.trial.losses import label_forms, learned_targets
    from tuner.trial.model import learners_of, parameters_of
    from tuner.trial.reads import ReadValues
    from tuner.trial.space_effects import effect_warning

    started = time.process_time()
    model = _default_model(spec, space, data, hp)
    is_quick = time.process_time() - started < _QUICK_SECONDS
    learned_by = learners_of(model, data)
    forms = label_forms(space, learned_by, data)
    check_targets(data, learned_by, forms)
    hp.values = values = ReadValues(hp.values)
    metrics = _one_batch(spec, space, hp, model, data)
    read = frozenset(values.read)
    _check_names(spec, metrics)
    obstacle = why_not_saved(model.network)
    if obstacle is not None and "export_bytes" in spec.wanted:
        key = "constraints" if "export_bytes" in spec.constraints else "objective"
        raise PreflightError(f"export_bytes cannot be measured, because the model cannot be saved: {obstacle}", key)
    learned = learned_targets(data, learned_by, forms, inferred=getattr(spec.data, "task", "auto") == "auto")
    weighting = class_weighting(space, hp, spec, data, model.network, learned)
    idle = effect_warning(spec, space, data, read) if is_quick and not spec.space.is_built_in else None
    unsaved = f"no model will be kept, because this one cannot be saved: {obstacle}" if obstacle else None
    return Checked(
        parameters=parameters_of(model.network),
        metrics=metrics,
        warnings=[
            *(warning for warning in (unsaved, weighting.left_out, idle) if warning),
            *_otherwise_learned(data, learned),
            *doubts(learned_by),
        ],
        class_weights=None if weighting.weights is None else list(weighting.weights),
        values=dict(hp.values),
        saved=keep is not None and obstacle is None and _kept(model, keep),
    )


def _kept(model: Any, file: Path) -> bool:
    try:
        model.end_to_end().save(file)
    except Exception as error:
        raise PreflightError(
            f"the model with default values cannot be saved: {type(error).__name__}: {_short(error)}"
        ) from error
    return True


def _otherwise_learned(data: PreparedData, learned: Sequence[TargetFacts]) -> list[str]:
    """Targets of which the loss makes something else than their dtypes and shapes tell."""
    names = {"regression": "numbers", "classification": "classes", "none": "what the loss makes of them"}
    return [
        f"the target{f' {facts.name!r}' if facts.name else ''} was taken for a {facts.task}, and the model's loss "
        f"learns {names[each.task]}: that is what it gets and what an export gives"
        for facts, each in zip(data.targets, learned, strict=True)
        if facts.task != each.task
    ]


def _check_names(spec: SearchSpec, metrics: Mapping[str, float]) -> None:
    """Raises PreflightError for an objective or a constraint that training will not give a value."""
    named = [("objective", each.metric) for each in spec.objectives]
    named += [("constraints", name) for name in spec.constraints]
    for key, name in named:
        if name not in metrics and name not in MEASURES:
            logged = ", ".join(sorted(metrics)) or "none"
            raise PreflightError(f"{key}: no epoch logs {name!r}; logged are {logged}", key)


def _default_model(
    spec: SearchSpec, space: keras_tuner.HyperModel, data: PreparedData, hp: TrialHyperParameters
) -> StagedModel:
    from tuner.trial.failure import Infeasible
    from tuner.trial.model import build_model, of_any_size

    try:
        # A default model above max_parameters is one infeasible trial; smaller ones may fit.
        return build_model(space, hp, of_any_size(spec), data)
    except TunerError:
        raise
    except Infeasible as error:
        raise PreflightError(f"the model with default values cannot be built: {error}") from error.__cause__
    except Exception as error:
        raise PreflightError(
            f"the model with default values cannot be built: {type(error).__name__}: {_short(error)}"
        ) from error


def _one_batch(spec: SearchSpec, space: keras_tuner.HyperModel, hp: Any, model: Any, data: PreparedData) -> Any:
    """The metrics that the epochs of the space's ``fit`` log, and those that it returns.

    Raises:
        PreflightError: it failed.
    """
    from tuner.data.model_columns import refuse_other_keys
    from tuner.trial.callbacks import BatchWitness, returned_metrics
    from tuner.trial.model import batch_format, batch_size_of, can_be_evaluated
    from tuner.trial.space_fit import Fitting, TrainingData
    from tuner.trial.user_callbacks import CallbackContext, user_callbacks

    epochs, folder = spec.training.epochs, Path(tempfile.mkdtemp())
    context = CallbackContext(spec.study, 0, 0, hp.values, epochs, spec.objective.metric, folder)
    others = user_callbacks(spec, context)
    witness, objective = BatchWitness(), spec.objective.metric
    refuse_other_keys()
    form = None
    try:
        batch_size, form = batch_size_of(hp, spec), batch_format(space, hp, spec, data, model)
        validates = can_be_evaluated(model.network)
        training = TrainingData(data, form, batch_size, spec.seed, validates=validates, first_batch_only=True)
        callbacks = [*others, witness]
        fitting = Fitting(space, hp, model.network, training, epochs=1, callbacks=callbacks, verbose=2, most_epochs=1)
        result = fitting.run()
    except TunerError:
        raise
    except Exception as error:
        where = "validation batch, after a training batch" if witness.has_trained else "batch"
        what = (
            f"{_short(error)}{_advice(spec, space, model, weighs=form is not None and form.class_weights is not None)}"
        )
        raise PreflightError(
            f"the model with default values failed on its first {where}: {type(error).__name__}: {what}"
        ) from error
    if objective in witness.metrics:
        return witness.metrics
    try:
        return witness.metrics | returned_metrics(result, objective)
    except (TypeError, ValueError) as error:
        raise PreflightError(f"objective: {error}", "objective") from error


def _advice(spec: SearchSpec, space: keras_tuner.HyperModel, model: Any, *, weighs: bool) -> str:
    """What may help training that is the user's own and was given weights."""
    from tuner.trial.class_weighting import own_training

    own = own_training(space, model.network) if weighs else None
    if own is None:
        return ""
    return (
        f" ({own}, and with training.class_weight: {spec.training.class_weight} it gets batches (x, y, weights); "
        "`training.class_weight: none` leaves the weights out)"
    )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:1000]


def main() -> None:
    """Keeps the real standard output for messages and gives its number away to the log."""
    end_with_parent()
    request = Request.model_validate_json(sys.stdin.read())
    messages = os.fdopen(os.dup(1), "w", buffering=1)
    redirect_output(request.log)

    def say(message: Any) -> None:
        messages.write(message.model_dump_json() + "\n")
        messages.flush()

    run(request, say)
    messages.close()
    sys.stdout.flush()
    # Tearing TensorFlow down can hang; everything has been said.
    os._exit(0)


def preflight_main(connection: Connection, scratch: str, request_json: str) -> None:
    """A child of a worker that stands by; sends what ``run`` says."""
    request = Request.model_validate_json(request_json)
    redirect_output(request.log)
    end_with_worker(connection)
    run(request, lambda message: tell_worker(connection, message))
    sys.stdout.flush()
    # Tearing TensorFlow down can hang; everything has been said.
    os._exit(0)


def prepare_main(connection: Connection, scratch: str, spec_json: str, cache: str, log: str) -> None:
    """A worker's first child, which decodes the study's data into this node's cache.

    Sends DecodeProgress while decoding, then Prepared or StudyRefused.
    """
    redirect_output(Path(log))

    def say(message: Any) -> None:
        tell_worker(connection, message)

    try:
        prepare_data(SearchSpec.model_validate_json(spec_json), Path(cache), say)
    except TunerError as error:
        say(refusal(error))
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        say(StudyRefused(kind="data", key="data", message=said, traceback=traceback.format_exc()))
    os._exit(0)


if __name__ == "__main__":
    main()
