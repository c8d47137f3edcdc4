"""How much the benchmark measures."""

from dataclasses import dataclass

BATCH_SIZE = 100
CLASSES = 10
# A training is a block to warm up, three that are measured, and one that keeps the machine as busy as before to their end.
BLOCKS = 5


@dataclass(frozen=True)
class Sizes:
    """The defaults make the published figures; smaller ones show that the benchmark works."""

    repetitions: int = 5
    step_block: int = 10  # steps of cifar10_full
    loop_block: int = 2000  # steps of the linear model; W&B has begun before the first block ends
    callback_steps: int = 2000
    task_steps: int = 400  # of a small transformer
    evaluated_images: int = 10_000
    stored_runs: tuple[int, ...] = (200, 2000)  # multiples of the arms that bench/store.py has
    short_iterations: int = 1280  # of digits, two seconds; 32 evaluations
    quick_scale: float = 1.0  # of what `make sweep` carries out
    sweeps: int = 2
    swept_runs: int = 16
    swept_iterations: int = 2560
    long_sweep: int = 100  # runs, a multiple of the policies of bench/sweep.py
    peer_repetitions: int = 3  # a process for each of two dozen entries: minutes
    peer_images: int = 50_000  # as many as CIFAR-10's; a multiple of the batches of peer_loop_block
    peer_loop_block: int = 500  # steps of the linear model: an epoch
    product_block: int = 2  # products of matrices
