"""The launcher behind `hydra/launcher=slurm`: submitit's tasks, without losing a sweep when one of them is lost."""

import contextlib
import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from clrbench.errors import ClrbenchError

LOOK_EVERY = 10.0
STARTS = 3


class SlurmLauncher(Launcher):
    """Submits the runs of a sweep as one job array and waits until each has returned.

    submitit's own launcher learns of a killed task from Slurm's accounting, which many clusters lack, up to ten minutes
    late, and then gives up all the others. This one asks the queue: a task that left it without a result is submitted
    again. Ctrl-C cancels the tasks; a lost connection to the machine that submitted them does not.
    """

    def __init__(self, **parameters: Any) -> None:
        self._parameters: dict[str, Any] = {
            key: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
            for key, value in parameters.items()
        }

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what the tasks need."""
        # Heavy, and an extra of the package: only for those who use it.
        from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher as Submitit

        self._task = Submitit(**self._parameters)
        self._task.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run `job_overrides`; what a task returned, or why it could not. Raises ClrbenchError where Slurm refuses them."""
        tasks = [
            (list(overrides), "hydra.sweep.dir", index, f"job_id_for_{index}", Singleton.get_state())
            for index, overrides in enumerate(job_overrides, initial_job_idx)
        ]
        executor, jobs = self._submitted(tasks)
        try:
            _wait(jobs, lambda index: executor.submit(self._task, *tasks[index]))
        except KeyboardInterrupt:
            subprocess.run(["scancel", *{job.job_id for job in jobs}], check=False)
            raise
        return [_returned(job) for job in jobs]

    def _submitted(self, tasks: Sequence[tuple[Any, ...]]) -> tuple[Any, list[Any]]:
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # submitit repeats there what it raises
                executor = self._executor()
                return executor, executor.map_array(self._task, *zip(*tasks, strict=True))
        except RuntimeError as error:
            reason = "; ".join(line.removeprefix("sbatch: error: ") for line in str(error).splitlines())
            remedy = "mend hydra.launcher.KEY=..., whose keys hydra/launcher=slurm --cfg hydra shows"
            raise ClrbenchError(f"Slurm takes no such jobs: {reason}: {remedy}") from None

    def _executor(self) -> Any:
        import submitit
        from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

        parameters = dict(self._parameters)
        executor = submitit.AutoExecutor(
            folder=parameters.pop("submitit_folder"),
            cluster="slurm",
            slurm_max_num_timeout=parameters.pop("max_num_timeout"),
        )
        everywhere = OmegaConf.structured(BaseQueueConf)
        executor.update_parameters(**{key if key in everywhere else f"slurm_{key}": value for key, value in parameters.items()})
        return executor


def _wait(jobs: list[Any], start_again: Callable[[int], Any]) -> None:
    """Return when every job has a result or was lost `STARTS` times; puts a new job in the place of a lost one."""
    starts = [1] * len(jobs)
    missing: set[str] = set()
    left = list(range(len(jobs)))
    looked = time.monotonic()
    while left := [index for index in left if not jobs[index].paths.result_pickle.exists()]:
        time.sleep(0.5)
        if time.monotonic() - looked < LOOK_EVERY:
            continue
        looked = time.monotonic()
        queued = _queued({jobs[index].job_id.partition("_")[0] for index in left})
        if queued is None:
            continue
        gone = {jobs[index].job_id for index in left} - queued
        # Twice, as a shared folder may show a result some seconds after its task has ended.
        for index in [index for index in left if jobs[index].job_id in gone & missing]:
            print(f"task {jobs[index].job_id} was lost; its log: {jobs[index].paths.stderr}", file=sys.stderr)
            if starts[index] < STARTS:
                starts[index] += 1
                jobs[index] = start_again(index)
            else:
                left.remove(index)
        missing = gone


def _queued(arrays: Iterable[str]) -> set[str] | None:
    """The ids of the tasks that wait or run; None where Slurm does not answer at present."""
    found: set[str] = set()
    for array in arrays:
        command = ["squeue", "--noheader", "--array", "--format=%i", f"--jobs={array}"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0 and "Invalid job id" not in answer.stderr:
            return None
        found.update(answer.stdout.split())
    return found


def _returned(job: Any) -> JobReturn:
    if not job.paths.result_pickle.exists():
        return _failed(f"lost {STARTS} times, by a kill or for want of memory; its log: {job.paths.stderr}")
    try:
        returned = job.results()[0]  # of several machines, the first one keeps the record
    except Exception as error:
        return _failed(str(error).strip().splitlines()[-1])
    assert isinstance(returned, JobReturn)
    return returned


def _failed(reason: str) -> JobReturn:
    returned = JobReturn(status=JobStatus.FAILED)
    returned.return_value = ClrbenchError(reason)
    return returned
