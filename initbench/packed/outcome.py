"""What became of the runs of a pack, as a worker tells the process that started it."""

from dataclasses import dataclass, field

from initbench.record.plain import Record


@dataclass
class Outcome:
    """What became of the runs of a pack, by the names of their folders: nothing of those that others are training."""

    records: dict[str, Record] = field(default_factory=dict)  # those that ended
    alone: dict[str, str] = field(default_factory=dict)  # why others have to be trained by themselves
    too_large: list[list[str]] = field(default_factory=list)  # packs for which there was too little memory
