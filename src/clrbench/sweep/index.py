"""From overrides to cells, remembered: composing a configuration costs a tenth of a second, and sweeps have thousands."""

import contextlib
import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

import clrbench
from clrbench.complaints import Compose, in_one_line
from clrbench.config import Config, Data, PathNames, checked
from clrbench.data.load import cache_key, load
from clrbench.data.sources import fingerprint
from clrbench.errors import ClrbenchError
from clrbench.files import write_text
from clrbench.policies import check_policy
from clrbench.range_test.carry import look_up
from clrbench.range_test.measure import Find, with_measured_bounds
from clrbench.spec import resolve
from clrbench.store import Record, run_folder
from clrbench.sweep.cells import Cell
from clrbench.sweep.invalid import invalid_record
from clrbench.sweep.loader import split_seed

_MADE_OF_SEED = re.compile(r"\$\{[^}]*seed")
PACKAGE = Path(clrbench.__file__).parent


class CellIndex:
    """Finds the cells of overrides; `find_bounds` carries out the range test of those that leave their bounds to it.

    What it has composed once it reads from a file, as long as neither code nor data nor the files in `confs` have changed.
    """

    def __init__(
        self,
        compose: Compose,
        paths: PathNames,
        confs: Sequence[Path],
        say: Callable[[str], None],
        experiment: str = "adhoc",
        find_bounds: Find = look_up,
    ) -> None:
        self._compose, self._paths, self._say, self._experiment = compose, paths, say, experiment
        self._find_bounds = find_bounds
        self._file = Path(paths.outputs) / "cache" / f"cells-{fingerprint([*confs, PACKAGE])}.json"
        self._warnings: set[str] = set()
        self._known: dict[str, dict[str, Any]] = _read(self._file)
        self._configs: dict[tuple[str, ...], Config] = {}
        self._key_of_data = cache(lambda section: cache_key(Data(**json.loads(section)), paths))
        self._load = cache(lambda section: load(Data(**json.loads(section)), paths, lambda _: None))

    def cells(self, all_overrides: Sequence[Sequence[str]]) -> list[Cell]:
        """The cell of each set of overrides; one that cannot be run has the reason in `error`."""
        before = len(self._known)
        cells = [self._cell(tuple(overrides)) for overrides in all_overrides]
        if len(self._known) != before:
            with contextlib.suppress(OSError):  # the next sweep composes anew, and that is all
                write_text(self._file, json.dumps(self._known))
        return cells

    def _cell(self, overrides: tuple[str, ...]) -> Cell:
        try:
            known = self._find(overrides)
        except (ClrbenchError, OSError) as error:
            return self._invalid(overrides, " ".join(str(error).split()))
        except (HydraException, OmegaConfBaseException) as error:
            return self._invalid(overrides, in_one_line(error, overrides, self._compose))
        folder = (known["experiment"], known["name"])
        return Cell(
            overrides,
            invalid_record(Path(self._paths.results), known["experiment"], overrides),
            Record(run_folder(Path(self._paths.results), *folder)),
            run_folder(Path(self._paths.outputs), *folder),
            known["step_id"],
            known["iterations"],
            task=(known["task"][0], known["task"][1]),
        )

    def _invalid(self, overrides: tuple[str, ...], reason: str) -> Cell:
        chosen = [text.partition("=")[2] for text in overrides if text.startswith("experiment=")]
        # A name with more than one part might lead out of the folder of all records.
        experiment = chosen[-1] if chosen and Path(chosen[-1]).name == chosen[-1] else self._experiment
        return Cell(overrides, invalid_record(Path(self._paths.results), experiment, overrides), error=reason)

    def _find(self, overrides: tuple[str, ...]) -> dict[str, Any]:
        key = hashlib.sha256(json.dumps(overrides).encode()).hexdigest()
        known = self._known.get(key)
        if known is None or self._key_of_data(known["data"]) != known["data_key"]:
            known = self._known[key] = self._described(overrides)
        for note in known["notes"]:
            self._say_once(note)
        return known

    def _config(self, overrides: tuple[str, ...]) -> Config:
        """Of cells that differ in the seed alone one is composed, unless a value is made of the seed."""
        others, seed = split_seed(overrides)
        if seed is not None and others in self._configs:
            return dataclasses.replace(self._configs[others], seed=seed)
        composed = self._compose(overrides)
        is_of_seed = _MADE_OF_SEED.search(str(OmegaConf.to_container(composed)))
        config = checked(with_measured_bounds(composed, self._find_bounds, self._say_once))
        check_policy(config)
        if not is_of_seed:
            self._configs[others] = config
        return config

    def _described(self, overrides: tuple[str, ...]) -> dict[str, Any]:
        config = self._config(overrides)
        data = json.dumps(dataclasses.asdict(config.data), sort_keys=True)
        loaded = self._load(data)
        spec = resolve(config, loaded)
        if spec.warning:
            self._say_once(spec.warning)
        return {
            "experiment": config.experiment,
            "name": spec.name,
            "step_id": spec.step_id,
            "iterations": spec.iterations,
            "task": [config.data.name, config.model.name],
            "data": data,
            "data_key": self._key_of_data(data),
            "notes": list(loaded.notes),
        }

    def _say_once(self, warning: str) -> None:
        if warning not in self._warnings:
            self._warnings.add(warning)
            self._say(warning)


def _read(file: Path) -> dict[str, dict[str, Any]]:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
