"""Which jobs of a sweep could be trained together, and how they will be, as far as no worker has to be asked."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig

from initbench.config.resolve import resolve
from initbench.console import console
from initbench.errors import UserMistake
from initbench.packed import files, speed
from initbench.packed.plan import Config, kind, obstacle
from initbench.record.store import Store
from initbench.sweep.compose import CachingConfigLoader
from initbench.sweep.job import packable

if TYPE_CHECKING:
    from hydra_plugins.packed_launcher.launcher import PackedLauncher


class Kinds:
    """Jobs, by their places among `job_overrides`, sorted.

    Raises UserMistake where the whole sweep cannot be what its user wants.
    """

    def __init__(
        self, launcher: "PackedLauncher", job_overrides: Sequence[Sequence[str]], initial_job_idx: int = 0
    ) -> None:
        self.launcher, self.initial = launcher, initial_job_idx
        self.places: dict[str, int] = {}  # of runs, by their folders' names
        self.again: dict[int, int] = {}  # jobs that are the same runs as earlier ones
        self.configs: dict[int, Config] = {}
        self.errors: dict[int, Exception] = {}  # of jobs that no config comes of
        self.packable: dict[str, list[Config]] = defaultdict(list)  # by kind
        self.alone: list[int] = []
        self.reasons: Counter[str] = Counter()
        for place, overrides in enumerate(job_overrides):
            self._sort(place, overrides)

    def alone_lines(self) -> Iterator[str]:
        return (alone_line(*of) for of in self.reasons.items())

    def _sort(self, place: int, overrides: Sequence[str]) -> None:
        try:
            config = self._resolved(place, overrides)
            is_packable = packable(config, overrides, self.launcher.config.hydra.sweeper)
        except UserMistake:  # of all
            raise
        except Exception as error:  # this job's failure, no more
            self.errors[place] = error
            return
        if not is_packable:  # it speaks for itself
            self.alone.append(place)
            return
        first = self.places.setdefault(Store(config).folder.name, place)
        if first != place:
            self.again[place] = first
            return
        self.configs[place] = config
        reason, of_kind = _obstacle_and_kind(config)
        if reason is None:
            self.packable[of_kind].append(config)
        else:
            self.alone.append(place)
            self.reasons[reason] += 1

    def _resolved(self, place: int, overrides: Sequence[str]) -> Config:
        loader = self.launcher.hydra_context.config_loader
        if isinstance(loader, CachingConfigLoader):  # as it was planned
            return loader.resolved(self.launcher.config, overrides)
        config = self.launcher.compose(overrides, self.initial + place)
        HydraConfig.instance().set_config(config)
        return resolve(config, config.hydra)


def tell(lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def forecast(launcher: "PackedLauncher", job_overrides: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines that a launch would begin with."""
    kinds = Kinds(launcher, job_overrides)
    for configs in kinds.packable.values():
        pace = known_pace(launcher, configs)
        if pace is None:
            yield f"{_what(configs)}, in packs if that is faster, which is measured first"
        elif pace["replicas"]:
            yield packs_line(decided(launcher, configs, pace), pace["why"])
        else:
            yield alone_line(pace["why"], len(configs))
    yield from kinds.alone_lines()


def known_pace(launcher: "PackedLauncher", configs: list[Config]) -> dict[str, Any] | None:
    """`replicas`, at most so many in a pack, 0 where each goes by itself, and `why`; None where it must be measured."""
    slots = len(launcher.environments)
    if not launcher.measure:
        return {"replicas": launcher.replicas, "why": ""}
    if len(configs) <= slots and not files.under_way(configs, launcher.replicas, slots):
        return {"replicas": 0, "why": "no more than this machine runs at once"}
    return speed.remembered().get(family(launcher, configs))


def family(launcher: "PackedLauncher", configs: list[Config]) -> str:
    return speed.family(configs[0], launcher.environments[0])


def decided(launcher: "PackedLauncher", configs: list[Config], pace: dict[str, Any]) -> list[list[Config]]:
    return files.decide(configs, min(pace["replicas"], launcher.replicas), len(launcher.environments))


def packs_line(packs: Sequence[Sequence[Config]], why: str) -> str:
    sizes = "+".join(str(len(pack)) for pack in packs)
    return f"{_what([config for pack in packs for config in pack])}, in packs of {sizes}" + (f" ({why})" if why else "")


def alone_line(why: str, number: int) -> str:
    words = "1 run by itself" if number == 1 else f"{number} runs by themselves"
    return f"{words}: {why}"


def _what(configs: Sequence[Config]) -> str:
    return f"{configs[0]['model']['name']} on {configs[0]['data']['name']}: {len(configs)} runs"


def _obstacle_and_kind(config: Config) -> tuple[str | None, str]:
    try:
        return obstacle(config), kind(config)
    except Exception as error:  # of a config that lacks what others have: by itself the run says what comes of that
        return f"{type(error).__name__}: {error}", ""
