"""Every error that a user can cause or a machine can force, and the exit code each one ends the program with.

    HarnessError
    ├── UsageError        2    a command or a folder that cannot be used as asked
    ├── SuiteError        2    the suite file, or the data it names, is wrong: every problem at once
    ├── MachineError      3    the disk or the device stopped the whole run
    ├── LockedError       4    another run writes to the same results
    ├── RepeatedError     1    trial after trial failed in the same way: the rest would too
    └── TrialError        1    this trial cannot go on; the others can
        ├── DataError          an image, a label or a user's Dataset is not what it must be
        ├── WeightsError       pretrained weights or a checkpoint cannot be had or do not fit
        ├── CannotDeploy       a variant that this architecture or this machine cannot do: an answer, not a failure
        └── DivergedError      a loss is not finite

`Interrupted` is no error of ours: a signal ends the program with 128 + its number (130 for SIGINT, 143 for SIGTERM).
"""

from __future__ import annotations


class HarnessError(Exception):
    """Base of all: its text is one clear message for a person, with what to do next."""

    exit_code = 1


class UsageError(HarnessError):
    """What was asked for on the command line cannot be done."""

    exit_code = 2


class SuiteError(HarnessError):
    """A suite is wrong. `problems` holds one line for each place, `file:line: key: what`."""

    exit_code = 2

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class MachineError(HarnessError):
    """The machine cannot go on: disk full, results not writable, device gone."""

    exit_code = 3


class LockedError(HarnessError):
    """Another run writes to the same results folder."""

    exit_code = 4


class RepeatedError(HarnessError):
    """Several trials in a row failed at once and alike, so that the others are not worth a try."""


class TrialError(HarnessError):
    """One trial cannot go on for a reason of its own."""


class DataError(TrialError):
    """An image, a label or an item of a user's Dataset is not usable."""


class WeightsError(TrialError):
    """Pretrained weights cannot be had, or a file of weights does not fit the architecture."""


class UnsupportedVariant(TrialError):  # noqa: N818 - an answer, not a failure
    """A variant that this architecture or this machine cannot do: it becomes a row that says why."""


class DivergedError(TrialError):
    """Training produced a loss that is not finite."""


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to stop. `again`: it is not the first one, so stop at once."""

    def __init__(self, number: int, *, again: bool = False) -> None:
        super().__init__(number)
        self.number = number
        self.again = again
