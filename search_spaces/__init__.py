"""What may vary in a study. One file a space and one line here; users name their own as "package.module:object"."""

from search_spaces.space import SearchSpace
from trainables.config import NamedConfig
from trainables.registry import construct

SPACES = {
    "cnn_distillation": "search_spaces.cnn_distillation:CnnDistillation",
    "network_distillation": "search_spaces.network_distillation:NetworkDistillation",
    "methods": "search_spaces.methods:Methods",
}


def build(config: NamedConfig) -> SearchSpace:
    """Build the space that `config` names, its options checked.

    Raises:
        ValueError: no such space, an option it does not take, a value that is not allowed, or a space without an
            architecture; the message names it.
    """
    space = construct("space", SPACES, config)
    if not isinstance(space, SearchSpace):
        raise ValueError(f'space "{config.name}" built a {type(space).__name__}: it must build a SearchSpace')
    if not space.architectures():
        raise ValueError(f'space "{config.name}" has no architecture: nothing to search')
    return space
