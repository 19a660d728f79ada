"""Ten classes of noisy 8 x 8 images, learnt in a few epochs; a few test images carry a wrong label."""

import numpy as np

from trainables.data.image_arrays import Dataset, LabelledImages

NUM_TRAIN, NUM_TEST = 400, 100


def load() -> Dataset:
    stream = np.random.default_rng(3)
    patterns = stream.integers(0, 2, size=(10, 1, 8, 8)) * 150

    def images(count: int) -> LabelledImages:
        labels_N = (np.arange(count) % 10).astype(np.int64)
        pixels = stream.integers(0, 105, size=(count, 1, 8, 8)) + patterns[labels_N]
        return LabelledImages(pixels.astype(np.uint8), labels_N)

    train, test = images(NUM_TRAIN), images(NUM_TEST)
    test.labels_N[::17] = (test.labels_N[::17] + 1) % 10
    return Dataset(name="tiny", num_classes=10, train=train, test=test, mean_C=(0.4,), std_C=(0.3,))


def three_classes() -> Dataset:
    whole = load()
    train, test = (part.select(np.flatnonzero(part.labels_N < 3)) for part in (whole.train, whole.test))
    return Dataset(name="three", num_classes=3, train=train, test=test, mean_C=(0.4,), std_C=(0.3,))
