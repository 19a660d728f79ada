"""Builds fake_nvml.c, the library that stands in for NVML where there is no driver."""

import shutil
import subprocess
from pathlib import Path

import pytest

NAME = "libnvidia-ml.so.1"


def built_nvml(folder: Path) -> Path:
    """The library, in `folder`, under the name that NVML's own has; the test is skipped where there is no compiler."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is missing: it builds the library that stands in for NVML")
    source = Path(__file__).with_name("fake_nvml.c")
    library = folder / NAME
    flags = ["-shared", "-fPIC", "-Wall", "-Werror", f"-Wl,-soname,{NAME}"]
    subprocess.run([compiler, *flags, "-o", str(library), str(source)], check=True)
    return library
