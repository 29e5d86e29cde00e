"""Every error that a user or the machine can cause, and the exit code that the program then ends with.

    HarnessError
    ├── UsageError        2    a command or a folder cannot be used as the user asked
    ├── SuiteError        2    the suite file, or the data it names, is wrong; lists every problem
    ├── MachineError      3    the disk or the device stopped the whole run
    ├── LockedError       4    another run writes to the same results
    ├── RepeatedError     1    several trials in a row failed in the same way, so the others would too
    └── TrialError        1    this trial cannot go on; the others can
        ├── DataError          an image, a label or an item of a user's Dataset is not valid
        ├── WeightsError       pretrained weights or a checkpoint cannot be obtained or do not fit
        ├── UnsupportedVariant this architecture or this machine does not support a variant: a result, not a failure
        └── DivergedError      a loss is not finite

`Interrupted` is not among them: a signal ends the program with 128 + its number (130 for SIGINT, 143 for SIGTERM).
"""

from __future__ import annotations

from harness.formatting import visible


class HarnessError(Exception):
    """Base class of all errors here; the text is one message for the user, which says what to do next."""

    exit_code = 1

    def __str__(self) -> str:
        return visible(super().__str__())  # it quotes names and values that a terminal might obey


class UsageError(HarnessError):
    """The command, or a folder that it names, cannot be used as the user asked."""

    exit_code = 2


class SuiteError(HarnessError):
    """The suite is wrong. `problems` holds one line for each problem: `file:line: key: message`."""

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
    """Several trials in a row failed quickly and in the same way, so the others would fail too."""


class TrialError(HarnessError):
    """This trial cannot go on; the reason does not concern other trials."""


class DataError(TrialError):
    """An image, a label or an item of a user's Dataset is not valid."""


class WeightsError(TrialError):
    """Pretrained weights cannot be obtained, or a weights file does not fit the architecture."""


class UnsupportedVariant(TrialError):  # noqa: N818 - a result, not a failure
    """This architecture or this machine does not support a variant; the report shows a row with the reason."""


class DivergedError(TrialError):
    """Training produced a loss that is not finite."""


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to stop. `again`: it is not the first signal, so the process stops at once."""

    def __init__(self, number: int, *, again: bool = False) -> None:
        super().__init__(number)
        self.number = number
        self.again = again
