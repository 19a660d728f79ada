"""Where a study's epochs are told beside its own files, as frozen data."""

from pydantic import Field

from trainables.config import Frozen


class LogsConfig(Frozen):
    """Logs that the driver writes, for people who look at all their work in one place; what is off costs nothing."""

    tensorboard: bool = Field(False, description="event files, a run a trial, under DIR/tensorboard")
    mlflow: str | None = Field(
        None,
        min_length=1,
        description='tracking URI, such as "http://host:5000"; a run a study, a run below it a trial',
    )
