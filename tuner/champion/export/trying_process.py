"""The process that exports the default model to nowhere.

``python -m tuner.champion.export.trying_process LOG``; ``messages`` has what it is asked and answers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.champion.child_process import Say, serve
from tuner.champion.messages import TO_TRYING, Tried, TryExport
from tuner.champion.records.champion_json import KERAS_MODEL, SAVED_MODEL
from tuner.champion.records.scorable import metric_of, why_not
from tuner.data.prepared import open_prepared
from tuner.processes.quick_imports import import_keras

if TYPE_CHECKING:
    from tuner.champion.model.loaded_model import LoadedExport


def work(questions: Iterator[TryExport], say: Say) -> None:
    """Answers the parent's one question, if it comes to that."""
    import_keras()
    for asked in questions:
        say(Tried(warnings=tuple(tried(asked))))


def tried(asked: TryExport) -> list[str]:
    """What an export lacks, a sentence each.

    Raises:
        ExportError or another Exception: there can be none.
    """
    from tuner.champion.model.kept.unregistered import unregistered
    from tuner.champion.model.loaded_model import LoadedExport
    from tuner.champion.model.saved_model import write_saved_model

    loaded = LoadedExport(asked.request, open_prepared(asked.data))
    with tempfile.TemporaryDirectory() as folder:
        write_saved_model(loaded.model, loaded.takes, loaded.served, Path(folder, SAVED_MODEL))
        left_out = loaded.kept.file.give_away(Path(folder, KERAS_MODEL))
    return [
        *unregistered(loaded.kept.file, left_out, loaded.kept.users),
        *_unverified(loaded),
        *_no_probabilities(loaded),
    ]


def _unverified(loaded: LoadedExport) -> list[str]:
    """Whether the objective is among what was lost."""
    import keras

    from tuner.champion.model.metrics import compiled_metrics, with_outputs
    from tuner.data.batches import inputs_of

    objective = loaded.request.spec.objective.metric
    reason = loaded.kept.without(objective)
    if not reason or why_not(objective) or loaded.subject.unscorable:
        return []
    batch = next(loaded.batches(2))
    outputs = keras.tree.flatten(loaded.model.predict_on_batch(inputs_of(batch)))
    batches = with_outputs([batch], outputs, loaded.served.structure)
    if metric_of(objective) in compiled_metrics(loaded.model, batches, loss=loaded.kept.computes_loss):
        return []
    return [f"{reason}: an export will say that the score is not verified"]


def _no_probabilities(loaded: LoadedExport) -> list[str]:
    meaning = loaded.served.meaning
    if meaning is None:
        return []
    given = meaning.probabilities(loaded.subject.output).numpy()
    if given.min() >= 0 and given.max() <= 1:
        return []
    return [
        "the model's outputs are not probabilities, so its trials' models cannot be exported: end it with a softmax or "
        "sigmoid, or compile it with a loss that has from_logits=True"
    ]


if __name__ == "__main__":
    serve(work, TO_TRYING)
