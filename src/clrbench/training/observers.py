"""What looks at a run while it trains: its evaluations, of the last weights and of averages."""

from functools import partial
from pathlib import Path

from clrbench.spec import RunSpec
from clrbench.training.averages import Averages
from clrbench.training.evaluation import evaluate, probabilities
from clrbench.training.feed import evaluation_batches
from clrbench.training.module import Classifier
from clrbench.training.recorder import OnEvaluation, Recorder
from clrbench.training.weights import Modes, new_statistics


def observers(
    spec: RunSpec, module: Classifier, checkpoint: Path, on_evaluation: OnEvaluation
) -> tuple[Modes, Averages, Recorder]:
    """What looks at a run, in the order in which each has its turn behind a step; the recorder comes last."""
    images, statistics = evaluation_batches(spec), partial(new_statistics, spec)
    last = partial(evaluate, module, images, spec.data.images.classes)
    modes = Modes(statistics)
    averages = Averages(
        spec.config.averages,
        spec.schedule.cycle_ends(spec.iterations),
        1 - 1 / max(1.0, spec.config.ema_epochs * spec.iterations_per_epoch),
        statistics,
        last,
        partial(probabilities, module, images),
    )

    def all_metrics() -> dict[str, float]:
        with modes.evaluating(module):
            found = last()
        return {**found, **averages.measured(module, module.trainer.global_step == spec.iterations)}

    recorder = Recorder(
        points=spec.evaluation_points,
        iterations_per_epoch=spec.iterations_per_epoch,
        rate=lambda iteration: float(spec.schedule(iteration)),
        evaluate=all_metrics,
        on_evaluation=on_evaluation,
        checkpoint=checkpoint,
        loss_limit=spec.config.trainer.loss_limit,
    )
    return modes, averages, recorder
