"""The launcher behind `hydra/launcher=joblib`: Hydra's own, whose workers end with their driver."""

from typing import Any

from hydra_plugins.hydra_joblib_launcher.config import JobLibLauncherConf
from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher

from clrbench.orphans import end_with_parent

# The launcher's settings are those of Hydra's own; only the class is another.
SETTINGS = JobLibLauncherConf(_target_=f"{__name__}.WorkersLauncher")


class WorkersLauncher(JoblibLauncher):  # type: ignore[misc]
    """Runs cells in processes that watch their driver from before their first task on.

    A worker of joblib that waits for its first task outlives a killed driver for ever, with two processes that track
    resources for it.
    """

    def __init__(self, **settings: Any) -> None:
        # joblib hands what it does not know to the executor of its workers, which calls it in each of them first.
        super().__init__(**settings, initializer=end_with_parent)
