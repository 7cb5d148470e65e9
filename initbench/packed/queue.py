"""What the workers are given, one after the other, and what becomes of it: measurements, packs, single runs."""

import pickle
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus

from initbench.console import console
from initbench.errors import UserMistake
from initbench.masking import hide
from initbench.packed import files, messages, speed
from initbench.packed.outcome import Outcome
from initbench.packed.plan import Alone, Decision, Unmeasured, alone_line, plan
from initbench.packed.speed import Speed
from initbench.packed.telling import Telling
from initbench.record.life import mark_lost
from initbench.record.objective import objective
from initbench.record.signature import digest
from initbench.record.store import Store
from initbench.wording import visible
from initbench.workers.reply import failed, outcome
from initbench.workers.slots import sharing

Pack = list[Store]


@dataclass(frozen=True)
class Jobs:
    """The jobs of a launch, by their places in it.

    `resolve` returns the run that a job is, None where the job speaks for itself (it is done already, or refused); it
    raises UserMistake where the whole sweep cannot be what its user wants. `message` is what a worker is sent to do the
    job by itself.
    """

    number: int
    resolve: Callable[[int], Store | None]
    message: Callable[[int], bytes]


@dataclass(frozen=True)
class Packing:
    """How runs may be packed: the environments of the slots, the largest pack, and whether speed decides."""

    environments: Sequence[dict[str, str]]
    most: int
    measure: bool

    def plan(self, runs: Sequence[Store], measured: Speed | None = None) -> list[Decision]:
        def known(run: Store) -> Speed | None:
            return measured or speed.remembered(run.config, self.environments[0])

        return plan(runs, slots=len(self.environments), most=self.most, known=known if self.measure else None)


class Sorted:
    """The jobs of a launch: those that may be packed, those that are the same run as another, those without a run."""

    def __init__(self, jobs: Jobs) -> None:
        self.runs: dict[int, Store] = {}
        self.places: dict[str, int] = {}  # of runs, by their folders' names
        self.again: dict[int, int] = {}  # jobs that are the same runs as earlier ones
        self.alone: list[int] = []
        self.errors: dict[int, Exception] = {}
        for place in range(jobs.number):
            try:
                run = jobs.resolve(place)
            except UserMistake:
                raise
            except Exception as error:  # this job's failure, no more
                self.errors[place] = error
                continue
            if run is None:
                self.alone.append(place)
            elif (first := self.places.setdefault(run.folder.name, place)) != place:
                self.again[place] = first
            else:
                self.runs[place] = run


@dataclass
class Item:
    """`message` for a worker, and what is done with its answer."""

    message: Callable[[], bytes]
    then: Callable[[JobReturn, bool], None]  # bool: whether the worker died of it


class Queue(Iterator[tuple[int, bytes]]):
    """An iterator over messages for `Pool.run`, to which answers may add."""

    def __init__(self, jobs: Jobs, packing: Packing, telling: Telling) -> None:
        self.jobs, self.packing, self.telling = jobs, packing, telling
        self.sorted = Sorted(jobs)
        self.answers: dict[int, JobReturn] = {place: failed(error) for place, error in self.sorted.errors.items()}
        self.waiting: deque[Item] = deque()
        self.out: dict[int, Item] = {}
        self.sent = 0
        self._clear_packs()
        self._add(packing.plan(list(self.sorted.runs.values())))
        self.waiting.extend(map(self._single, self.sorted.alone))

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
        """Do what follows from a worker's reply, or from its exit code."""
        self.out.pop(number).then(outcome(reply), isinstance(reply, int))

    def returns(self) -> list[JobReturn]:
        """What became of each job, in their order."""
        self._clear_packs()
        for place, first in self.sorted.again.items():
            self.answers[place] = replace(self.answers[first], overrides=None)
        return [self.answers[place] for place in range(self.jobs.number)]

    def _clear_packs(self) -> None:
        for study in {run.folder.parent for run in self.sorted.runs.values()}:
            files.clear(study)

    def _add(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            if isinstance(decision, Unmeasured):
                self._measure(decision.runs)
                continue
            tell([str(decision)])
            if isinstance(decision, Alone):
                self.waiting.extend(self._single(self._place(run)) for run in decision.runs)
            else:
                self.telling.start(chain(*decision.packs))
                for pack in decision.packs:
                    if len(pack) > 1:
                        files.write(_folders(pack), len(self.packing.environments))
                self.waiting.extend(map(self._together, decision.packs))

    def _measure(self, runs: Pack) -> None:
        slots = len(self.packing.environments)
        answers: list[JobReturn] = []

        def then(answer: JobReturn, died: bool) -> None:
            answers.append(answer)
            if len(answers) < slots:
                return
            if failures := [answer._return_value for answer in answers if answer.status is JobStatus.FAILED]:
                why = f"the speed of a pack cannot be measured: {failures[0]}".partition("\n")[0]
                self._add([Alone(runs, why)])
                return
            measured = speed.choose([answer.return_value for answer in answers])
            speed.remember(runs[0].config, self.packing.environments[0], measured)
            self._add(self.packing.plan(runs, measured))

        # All slots measure at once, as all will train at once: they share caches and memory.
        one_per_initializer = {digest(run.config["init"]): run.config for run in reversed(runs)}
        argument = list(one_per_initializer.values())[::-1], sharing(self.packing.environments)
        item = Item(lambda: pickle.dumps((messages.measure, argument)), then)
        self.waiting.extend([item] * slots)

    def _together(self, pack: Pack, deaths: int = 0) -> Item:
        if len(pack) == 1:
            return self._single(self._place(pack[0]))

        def then(answer: JobReturn, died: bool) -> None:
            if died and deaths == 0:  # whoever killed it: it continues from its checkpoint
                console.print(f"a process that trained {len(pack)} runs died; trying again", soft_wrap=True)
                self.waiting.appendleft(self._together(pack, deaths + 1))
            elif died:  # of too little memory, it may be
                console.print("it died again; trying with half as many runs", soft_wrap=True)
                self._halve(pack)
            elif answer.status is JobStatus.FAILED:  # by itself a run says all of it, in its own record
                error = answer._return_value
                self._add([Alone(pack, f"{type(error).__name__}: {error}".partition("\n")[0])])
            else:
                self._end(pack, answer.return_value)

        return Item(lambda: pickle.dumps((messages.train, [run.config for run in pack])), then)

    def _halve(self, pack: Pack) -> None:
        halves = pack[: len(pack) // 2], pack[len(pack) // 2 :]
        files.split(_folders(pack), [_folders(half) for half in halves])
        self.waiting.extendleft(map(self._together, reversed(halves)))

    def _end(self, pack: Pack, ended: Outcome) -> None:
        tell(alone_line(*of) for of in Counter(ended.alone.values()).items())
        self.telling.add(run for run in pack if run.folder.name in ended.records)
        by_name = {run.folder.name: run for run in pack}
        for names in ended.too_large:
            console.print(f"out of memory with {len(names)} runs in a pack; trying with half as many", soft_wrap=True)
            self._halve([by_name.pop(name) for name in names])
        for name, run in by_name.items():
            if name in ended.records:
                value = objective(ended.records[name], run.typed.objective)
                self.answers[self._place(run)] = JobReturn(status=JobStatus.COMPLETED, _return_value=value)
            else:
                self.waiting.append(self._single(self._place(run)))

    def _single(self, place: int) -> Item:
        def then(answer: JobReturn, died: bool) -> None:
            self.answers[place] = answer
            if died and (run := self.sorted.runs.get(place)) is not None:
                mark_lost(run, str(answer._return_value))

        return Item(lambda: self.jobs.message(place), then)

    def _place(self, run: Store) -> int:
        return self.sorted.places[run.folder.name]


def forecast(jobs: Jobs, packing: Packing) -> Iterator[str]:
    """The lines that a launch would begin with."""
    return map(str, packing.plan(list(Sorted(jobs).runs.values())))


def tell(lines: Iterable[str]) -> None:
    for line in lines:
        console.print(visible(hide(line)), markup=False, soft_wrap=True)


def _folders(pack: Pack) -> list[Path]:
    return [run.folder for run in pack]
