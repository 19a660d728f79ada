import numpy as np
import pytest
import torch

from trainables.data.image_arrays import LabelledImages
from trainables.data.views import DeviceImages

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("num_channels", [1, 3])
def test_views_on_a_gpu_are_those_on_a_cpu(num_channels: int) -> None:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (50, num_channels, 9, 7), dtype=np.uint8)
    source = LabelledImages(pixels, draw.integers(0, 10, 50))
    mean, std = (0.5,) * num_channels, (0.25,) * num_channels
    indices, shifts = torch.randperm(50), torch.from_numpy(draw.integers(-10, 11, (50, 2)))
    views = []
    for device in (torch.device("cpu"), torch.device("cuda")):
        images = DeviceImages(source, mean_C=mean, std_C=std, device=device)
        views.append(images.augmented(indices.to(device), shifts.to(device)).cpu())
    torch.testing.assert_close(views[0], views[1], rtol=1e-6, atol=1e-6)
