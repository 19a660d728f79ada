"""Folding against the unfolded network, which is the truth: on every network there is, and on traps made by hand."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.trainables.models.test_models import build_small
from trainables.models import MODELS
from trainables.models.features import FeatureTap
from trainables.models.folding import NORMS, fold

# How many norms have no convolution before them that is theirs alone: of networks that normalise before they convolve.
NORMS_LEFT = {"wide_resnet": 3, "wrn_16_1": 7, "wrn_16_2": 6, "wrn_40_1": 19, "wrn_40_2": 18}


def num_norms(network: nn.Module) -> int:
    return sum(isinstance(module, NORMS) for module in network.modules())


def outputs(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """What the network and each module in it put out, as they did it: an activation may write over it afterwards."""
    kept: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[object, ...], Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple[object, ...], output: Tensor) -> None:
            kept[name] = output

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in network.named_modules()]
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    return kept


def folded(network: nn.Module) -> tuple[nn.Module, frozenset[str]]:
    """A copy: the network itself stays as it is."""
    copied = copy.deepcopy(network.eval())
    return copied, fold(copied)


def assert_same(network: nn.Module, images: Tensor) -> nn.Module:
    """All that is not named puts out what it did, the network itself among it, and what is named is not in the list."""
    there, changed = folded(network)
    before, after = outputs(network, images.clone()), outputs(there, images.clone())
    assert changed < before.keys()
    for name in before.keys() - changed:
        torch.testing.assert_close(after[name], before[name], rtol=1e-9, atol=1e-9, msg=name)
    return there


@pytest.mark.parametrize("name", MODELS)
def test_every_network_and_every_feature_of_it_puts_out_what_it_did(name: str) -> None:
    images = torch.randn(3, 1, 28, 28, dtype=torch.float64)
    network = build_small(name).double().eval()
    there = assert_same(network, images)
    assert num_norms(there) == NORMS_LEFT.get(name, 0)
    assert dict(there.named_modules()).keys() == dict(network.named_modules()).keys()


def made(*layers: nn.Module) -> nn.Sequential:
    """Norms with statistics and scales of their own."""
    torch.manual_seed(0)
    network = nn.Sequential(*layers).double()
    for module in network.modules():
        if isinstance(module, NORMS) and module.running_mean is not None and module.running_var is not None:
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return network.eval()


IMAGES = torch.randn(2, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_folded_convolution_is_the_closed_form() -> None:
    """gamma (w x + b - mean) / sqrt(var + eps) + beta = 4 (2 x + 3 - 1) / 2 + 5 = 4 x + 9."""
    convolution, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=1.0)
    values = [(convolution.weight, 2.0), (convolution.bias, 3.0), (norm.running_mean, 1.0), (norm.running_var, 3.0)]
    for tensor, value in [*values, (norm.weight, 4.0), (norm.bias, 5.0)]:
        assert tensor is not None
        nn.init.constant_(tensor, value)
    network = nn.Sequential(convolution, norm).eval()
    assert fold(network) == {"0"}
    assert convolution.bias is not None
    assert (convolution.weight.item(), convolution.bias.item()) == pytest.approx((4.0, 9.0))
    assert isinstance(network[1], nn.Identity)


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(4, 4, 3, groups=2, bias=False), nn.BatchNorm2d(4)),
        (nn.Conv2d(4, 4, 3, groups=4, stride=2, dilation=2, padding=2), nn.BatchNorm2d(4)),
        (nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, affine=False)),
        (nn.Flatten(2), nn.Conv1d(4, 4, 3), nn.BatchNorm1d(4)),
        (nn.Unflatten(1, (2, 2)), nn.Conv3d(2, 4, 2), nn.BatchNorm3d(4)),
    ],
    ids=["groups", "depthwise", "no scale", "one dimension", "three dimensions"],
)
def test_convolutions_of_every_kind_take_their_norm_over(layers: tuple[nn.Module, ...]) -> None:
    assert num_norms(assert_same(made(*layers), IMAGES)) == 0


class Twice(nn.Module):
    """The convolution's output goes to the norm, and past it."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        there = self.convolution(images)
        sums: Tensor = self.norm(there) + there
        return sums


class Shared(Twice):
    """One convolution for two norms."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        sums: Tensor = self.norm(self.convolution(images)) + self.other(self.convolution(2.0 * images))
        return sums


class SharedNorm(Twice):
    """One norm, after a convolution and by itself."""

    def forward(self, images: Tensor) -> Tensor:
        sums: Tensor = self.norm(self.convolution(images)) + self.norm(images)
        return sums


class TwoNames(Twice):
    """The norm under a second name, by which it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.alias = self.norm

    def forward(self, images: Tensor) -> Tensor:
        normed: Tensor = self.alias(self.convolution(images))
        return normed


class WeightsRead(Twice):
    """The convolution's weights are used past it."""

    def forward(self, images: Tensor) -> Tensor:
        sums: Tensor = self.norm(self.convolution(images)) + self.convolution.weight.mean()
        return sums


class Branching(Twice):
    """What it does hangs on what it sees."""

    def forward(self, images: Tensor) -> Tensor:
        there: Tensor = self.norm(self.convolution(images))
        return there if bool(images.mean() > 0.0) else there + self.convolution(images)


class Halves(Twice):
    """A part of the convolution's output goes to the norm."""

    def forward(self, images: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.convolution(images)[:, :, :3])
        return normed


@pytest.mark.parametrize("network", [Twice, Shared, SharedNorm, TwoNames, WeightsRead, Branching, Halves])
def test_a_norm_that_is_not_its_convolutions_alone_is_left(network: type[Twice]) -> None:
    whole = made(network())
    assert num_norms(assert_same(whole, IMAGES)) == num_norms(whole)
    assert num_norms(assert_same(whole, -IMAGES)) == num_norms(whole)


def test_a_norm_that_is_still_training_or_keeps_no_statistics_is_left() -> None:
    for norm in (nn.BatchNorm2d(4), nn.BatchNorm2d(4, track_running_stats=False)):
        network = made(nn.Conv2d(4, 4, 1), norm)
        norm.train(norm.track_running_stats)
        assert fold(network) == frozenset()
        assert network[1] is norm


class Scaled(nn.Conv2d):
    """A convolution that does something else; to whoever follows the network it is one of torch's own."""

    __module__ = "torch.nn"

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that torch gives it
        return 2.0 * super().forward(input)


@pytest.mark.parametrize(
    "convolution",
    [Scaled(4, 4, 1), nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1)), nn.ConvTranspose2d(4, 4, 1)],
    ids=["subclass", "weight norm", "transposed"],
)
def test_what_is_not_quite_a_convolution_is_left(convolution: nn.Module) -> None:
    assert num_norms(assert_same(made(convolution, nn.BatchNorm2d(4)), IMAGES)) == 1


def test_whatever_puts_out_a_folded_convolutions_output_is_named() -> None:
    """A block that ends in the convolution puts out the same, and a tap on either would read the norm's output."""
    network = made(nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 1)), nn.BatchNorm2d(4), nn.Sigmoid())
    there, changed = folded(network)
    assert changed == {"0", "0.1"}
    read = outputs(there, IMAGES)
    before = outputs(network, IMAGES)
    torch.testing.assert_close(read["1"], before["1"])
    torch.testing.assert_close(read["0"], before["1"])


class Residual(nn.Module):
    """What an activation is given is needed again in the first one, and not in the second."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.first, self.second = nn.BatchNorm2d(4), nn.ReLU(), nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        normed = self.norm(images)
        sums: Tensor = self.second(normed + self.first(normed))
        return sums


def test_an_activation_writes_over_what_nothing_else_reads_and_over_nothing_else() -> None:
    there = assert_same(made(Residual()), IMAGES)
    assert [there.get_submodule(f"0.{name}").inplace for name in ("first", "second")] == [False, True]


def test_images_are_not_written_over_nor_what_lies_below_a_view_of_them() -> None:
    for first in (nn.ReLU(), nn.Sequential(nn.Flatten(), nn.ReLU())):
        network, images = made(first), IMAGES.clone()
        assert fold(network) == frozenset()
        network(images)
        assert torch.equal(images, IMAGES)


def test_what_an_activation_writes_over_is_named() -> None:
    network = made(nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)), nn.ReLU6(), nn.Conv2d(4, 4, 1))
    assert fold(network) == {"0", "0.0", "0.1"}


def test_gradients_still_reach_the_images() -> None:
    """Boundary samples are made of them."""
    network = made(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2), nn.ReLU6())
    there, _ = folded(network)
    gradients: list[Tensor] = []
    for each in (network, there):
        images = IMAGES.clone().requires_grad_()
        gradients += torch.autograd.grad(each(images).square().sum(), images)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_order_in_memory_is_kept() -> None:
    network = made(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8)).to(memory_format=torch.channels_last)
    fold(network)
    convolution = network[0]
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_tap_on_what_is_not_named_reads_what_it_did() -> None:
    network = made(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1))
    there, changed = folded(network)
    assert changed == {"0", "1"}
    read = []
    for each in (network, there):
        with torch.no_grad(), FeatureTap(each, ["2", "3"]) as tap:
            each(IMAGES)
            read.append(tap.take())
    for name in ("2", "3"):
        torch.testing.assert_close(read[1][name], read[0][name])
