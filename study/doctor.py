"""`kd-study doctor`: whether this machine has what a study needs, and what to do where it does not."""

import importlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path

import psutil
import pynvml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from rich.table import Table
from rich.text import Text

from study.locks import hold, is_held
from study.resources import ResourcesConfig
from trainables.patience import Patience
from trainables.study_paths import StudyPaths
from trainables.whole_files import write_text

# torch, Optuna and plotly are imported by name, each in its check: where one is broken, the rest is still told.
BREAKAGES = (OSError, ValueError, LookupError, RuntimeError, ImportError, AttributeError, subprocess.SubprocessError)
REINSTALL = "make the environment anew: rm -r .venv; make test"

DRIVER_BY_CUDA = {"12": 525, "13": 580}  # the oldest that runs it (CUDA's release notes, minor version compatibility)
TRIAL_MIB = 1050  # a trial's process: 700 with torch and Ray imported, 350 for images, network and allocator
DRIVER_MIB = 700  # the study's own process
NEEDED_DISK_MIB = 256  # a study of MNIST leaves 12, Ray's logs of it 16: ten times that
AMPLE_DISK_MIB = 1024  # and what the object store may spill
MORE_MEMORY = "end other programs, or run fewer trials at once: --set resources.max_concurrent_trials=1"
MORE_SHM = "Ray's object store goes to the disk, which is slow: delete old files there, or docker run --shm-size=1g"
MORE_DISK = "delete what is not needed, or keep studies elsewhere (--dir)"
GET_BROWSER = "Debian: apt-get install chromium; elsewhere: kaleido_get_chrome, or name one in BROWSER_PATH"


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"  # a study runs, with less
    PROBLEM = "problem"  # a study does not run, or not on what is here


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it; None: nothing."""

    name: str
    verdict: Verdict
    found: str
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Boards:
    """The GPUs as NVML, and so Ray, counts them; or why it does not."""

    names: tuple[str, ...] = ()
    driver: str = "unknown"
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Cuda:
    """The GPUs as torch sees them."""

    built_for: str | None  # version of CUDA; None: a build for CPUs
    devices: tuple[str, ...] = ()
    complaint: str = ""


def examine(directory: Path) -> list[Finding]:
    """Run every check, with studies to be kept in `directory`; one that breaks is a problem, and the others go on.

    Raises:
        ValueError: there is no such directory.
    """
    if not directory.is_dir():
        raise ValueError(f"{directory} is no directory: give one in which studies are to be kept")
    boards = look_at_boards()
    checks: dict[str, Callable[[], Finding]] = {
        "python": lambda: python_finding(platform.python_version(), metadata.metadata("kd-study")["Requires-Python"]),
        "packages": lambda: packages_finding(metadata.requires("kd-study") or []),
        "torch": lambda: loading_finding("torch", "torch"),
        "ray": lambda: loading_finding("ray", "ray.tune"),
        "cluster": lambda: cluster_finding(os.environ.get("RAY_ADDRESS")),
        "storage": lambda: storage_finding(directory.absolute()),
        "data": lambda: data_finding(resources.files("trainables.data") / "mnist_files"),
        "gpu": lambda: gpu_finding(look_at_cuda(), boards, os.environ.get("CUDA_VISIBLE_DEVICES")),
        "nvml": lambda: nvml_finding(boards),
        "browser": browser_finding,
    }
    store_mib = ResourcesConfig().object_store_mib
    needed_mib = DRIVER_MIB + store_mib + TRIAL_MIB
    ample_mib = needed_mib + TRIAL_MIB * ((os.cpu_count() or 1) - 1)  # a trial on each core
    shm = Path("/dev/shm")  # noqa: S108  where Ray puts its object store
    free_shm = shutil.disk_usage(shm).free if shm.is_dir() else 0
    return [
        *(guarded(name, check) for name, check in checks.items()),
        room_finding("memory", free_memory(Path("/sys/fs/cgroup")), needed_mib, ample_mib, MORE_MEMORY),
        room_finding("shared memory", free_shm, 0, store_mib, MORE_SHM),
        room_finding("disk", shutil.disk_usage(directory).free, NEEDED_DISK_MIB, AMPLE_DISK_MIB, MORE_DISK),
    ]


def guarded(name: str, check: Callable[[], Finding]) -> Finding:
    """What the check finds; where it breaks, that as a problem."""
    try:
        return check()
    except BREAKAGES as error:
        return Finding(name, Verdict.PROBLEM, f"{type(error).__name__}: {error}", REINSTALL)


def findings_view(findings: Sequence[Finding]) -> Table:
    """The findings as a person reads them on a terminal."""
    styles = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.PROBLEM: "bold red"}
    table = Table.grid(padding=(0, 2))
    for each in findings:
        words = each.found if each.advice is None else f"{each.found}\n-> {each.advice}"
        table.add_row(Text(each.verdict, styles[each.verdict]), Text(each.name, "bold"), Text(words))
    return table


def python_finding(version: str, required: str) -> Finding:
    """Python against kd-study's own metadata."""
    if SpecifierSet(required).contains(version, prereleases=True):
        return Finding("python", Verdict.OK, f"{version} ({sys.executable})")
    return Finding("python", Verdict.PROBLEM, f"{version}, needs {required}", f"{REINSTALL} PYTHON=python3.12")


def packages_finding(requirements: Sequence[str]) -> Finding:
    """Installed versions against requirements as a package's metadata has them, extras left out."""
    needed = [each for each in map(Requirement, requirements) if not each.marker or each.marker.evaluate({"extra": ""})]
    wrong = {each: what for each in needed if (what := _shortcoming(each))}
    if not wrong:
        versions = [f"{each.name} {metadata.version(each.name)}" for each in needed]
        return Finding("packages", Verdict.OK, ", ".join(versions))
    command = shlex.join([sys.executable, "-m", "pip", "install", *map(str, wrong)])
    return Finding("packages", Verdict.PROBLEM, "; ".join(wrong.values()), command)


def _shortcoming(requirement: Requirement) -> str | None:
    name, allowed = requirement.name, requirement.specifier
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is missing, needs {allowed}"
    return None if allowed.contains(version, prereleases=True) else f"{name} is {version}, needs {allowed}"


def loading_finding(name: str, module: str) -> Finding:
    """Whether a package's module loads in a process of its own, as in Ray's workers."""
    command = [sys.executable, "-P", "-c", f"import {module}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    if ended.returncode == 0:
        return Finding(name, Verdict.OK, f"{metadata.version(name)} loads")
    why_not = ended.stderr.strip().rpartition("\n")[2] or f"it ends with {ended.returncode}"
    return Finding(name, Verdict.PROBLEM, f"{module} does not load: {why_not}", REINSTALL)


def cluster_finding(address: str | None) -> Finding:
    """What `address`, of RAY_ADDRESS, means to a study."""
    if not address:
        return Finding("cluster", Verdict.OK, "RAY_ADDRESS is not set: a study starts Ray on this machine")
    advice = "--address auto takes that cluster; without --address a study starts Ray on this machine all the same"
    return Finding("cluster", Verdict.NOTE, f"RAY_ADDRESS is {address}", advice)


def storage_finding(directory: Path) -> Finding:
    """Whether a study can be kept in the directory, tried in a folder that is gone afterwards."""
    try:
        with tempfile.TemporaryDirectory(prefix=".kd-study-doctor-", dir=directory) as folder:
            why_not = _storage_problem(StudyPaths(Path(folder)))
    except OSError as error:
        why_not = error.strerror or str(error)
    if why_not is None:
        return Finding("storage", Verdict.OK, f"{directory}: an Optuna journal, its lock and renaming work")
    advice = "keep studies (--dir) on a local disk or NFS 4, in a folder that this user may write to, with space left"
    return Finding("storage", Verdict.PROBLEM, f"{directory}: {why_not}", advice)


def _storage_problem(paths: StudyPaths) -> str | None:
    optuna, store = importlib.import_module("optuna"), importlib.import_module("study.store")
    patience = Patience(str(paths.root), 0.0)
    study = optuna.create_study(storage=store.open_storage(paths, None, patience), study_name="doctor")
    study.add_trial(optuna.trial.create_trial(value=0.5))
    read = optuna.get_all_study_summaries(store.open_storage(paths, None, patience))
    if [(each.study_name, each.n_trials) for each in read] != [("doctor", 1)]:
        return "an Optuna journal is not read back as it was written"
    with hold(paths.lock):
        if not is_held(paths.lock):
            return "a lock (flock) does not keep others out: two drivers could spoil a study"
    write_text(paths.status_json, "first")
    write_text(paths.status_json, "second")
    return None if paths.status_json.read_text("utf-8") == "second" else "a renamed file does not replace another"


def data_finding(folder: Traversable) -> Finding:
    """Whether MNIST is what was published."""
    try:
        mnist = importlib.import_module("trainables.data.mnist").load_from(folder)
    except ValueError as error:
        return Finding("data", Verdict.PROBLEM, str(error), "git checkout -- trainables/data/mnist_files")
    return Finding("data", Verdict.OK, f"mnist: {len(mnist.train):,} training images, and all checksums hold")


def look_at_boards() -> Boards:
    """Ask NVML."""
    try:
        pynvml.nvmlInit()
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return Boards(tuple(map(pynvml.nvmlDeviceGetName, handles)), pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError as error:
        return Boards(error=str(error))


def look_at_cuda() -> Cuda:
    """Ask torch."""
    torch = importlib.import_module("torch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        num_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = tuple(map(torch.cuda.get_device_name, range(num_devices)))
    return Cuda(torch.version.cuda, names, "; ".join(str(each.message) for each in caught) or "it does not say why")


def nvml_finding(boards: Boards) -> Finding:
    """Whether Ray can count GPUs, and their utilisation and energy can be read."""
    if boards.error is None:
        return Finding("nvml", Verdict.OK, f"driver {boards.driver}, GPUs: {', '.join(boards.names) or 'none'}")
    if boards.error == str(pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)):
        advice = "fine without an NVIDIA GPU; with one, install its driver, or docker run --gpus all"
        return Finding("nvml", Verdict.NOTE, "no NVIDIA driver: GPU utilisation and energy stay unknown", advice)
    advice = "mend the driver until nvidia-smi answers: restart after an update, else install it anew"
    return Finding("nvml", Verdict.PROBLEM, f"an NVIDIA driver is installed and fails: {boards.error}", advice)


def gpu_finding(cuda: Cuda, boards: Boards, visible_devices: str | None) -> Finding:
    """Whether torch computes on the GPUs that Ray gives to trials; `visible_devices` is CUDA_VISIBLE_DEVICES."""
    build = f"torch is built for {'CPUs alone' if cuda.built_for is None else f'CUDA {cuda.built_for}'}"
    on_cpus = "or run on CPUs: --set resources.gpus_per_trial=0"
    in_container = "in a container NVIDIA_DRIVER_CAPABILITIES=compute,utility"
    if cuda.devices:
        found = f"{', '.join(cuda.devices)}; {build}"
        if boards.error is None:
            return Finding("gpu", Verdict.OK, found)
        return Finding("gpu", Verdict.PROBLEM, f"{found}; Ray sees none without NVML", f"see nvml; {in_container}")
    if not boards.names:
        return Finding("gpu", Verdict.NOTE, f"none: trials run on CPU cores; {build}")
    found = f"NVML sees {', '.join(boards.names)}, torch none"
    if visible_devices in {"", "-1"}:
        found = f'{found}: CUDA_VISIBLE_DEVICES is "{visible_devices}"'
        return Finding("gpu", Verdict.NOTE, found, f"unset CUDA_VISIBLE_DEVICES, {on_cpus}")
    needed = DRIVER_BY_CUDA.get((cuda.built_for or "").partition(".")[0], max(DRIVER_BY_CUDA.values()))
    if cuda.built_for is None:
        found, advice = f"{found}: {build}", "install torch from PyPI, whose builds are for CUDA"
    elif int(boards.driver.partition(".")[0]) < needed:
        found = f"{found}: {build}, driver {boards.driver} is too old for it"
        advice = f"install NVIDIA driver R{needed} or newer"
    else:
        found, advice = f"{found}: {cuda.complaint}", f"restart after a driver update; {in_container}"
    return Finding("gpu", Verdict.PROBLEM, found, f"{advice}; {on_cpus}")


def browser_finding() -> Finding:
    """Whether the browser that kaleido finds draws a picture."""
    path = importlib.import_module("choreographer.browsers.chromium").Chromium.find_browser(skip_local=False)
    figure = importlib.import_module("plotly.graph_objects").Figure()
    with tempfile.TemporaryDirectory() as folder:
        why_not = importlib.import_module("analysis.images").write_images({"try": figure}, Path(folder))
    if why_not is None:
        return Finding("browser", Verdict.OK, f"{path} draws pictures")
    found = f"figures/*.png are left out, report.html is whole: {path or 'no browser'}: {why_not}"
    return Finding("browser", Verdict.NOTE, found, GET_BROWSER)


def free_memory(cgroup: Path) -> int:
    """Bytes that are available; in a container with a limit (cgroup version 2 or 1) no more than that."""
    files = [cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes"]
    texts = [file.read_text("ascii").strip() for file in files if file.is_file()]
    return min([psutil.virtual_memory().available, *(int(text) for text in texts if text.isdecimal())])


def room_finding(name: str, free: int, needed_mib: int, ample_mib: int, advice: str) -> Finding:
    """Free bytes against what a study cannot do without, and what it would like."""
    for verdict, wanted_mib in ((Verdict.PROBLEM, needed_mib), (Verdict.NOTE, ample_mib)):
        if free < wanted_mib * 2**20:
            return Finding(name, verdict, f"{free // 2**20:,} MiB free, less than {wanted_mib:,} MiB", advice)
    return Finding(name, Verdict.OK, f"{free // 2**20:,} MiB free, {ample_mib:,} MiB are enough")
