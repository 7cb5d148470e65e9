"""What the workers are given, one after the other, and what becomes of it: measurements, packs, single runs."""

import pickle
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus

from hydra_plugins.local_launcher.launcher import failed, outcome
from initbench.console import console, errors
from initbench.packed import files, messages, speed
from initbench.packed.plan import Config
from initbench.packed.sorting import Kinds, alone_line, decided, family, known_pace, packs_line, tell
from initbench.record.signature import digest
from initbench.record.store import Store, now
from initbench.sweep.job import objective
from initbench.workers.slots import sharing

if TYPE_CHECKING:
    from hydra_plugins.packed_launcher.launcher import PackedLauncher


@dataclass
class Item:
    """`message` for a worker, and what is done with its answer."""

    message: Callable[[], bytes]
    then: Callable[[JobReturn, bool], None]  # bool: whether the worker died of it


class Queue(Iterator[tuple[int, bytes]]):
    """An iterator over jobs for `Pool.run`, to which answers may add."""

    def __init__(
        self, launcher: "PackedLauncher", job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> None:
        self.launcher, self.job_overrides, self.initial = launcher, job_overrides, initial_job_idx
        self.kinds = Kinds(launcher, job_overrides, initial_job_idx)
        self.answers: dict[int, JobReturn] = {place: failed(error) for place, error in self.kinds.errors.items()}
        self.waiting: deque[Item] = deque()
        self.out: dict[int, Item] = {}
        self.sent = 0
        self._clear_packs()
        for configs in self.kinds.packable.values():
            self._add_kind(configs)
        tell(self.kinds.alone_lines())
        self.waiting.extend(map(self._single, self.kinds.alone))

    def __next__(self) -> tuple[int, bytes]:
        while self.waiting:
            item = self.waiting.popleft()
            try:
                message = item.message()
            except Exception as error:  # of composing
                item.then(failed(error), False)
                continue
            self.sent += 1
            self.out[self.sent] = item
            return self.sent, message
        raise StopIteration

    def take(self, number: int, reply: bytes | int) -> None:
        self.out.pop(number).then(outcome(reply), isinstance(reply, int))

    def returns(self) -> list[JobReturn]:
        self._clear_packs()
        for place, first in self.kinds.again.items():
            self.answers[place] = replace(self.answers[first], overrides=None)
        for place, answer in self.answers.items():
            answer.overrides = answer.overrides or list(self.job_overrides[place])
        return [self.answers[place] for place in range(len(self.job_overrides))]

    def _clear_packs(self) -> None:
        for study in {folder.parent for folder in _folders(list(self.kinds.configs.values()))}:
            files.clear(study)

    def _add_kind(self, configs: list[Config]) -> None:
        pace = known_pace(self.launcher, configs)
        if pace is not None:
            self._decide(configs, pace)
            return
        slots = len(self.launcher.environments)
        answers: list[JobReturn] = []

        def then(answer: JobReturn, died: bool) -> None:
            answers.append(answer)
            if len(answers) < slots:
                return
            if failures := [answer._return_value for answer in answers if answer.status is JobStatus.FAILED]:
                self._add_singles(configs, f"what they take in a pack cannot be measured: {failures[0]}".split("\n")[0])
                return
            pace = speed.choose([answer.return_value for answer in answers])
            speed.remember(family(self.launcher, configs), pace)
            self._decide(configs, pace)

        # All slots measure at once, as all will train at once: they share caches and memory.
        of_each_initializer = {digest(config["init"]): config for config in reversed(configs)}
        argument = list(of_each_initializer.values())[::-1], sharing(self.launcher.environments)
        item = Item(lambda: pickle.dumps((messages.measure, argument)), then)
        self.waiting.extend([item] * slots)

    def _decide(self, configs: list[Config], pace: dict[str, Any]) -> None:
        if not pace["replicas"]:
            self._add_singles(configs, pace["why"])
            return
        packs = decided(self.launcher, configs, pace)
        for pack in packs:
            if len(pack) > 1:
                files.write(_folders(pack), len(self.launcher.environments))
        tell([packs_line(packs, pace["why"])])
        self.waiting.extend(map(self._together, packs))

    def _add_singles(self, configs: list[Config], why: str) -> None:
        tell([alone_line(why, len(configs))])
        self.waiting.extend(self._single(self._place(config)) for config in configs)

    def _together(self, configs: list[Config]) -> Item:
        return self._pack(configs) if len(configs) > 1 else self._single(self._place(configs[0]))

    def _pack(self, configs: list[Config], deaths: int = 0) -> Item:
        def then(answer: JobReturn, died: bool) -> None:
            if died and deaths == 0:  # whoever killed it: it goes on from its checkpoint
                console.print(f"a process with {len(configs)} runs died: once more", soft_wrap=True)
                self.waiting.appendleft(self._pack(configs, deaths + 1))
            elif died:  # of too little memory, it may be
                console.print("and again: once more, with half as many", soft_wrap=True)
                halves = configs[: len(configs) // 2], configs[len(configs) // 2 :]
                files.split(_folders(configs), [_folders(half) for half in halves])
                self.waiting.extendleft(map(self._together, reversed(halves)))
            elif answer.status is JobStatus.FAILED:  # by itself a run says all of it, in its own record
                self._add_singles(
                    configs, f"{type(answer._return_value).__name__}: {answer._return_value}".split("\n")[0]
                )
            else:
                self._end(configs, answer.return_value)

        return Item(lambda: pickle.dumps((messages.train, configs)), then)

    def _end(self, configs: list[Config], outcome: messages.Outcome) -> None:
        for line in outcome.said:
            errors.print(line, markup=False, soft_wrap=True)
        tell(alone_line(*of) for of in Counter(outcome.alone.values()).items())
        for config in configs:
            name = Store(config).folder.name
            if name in outcome.records:
                value = objective(outcome.records[name], config["objective"])
                self.answers[self.kinds.places[name]] = JobReturn(status=JobStatus.COMPLETED, _return_value=value)
            else:
                self.waiting.append(self._single(self.kinds.places[name]))

    def _single(self, place: int) -> Item:
        def message() -> bytes:
            config = self.launcher.compose(self.job_overrides[place], self.initial + place)
            return pickle.dumps((None, config))

        def then(answer: JobReturn, died: bool) -> None:
            self.answers[place] = answer
            config = self.kinds.configs.get(place)
            if died and config is not None and Store(config).read() is None:  # it came to nothing so early
                Store(config).write("failed", reason=str(answer._return_value), started_at=now(), finished_at=now())

        return Item(message, then)

    def _place(self, config: Config) -> int:
        return self.kinds.places[Store(config).folder.name]


def _folders(configs: Sequence[Config]) -> list[Path]:
    return [Store(config).folder for config in configs]
