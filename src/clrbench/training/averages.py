"""What a run's weights have been so far, evaluated beside the last ones: means, and the ensemble of what cycle ends predict."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from clrbench.training.evaluation import METRIC
from clrbench.training.module import Classifier
from clrbench.training.weights import NewStatistics, standing_in

Metrics = Mapping[str, float]
CYCLE_ENDS, EMA, ENSEMBLE = "cycle_ends", "ema", "ensemble"


class Averages(pl.Callback):
    """Beside the last weights: `cycle_ends`, the mean of the weights at cycle ends so far (SWA, Izmailov et al.,
    arXiv:1803.05407); `ema`, an exponential mean of all, by `decay` a step; `ensemble`, the mean of what the weights at cycle
    ends predict (Huang et al., arXiv:1704.00109). Training is left alone to the last bit.

    points: the cycle ends, and the end of the budget, where all that there is by then is measured. predict: probabilities
    (n, classes) of the images that are evaluated, and their labels (n,). Batch-norm statistics of means are made anew.
    """

    def __init__(
        self,
        names: Collection[str],
        cycle_ends: Collection[int],
        decay: float,
        statistics: NewStatistics,
        evaluate: Callable[[], Metrics],
        predict: Callable[[], tuple[Tensor, Tensor]],
    ) -> None:
        self._names, self._cycle_ends, self._decay = names, frozenset(cycle_ends), decay
        self._statistics, self._evaluate, self._predict = statistics, evaluate, predict
        self._means: dict[str, AveragedModel] = {}
        self._summed: Tensor | None = None
        self._count, self._seconds = 0, 0.0
        self._loaded: dict[str, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make room for the means; go on with those of a checkpoint."""
        assert isinstance(pl_module, Classifier)
        made: dict[str, Any] = {CYCLE_ENDS: None, EMA: get_ema_multi_avg_fn(self._decay)}  # type: ignore[no-untyped-call]
        self._means = {name: AveragedModel(pl_module.net, multi_avg_fn=made[name]) for name in made if name in self._names}
        for name, state in self._loaded.items():
            self._means[name].load_state_dict(state)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the weights of this step into the means that want them."""
        assert isinstance(pl_module, Classifier)
        began = time.perf_counter()
        for name, mean in self._means.items():
            if name == EMA or trainer.global_step in self._cycle_ends:
                mean.update_parameters(pl_module.net)
        self._seconds += time.perf_counter() - began

    def measured(self, module: Classifier, is_end: bool) -> dict[str, float]:
        """The metrics of each average, with its name behind theirs; none but at a cycle's end and the end of the budget."""
        is_cycle_end = module.trainer.global_step in self._cycle_ends
        if not (is_cycle_end or is_end):
            return {}
        began = time.perf_counter()
        found = {name: self._of(mean, module) for name, mean in self._means.items() if mean.n_averaged > 0}
        if ENSEMBLE in self._names:
            found |= self._of_ensemble(is_cycle_end)
        self._seconds += time.perf_counter() - began
        return {f"{metric}_{name}": value for name, metrics in found.items() for metric, value in metrics.items()}

    def _of(self, mean: AveragedModel, module: Classifier) -> Metrics:
        with standing_in(module, mean.module):
            self._statistics(module)
            return self._evaluate()

    def _of_ensemble(self, is_cycle_end: bool) -> dict[str, Metrics]:
        # On the CPU, whence a checkpoint comes back, wherever training computes.
        probabilities, labels = (one.cpu() for one in self._predict())
        if is_cycle_end:
            self._summed = probabilities if self._summed is None else self._summed + probabilities
            self._count += 1
        if self._summed is None:
            return {}
        mean = self._summed / self._count
        accuracy = 100 * (mean.argmax(1) == labels).double().mean().item()
        loss = F.nll_loss(mean.clamp_min(torch.finfo(mean.dtype).tiny).log(), labels).item()
        return {ENSEMBLE: {"test_loss": loss, METRIC: round(accuracy, 4)}}

    @property
    def cost(self) -> str:
        """What the averages took beside training, in one line."""
        tensors = [*(tensor for mean in self._means.values() for tensor in mean.state_dict().values())]
        held = sum(tensor.nbytes for tensor in [*tensors, *([] if self._summed is None else [self._summed])])
        return f"averages: {', '.join(self._names)} took {self._seconds:.1f} s and {held / 2**20:.1f} MB beside the training"

    def state_dict(self) -> dict[str, Any]:
        """The means, and the sum of what cycle ends predict."""
        means = {name: mean.state_dict() for name, mean in self._means.items()}
        return {"means": means, "summed": self._summed, "count": self._count, "seconds": self._seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._loaded, self._summed = state_dict["means"], state_dict["summed"]
        self._count, self._seconds = state_dict["count"], state_dict["seconds"]
