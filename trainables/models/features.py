"""Features: what a network's named modules put out, read from outside, so that no network knows what is read of it."""

import contextlib
import itertools
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, final

import torch
from torch import Tensor, nn


def feature_names(model: nn.Module) -> tuple[str, ...]:
    """Names of the network's own modules, in the order in which they were set; the last is usually the classifier."""
    return tuple(name for name, _ in model.named_children())


def feature_shapes(model: nn.Module, input_shape: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
    """What each module that puts out a tensor gives a single image, without the batch, in the order of `named_modules`.

    Modules before the first with parameters put out the image itself, as a flattening does, and are left out. One image
    of zeros is passed through in evaluation mode; the network is left as it was.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def hook(_module: nn.Module, _inputs: tuple[object, ...], output: object) -> None:
            if isinstance(output, Tensor):
                shapes[name] = tuple(output.shape[1:])

        return hook

    modules = ((name, module) for name, module in model.named_modules() if name)
    learned = itertools.dropwhile(lambda each: next(each[1].parameters(), None) is None, modules)
    names = [name for name, _ in learned]
    handles = [module.register_forward_hook(keep(name)) for name, module in model.named_modules() if name]
    was_training, device = model.training, next(model.parameters()).device
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *input_shape, device=device))
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return {name: shapes[name] for name in names if name in shapes}


class FeatureTap:
    """Keeps the outputs of named modules of each forward pass until they are taken; until closed, then it is gone.

    A name is one of `feature_names`, or a dotted path below one. A module that runs several times in a pass gives its
    last output. Take the features after each pass: they hold the pass's graph.

    Args:
        model: the network.
        names: of its modules.
        pass_ends_after: outputs of theirs, after which the pass is ended by a `PassEndedError`; None: it never is.

    Raises:
        ValueError: the network has no module of that name; the message lists those it has.
    """

    def __init__(self, model: nn.Module, names: Sequence[str], *, pass_ends_after: int | None = None) -> None:
        modules = dict(model.named_modules()) if names else {}
        unknown = [name for name in names if not name or name not in modules]
        if unknown:
            existing = ", ".join(feature_names(model))
            raise ValueError(
                f'unknown feature "{unknown[0]}": the network has {existing}, or a dotted path below one of them'
            )
        self._names = tuple(names)
        self._features: dict[str, Tensor] = {}
        self._pass_ends_after = pass_ends_after
        self.num_outputs = 0
        self._handles = [modules[name].register_forward_hook(self._hook(name)) for name in names]

    def take(self) -> dict[str, Tensor]:
        """The features of the last forward pass by name, in the order asked for; the tap holds them no longer.

        Raises:
            RuntimeError: some module has not run since the last call, or since the beginning.
        """
        features, self._features = self._features, {}
        missing = [name for name in self._names if name not in features]
        if missing:
            raise RuntimeError(f'feature "{missing[0]}" has not been computed: run the network first')
        return {name: features[name] for name in self._names}

    def close(self) -> None:
        """Take the hooks off the network."""
        for handle in self._handles:
            handle.remove()
        self._features = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hook(self, name: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def keep(_module: nn.Module, _inputs: tuple[object, ...], output: object) -> None:
            if not isinstance(output, Tensor):
                raise TypeError(f'feature "{name}" is a {type(output).__name__}: only a tensor can be a feature')
            self._features[name] = output
            self.num_outputs += 1
            if self.num_outputs == self._pass_ends_after:
                raise PassEndedError

        return keep


class PassEndedError(Exception):
    """All that was asked for has been computed; whoever runs the network catches it."""


@final
class FeatureReader:
    """Features alone: each pass but the first, which shows how often the layers run, ends with the last of them.

    Raises:
        ValueError: as `FeatureTap`.
    """

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        FeatureTap(model, names).close()
        self._model = model
        self._names = tuple(names)
        self._num_outputs: int | None = None

    def read(self, images_NCHW: Tensor) -> dict[str, Tensor]:
        """The features of images by name, in the order asked for."""
        with FeatureTap(self._model, self._names, pass_ends_after=self._num_outputs) as tap:
            with contextlib.suppress(PassEndedError):
                self._model(images_NCHW)
            self._num_outputs = tap.num_outputs
            return tap.take()
