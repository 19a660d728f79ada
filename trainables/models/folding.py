"""A network that is no longer trained, made cheaper to run: norms within convolutions, activations in place."""

from collections import Counter, defaultdict
from collections.abc import Callable
from operator import add
from typing import Any, Final, final

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

# By their very types: a subclass may do something else.
CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
ACTIVATIONS: Final = (nn.ReLU, nn.ReLU6)


def fold(network: nn.Module) -> frozenset[str]:
    """Let convolutions do the work of the batch norms after them, and activations write over what they are given.

    A norm in evaluation mode is a scale and an offset of each channel: where a convolution's output goes to it alone,
    the convolution takes them over, and the norm becomes an identity. Modules keep their names. Who reads what is found
    by following the network's Python; a network that cannot be followed is left as it is.

    Args:
        network: in evaluation mode, changed where it is.

    Returns:
        Names of the modules that no longer put out what they did: of a norm's convolution, and of what an activation
        writes over. All others, and the network itself, do, up to rounding.
    """
    calls = _Calls(network)
    return frozenset(calls.fold_norms(network) | calls.write_activations_in_place(network))


@final
class _Calls(fx.Tracer):
    """What a network calls in a pass, and whose output each value is: a block's as well as its last module's."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._owners: dict[fx.Node, set[str]] = defaultdict(set)
        try:
            self._nodes = list(self.trace(network).nodes)
        except Exception:  # noqa: BLE001 - whatever its Python makes of a placeholder for images
            self._nodes = []
        num_calls = Counter(node.target for node in self._nodes if node.op == "call_module")
        named = list(network.named_modules(remove_duplicate=False))
        num_names = Counter(id(module) for _, module in named)
        # Called once, under their only name, and nothing in them is read past them.
        read = {str(node.target).rpartition(".")[0] for node in self._nodes if node.op == "get_attr"}
        self._modules = {
            name: module
            for name, module in named
            if num_calls[name] == 1 and num_names[id(module)] == 1 and name not in read
        }

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Follow the call, and keep who put out its value."""
        output = super().call_module(m, forward, args, kwargs)
        if isinstance(output, fx.Proxy):
            self._owners[output.node].add(self.path_of_module(m))
        return output

    def fold_norms(self, network: nn.Module) -> set[str]:
        """Each norm into its convolution; names of what puts out something else now."""
        changed: set[str] = set()
        for node in self._nodes:
            before = self._sole_input(node, NORMS)
            if before is None:
                continue
            norm, convolution = self._modules[str(node.target)], self._modules.get(str(before.target))
            if before.op == "call_module" and type(convolution) in CONVOLUTIONS and _is_foldable(convolution, norm):
                _fold_into(convolution, norm)
                network.set_submodule(str(node.target), nn.Identity())
                changed |= self._owners[before]
        return changed

    def write_activations_in_place(self, network: nn.Module) -> set[str]:
        """Each activation over a value that nothing else reads; names of what put that out."""
        changed: set[str] = set()
        for node in self._nodes:
            before = self._sole_input(node, ACTIVATIONS)
            if before is None:
                continue
            makes_anew = before.target is add or type(self._modules.get(str(before.target))) in CONVOLUTIONS + NORMS
            if makes_anew:
                network.get_submodule(str(node.target)).inplace = True  # type: ignore[assignment] # not a module's
                changed |= self._owners[before]
        return changed

    def _sole_input(self, node: fx.Node, kinds: tuple[type[nn.Module], ...]) -> fx.Node | None:
        """What goes to a call of such a module and to nothing else; None: the node is no such call."""
        if node.op != "call_module" or type(self._modules.get(str(node.target))) not in kinds or len(node.args) != 1:
            return None
        before = node.args[0]
        return before if isinstance(before, fx.Node) and len(before.users) == 1 else None


def _is_foldable(convolution: nn.Module | None, norm: nn.Module) -> bool:
    """Whether the norm has kept statistics and uses them, and the convolution's weights are its own to change."""
    is_fixed = not norm.training and norm.running_mean is not None and norm.running_var is not None
    return is_fixed and convolution is not None and isinstance(convolution.weight, nn.Parameter)


def _fold_into(convolution: Any, norm: Any) -> None:
    """Give the convolution the norm's scale and offset; torch has no type for what any of either has."""
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
