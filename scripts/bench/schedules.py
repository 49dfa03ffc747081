"""What to do with the learning rate in a short training: cosine decay, averages of weights, or no schedule at all.

The same network is trained in four ways, with the optimizer, the rate and the weight decay that its space has by
default: its rate warmed up for a tenth of the steps and decayed by a cosine; constant after an epoch of warm-up, with
and without a moving average of the weights of about an epoch; and by Keras's ScheduleFreeAdamW (Defazio et al.,
arXiv 2405.15682), whose paper has rates several times as large, so that three are tried. A training that may end at
any time, because a pruner or a deadline ends it, wants good values early: the table has those after a quarter and a
half of the epochs too.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
from champions_sets import SETS, divided
from champions_trial import Recompile, one_thread, train
from report import Report, say
from tiny_study import workplace

from search_spaces.base import compile_like

# Of each kind of data, a network that its space has.
_NETWORKS: dict[str, dict[str, Any]] = {
    "image": {},
    "text": {"family": "pooling", "embedding": 64, "dense_units": 64, "learning_rate": 3e-3, "batch_size": 32},
}


def main() -> None:
    options = _options()
    one_thread()
    report = Report("schedules", f"Networks trained for {options.epochs} epochs")
    with workplace() as folder:
        for name in options.sets:
            files = divided(SETS[name], options.data, folder / name)
            for seed in options.seeds:
                for way, recompile in _ways().items():
                    say(f"{name}, seed {seed}: {way} ...")
                    network, training = _NETWORKS[files.data.kind], {"epochs": options.epochs, "early_stopping": None}
                    trained = train(files, network, folder / "cache", seed, training=training, recompile=recompile)
                    say("  " + ", ".join(f"{value:.3f}" for value in trained.values))
                    report.add(
                        set=name,
                        seed=seed,
                        way=way,
                        quarter=max(trained.values[: options.epochs // 4]),
                        half=max(trained.values[: options.epochs // 2]),
                        best=trained.validation,
                        test=trained.test.value,
                        cpu_seconds=trained.seconds,
                    )
    report.publish(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of data sets")
    texts_and_images = [name for name, each in SETS.items() if each.kind in _NETWORKS]
    default = ["cifar10", "flowers", "tweet_irony"]
    parser.add_argument("--sets", nargs="+", choices=texts_and_images, default=default)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--json", type=Path, help="write the JSON to this file too")
    return parser.parse_args()


def _ways() -> dict[str, Recompile | None]:
    return {
        "cosine": None,
        "constant": partial(_constant, averaged=False),
        "constant, averaged": partial(_constant, averaged=True),
        "schedule-free": partial(_schedule_free, factor=1.0),
        "schedule-free, 3 x the rate": partial(_schedule_free, factor=3.0),
    }


def _constant(network: keras.Model, steps: int, *, averaged: bool) -> Sequence[keras.callbacks.Callback]:
    highest, decay = _of(network)
    rate = keras.optimizers.schedules.PolynomialDecay(highest / steps, steps, end_learning_rate=highest)
    average = {"use_ema": True, "ema_momentum": 1 - 1 / steps} if averaged else {}
    _compile(network, keras.optimizers.AdamW(rate, weight_decay=decay, **average))
    return [keras.callbacks.SwapEMAWeights()] if averaged else []


def _schedule_free(network: keras.Model, steps: int, *, factor: float) -> Sequence[keras.callbacks.Callback]:
    highest, decay = _of(network)
    _compile(network, keras.optimizers.ScheduleFreeAdamW(factor * highest, warmup_steps=steps, weight_decay=decay))
    return []


def _of(network: keras.Model) -> tuple[float, float]:
    """The highest rate of the network's schedule, and its weight decay."""
    optimizer = network.optimizer
    return float(optimizer.get_config()["learning_rate"]["config"]["warmup_target"]), float(optimizer.weight_decay)


def _compile(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    compile_like(network, network, optimizer=optimizer)


if __name__ == "__main__":
    main()
