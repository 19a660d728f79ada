"""How a study may end before its report. Wrong use is a ValueError, raised before anything is launched."""


class StudyInterruptedError(Exception):
    """It was asked to end; what it has is stored, and `resume` goes on."""


class StageFailedError(Exception):
    """A task of a stage failed, and trying again would not mend it; the message is the task's own."""
