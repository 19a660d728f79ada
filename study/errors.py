"""How a study may end before its report. Wrong use is a ValueError, raised before anything is launched."""

EXIT_FAILED = 1
EXIT_WRONG_USE = 2
EXIT_INTERRUPTED = 130  # as a shell says of a process that Ctrl-C ended


class StudyInterruptedError(Exception):
    """It was asked to end; what it has is stored, and `resume` goes on."""


class StageFailedError(Exception):
    """A task of a stage failed, and trying again would not mend it; the message is the task's own."""
