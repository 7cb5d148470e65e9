"""The configs of a sweep, composed once for each choice of groups instead of once a job.

Hydra reads, parses and merges a dozen files for every job, a tenth of a second each. Jobs that choose the same files
differ only in values (seed=3, optimizer.lr=0.1), which are set in a copy. Jobs that differ only in their seeds also
share the plain config.
"""

import copy
import pickle
import re
import shlex
from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from initbench.config.paths import expand
from initbench.config.resolve import resolve
from initbench.config.typed import forced
from initbench.masking import hide_all
from initbench.record.plain import PlainConfig

_SEED = re.compile("seed=(0|[1-9][0-9]*)")
# Interpolations that have the same value whatever the seed is: of a variable of the shell, or of a key without "seed".
# What Hydra knows of a job, ${hydra.overrides...}, has the seed in it.
_WITHOUT_SEED = re.compile(r"\$\{(?:oc\.env:[^${}]*|(?![^}]*(?:seed|hydra))\.*\w[\w.]*)\}")


class _ReadOnce(ConfigRepository):
    """The files of a search path, each of which is read and parsed once.

    Hydra makes a deep copy of the repository for each composition: all copies share what has been read.
    """

    def __init__(self, search_path: ConfigSearchPath) -> None:
        self._read: dict[tuple[str, ...], bytes] = {}  # pickled, as a composition changes what it has loaded
        super().__init__(search_path)

    def __deepcopy__(self, memo: object) -> "_ReadOnce":
        return copy.copy(self)

    def load_config(self, config_path: str) -> ConfigResult | None:
        key = (config_path, *(source.path for source in self.sources))
        if key not in self._read:
            self._read[key] = pickle.dumps(super().load_config(config_path))
        result: ConfigResult | None = pickle.loads(self._read[key])
        return result


class CachingConfigLoader(ConfigLoaderImpl):
    """Hydra's own loader of configs, whose `load_sweep_config` remembers what it has composed."""

    def __init__(self, loader: ConfigLoader, searchpath: Sequence[str] = ()) -> None:
        """`searchpath`: what `hydra.searchpath` adds for each job."""
        super().__init__(loader.get_search_path())
        self.repository = _ReadOnce(loader.get_search_path())
        self.whole_search_path = copy.deepcopy(loader.get_search_path())
        for folder in searchpath:
            self.whole_search_path.append("hydra.searchpath", folder)
        self._groups = ConfigRepository(self.whole_search_path)
        self._composed: dict[tuple[str, ...], bytes] = {}  # pickled: copies are made faster so than by copy.deepcopy
        self._parsed: dict[str, Override] = {}  # by their lines, most of which all jobs have
        self._resolved: dict[tuple[str, ...], bytes] = {}  # with the words of the command
        self.planned: dict[str, Any] = {}  # what `sweep.plan` knows of the jobs

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """The config of one job, equal to what Hydra composes for it."""
        overrides = [self._parse(line) for line in sweep_overrides]
        choices = tuple(filter(self._chooses, sweep_overrides))
        if choices not in self._composed:
            self._composed[choices] = pickle.dumps(super().load_sweep_config(master_config, list(choices)))
        config: DictConfig = pickle.loads(self._composed[choices])
        groups = {self._parse(line).key_or_group for line in choices}
        for override in overrides:
            if override.input_line not in choices:
                self._set(config, override, is_chosen=override.key_or_group.partition(".")[0] in groups)
        if isinstance(config.get("runs_dir"), str):
            config.runs_dir = expand(config.runs_dir)  # hydra.sweep.dir, which Hydra makes for each job, is below it
        own = [override for override in overrides if not override.is_hydra_override()]
        config.hydra.overrides.task = [override.input_line for override in own]
        pattern = config.hydra.job.config.override_dirname
        secret = [override.key_or_group for override in own if hide_all([line := override.input_line or ""]) != [line]]
        config.hydra.job.override_dirname = get_overrides_dirname(
            overrides=own,
            kv_sep=pattern.kv_sep,
            item_sep=pattern.item_sep,
            exclude_keys=[*pattern.exclude_keys, *secret],
        )
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config

    def resolved(self, master_config: DictConfig, overrides: Sequence[str]) -> PlainConfig:
        """The plain config of one job (`initbench.config.resolve`): to plan it and to pack it is to ask twice.

        Raises ValueError for ${hydra:...} in it: a run is known by its config, before Hydra has made a job of it.
        """
        job = tuple(overrides)
        of_seed = [line for line in job if line.lstrip("+~").partition("=")[0] == "seed"]
        is_usual = len(of_seed) == 1 and _SEED.fullmatch(of_seed[0])
        alike = tuple("" if line in of_seed else line for line in job) if is_usual else job
        key = next((key for key in (alike, job) if key in self._resolved), None)
        if key is None:
            config = self.load_sweep_config(master_config, list(job))
            plain = resolve(config, config.hydra)
            key = alike if _is_seed_free(config) else job
            self._resolved[key] = pickle.dumps((plain, shlex.split(plain["command"])))
        resolved: PlainConfig
        resolved, words = pickle.loads(self._resolved[key])
        if key != job:  # any seed's
            resolved["seed"] = int(of_seed[0].removeprefix("seed="))
            place = max(place for place, word in enumerate(words) if _SEED.fullmatch(word))
            resolved["command"] = shlex.join([*words[:place], of_seed[0], *words[place + 1 :]])
        return resolved

    def check_forced(self, master_config: DictConfig, jobs: Sequence[Sequence[str]]) -> None:
        """Raise Hydra's error where a key that was added to compose the sweep (`forced`) belongs to no job of it."""
        for key in forced:
            typed = [[line for line in job if self._chooses(line) or line.startswith(f"++{key}=")] for job in jobs]
            refusals = []
            for job in dict.fromkeys(tuple(line.removeprefix("++") for line in job) for job in typed):
                try:
                    super().load_sweep_config(master_config, list(job))
                except ConfigCompositionException as error:
                    refusals.append(error)
                else:
                    break
            else:
                raise refusals[0]

    def __getstate__(self) -> dict[str, object]:
        # Sent to the workers of a cluster, which remember for themselves.
        return {**self.__dict__, "_composed": {}, "_parsed": {}, "_resolved": {}, "planned": {}}

    def _parse(self, line: str) -> Override:
        if line not in self._parsed:
            (self._parsed[line],) = OverridesParser.create(config_loader=self).parse_overrides([line])
        return self._parsed[line]

    def _set(self, config: DictConfig, override: Override, *, is_chosen: bool) -> None:
        """Set a value. Where the option that a job has chosen lacks the key, it is added: that run alone is refused."""
        try:
            self._apply_overrides_to_config([override], config)
        except ConfigCompositionException as error:
            if not (is_chosen and isinstance(error.__cause__, ConfigAttributeError | ConfigKeyError)):
                raise
            self._apply_overrides_to_config([self._parse(f"++{override.input_line}")], config)

    def _chooses(self, line: str) -> bool:
        """Whether an override decides which files are composed, and not only a value in them."""
        override = self._parse(line)
        is_group = override.is_hydra_override() or self._groups.group_exists(override.key_or_group)
        return override.package is not None or is_group


def _is_seed_free(config: DictConfig) -> bool:
    """Whether no value of a config but its seed depends on the seed."""
    parts: Any = OmegaConf.to_container(config, resolve=False)
    return "${" not in _WITHOUT_SEED.sub("", str({key: part for key, part in parts.items() if key != "hydra"}))


def job_config(loader: ConfigLoader, master_config: DictConfig, overrides: Sequence[str], number: int) -> DictConfig:
    """The config of one job, with its number in the sweep, as Hydra's launchers make it."""
    config = loader.load_sweep_config(master_config, list(overrides))
    with open_dict(config):
        config.hydra.job.id = config.hydra.job.num = number
    return config


def resolved_config(loader: ConfigLoader, master_config: DictConfig, overrides: Sequence[str]) -> PlainConfig:
    """The plain config of one job, whichever sweeper asks for it."""
    if isinstance(loader, CachingConfigLoader):  # as it was planned
        return loader.resolved(master_config, overrides)
    config = loader.load_sweep_config(master_config, list(overrides))
    HydraConfig.instance().set_config(config)  # for ${hydra:...}
    return resolve(config, config.hydra)
