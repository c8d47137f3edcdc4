"""From overrides to cells: the one place where the configurations of a sweep are composed, once an arm."""

import dataclasses
import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from clrbench.complaints import Compose, in_one_line
from clrbench.config import Config, Data, PathNames, checked
from clrbench.data.load import load
from clrbench.errors import ClrbenchError, worded
from clrbench.policies import check_policy
from clrbench.range_test.measuring import Find, with_measured_bounds, with_ramp_bounds
from clrbench.spec import RunSpec, Spec, resolve
from clrbench.store import Record, run_folder
from clrbench.sweep.branches import branched, saved
from clrbench.sweep.cells import Cell, shared_task, split_seed
from clrbench.sweep.invalid import invalid_record
from clrbench.sweep.job import Job
from clrbench.sweep.ramps import NotMeasuredError, look_up
from clrbench.sweep.screening import with_screened_bounds

_RATE = re.compile(r"(bounds\.(?:base_lr|max_lr))=(\d+(?:\.\d+)?(?:e-?\d+)?)")
_MADE_OF_SEED = re.compile(r"\$\{[^}]*seed")


class Planner:
    """Finds the cells of overrides; `find_bounds` carries out the range test of those that leave their bounds to it.
    options: what was typed beside overrides, for the records. branch: train once what runs of several budgets begin with.

    Composing takes a tenth of a second. So the cells that differ in seed and rates alone are composed once; bounds, lengths
    and seed are bound afterwards.
    """

    def __init__(
        self,
        compose: Compose,
        paths: PathNames,
        say: Callable[[str], None],
        experiment: str = "adhoc",
        find_bounds: Find = look_up,
        options: Sequence[str] = (),
        branch: bool = False,
    ) -> None:
        self._compose, self._paths, self._say, self._experiment = compose, paths, say, experiment
        self._find_bounds, self._options, self._branch = find_bounds, options, branch
        self._said: set[str] = set()
        self._specs: dict[tuple[str, ...], Spec] = {}
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        self._range_tests: dict[str, Cell] = {}
        self._load = cache(lambda section: load(Data(**json.loads(section)), paths, self._say_once))

    def cells(self, all_overrides: Sequence[Sequence[str]]) -> list[Cell]:
        """The cell of each set of overrides; one that cannot be run has the reason in `error`."""
        made = [self._cell(tuple(overrides)) for overrides in all_overrides]
        shared = shared_task(all_overrides)
        cells = [dataclasses.replace(cell, shared=shared) for cell, _ in made]
        if self._branch:
            cells = branched(cells, [spec if isinstance(spec, RunSpec) else None for _, spec in made])
            if line := saved(cells):
                self._say_once(line)
        return cells

    @property
    def range_tests(self) -> list[Cell]:
        """The scans and ramps that are left before the bounds of the cells are known, where nothing may be started."""
        return list(self._range_tests.values())

    def _cell(self, overrides: tuple[str, ...]) -> tuple[Cell, Spec | None]:
        try:
            spec = self.spec(overrides)
        except (HydraException, OmegaConfBaseException) as error:  # some of which are an OSError too
            return self._invalid(overrides, in_one_line(error, overrides, self._compose)), None
        except (ClrbenchError, OSError) as error:
            return self._invalid(overrides, worded(error)), None
        cell = self._cell_of(spec, overrides)
        if warning := spec.changed_text(cell.record):
            self._say_once(warning)
        return cell, spec

    def _cell_of(self, spec: Spec, overrides: tuple[str, ...]) -> Cell:
        config, folder = spec.config, (spec.config.experiment, spec.name)
        return Cell(
            overrides,
            invalid_record(Path(self._paths.results), config.experiment, overrides),
            Record(run_folder(Path(self._paths.results), *folder)),
            run_folder(Path(self._paths.outputs), *folder),
            spec.step_id,
            spec.iterations,
            task=(config.data.name, config.model.name),
            job=Job(config, [*self._options, *overrides], spec.run_id),
        )

    def _invalid(self, overrides: tuple[str, ...], reason: str) -> Cell:
        chosen = [text.partition("=")[2] for text in overrides if text.startswith("experiment=")]
        # A name with more than one part might lead out of the folder of all records.
        experiment = chosen[-1] if chosen and Path(chosen[-1]).name == chosen[-1] else self._experiment
        return Cell(overrides, invalid_record(Path(self._paths.results), experiment, overrides), error=reason)

    def spec(self, overrides: tuple[str, ...]) -> Spec:
        """The run of these overrides; composed anew for each seed only where a value is made of it.

        Raises ClrbenchError, or an error of Hydra's, for what cannot be run.
        """
        others, seed = split_seed(overrides)
        if seed is not None and others in self._specs:
            known = self._specs[others]
            return dataclasses.replace(known, config=dataclasses.replace(known.config, seed=seed))
        composed = self._with_rates(overrides)
        is_of_seed = _MADE_OF_SEED.search(str(OmegaConf.to_container(composed)))
        composed = with_screened_bounds(composed, self._resolved, self._say_once)
        config = checked(self._bound(composed))
        check_policy(config)
        spec = self._resolved(config)
        for line in spec.warnings:
            self._say_once(line)
        if not is_of_seed:
            self._specs[others] = spec
        return spec

    def _with_rates(self, overrides: tuple[str, ...]) -> DictConfig:
        """What the overrides compose, whose rates are set in what the others compose."""
        rates = {match[1]: float(match[2]) for text in overrides if (match := _RATE.fullmatch(text))}
        others = tuple(text for text in overrides if not _RATE.fullmatch(text))
        if others not in self._composed:
            self._composed[others] = self._compose(others)
        composed = self._composed[others].copy()
        for key, rate in rates.items():
            OmegaConf.update(composed, key, rate)
        return composed

    def _bound(self, composed: DictConfig) -> DictConfig:
        """With the bounds of its range test; with those of its ramp, for the time being, where that is left to do."""
        try:
            return with_measured_bounds(composed, self._find_bounds, self._say_once)
        except NotMeasuredError as error:
            self._say_once(f"{error}; a ramp that is best at one of its ends is laid anew, twice at most")
            for spec in map(self._resolved, error.left):
                label = (f"range test: {spec.label}", f"seed={spec.config.seed}")
                self._range_tests.setdefault(spec.name, self._cell_of(spec, label))
            return with_ramp_bounds(composed)

    def _resolved(self, config: Config) -> Spec:
        if config.task.is_own:
            from clrbench.tasks.own_spec import resolve_own  # takes Lightning, which the driver else does not need

            return resolve_own(config)
        return resolve(config, self._load(json.dumps(dataclasses.asdict(config.data), sort_keys=True)))

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)
