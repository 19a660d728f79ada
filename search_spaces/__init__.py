"""What may vary in a study. One file a space and one line here; users name their own as "package.module:object"."""

from collections.abc import Callable
from typing import cast

from pydantic import ValidationError

from search_spaces.space import SearchSpace
from trainables.config import NamedConfig
from trainables.registry import option_error, resolve

SPACES = {
    "cnn_distillation": "search_spaces.cnn_distillation:CnnDistillation",
}


def build(config: NamedConfig) -> SearchSpace:
    """Build the space that `config` names, its options checked.

    Raises:
        ValueError: no such space, an option it does not take, a value that is not allowed, or a space without an
            architecture; the message names it.
    """
    builder = cast("Callable[..., SearchSpace]", resolve("space", SPACES, config.name))
    try:
        space = builder(**config.options)
    except (ValidationError, TypeError) as error:
        raise option_error("space", config.name, config.options, error) from error
    if not space.architectures():
        raise ValueError(f'space "{config.name}" has no architecture: nothing to search')
    return space
