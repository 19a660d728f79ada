"""The doctor: what each check makes of a machine as it should be, and of one that is not."""

import fcntl
import os
import resource
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import optuna
import psutil
import pytest
from rich.console import Console

from study import doctor, store
from study.doctor import Boards, Cuda, Finding, Verdict

TOP = Path(__file__).parents[2]
MNIST = TOP / "trainables" / "data" / "mnist_files"
A10G = Boards(("NVIDIA A10G",), "580.65.06")
NO_NVML = Boards(error="NVML Shared Library Not Found")
OK, NOTE, PROBLEM = Verdict
MIB = 2**20


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def found(studies: Path) -> dict[str, Finding]:
    """All that is found on this machine."""
    return {finding.name: finding for finding in doctor.examine(studies)}


def test_every_check_is_run_on_this_machine_and_none_breaks(found: dict[str, Finding]) -> None:
    names = ["python", "packages", "torch", "ray", "cluster", "storage", "data", "gpu", "nvml", "browser", "memory"]
    assert list(found) == [*names, "shared memory", "disk"]
    assert [finding for finding in found.values() if finding.advice == doctor.REINSTALL] == []
    assert [finding for finding in found.values() if finding.verdict is PROBLEM and not finding.advice] == []


def test_examining_leaves_nothing_behind(studies: Path, found: dict[str, Finding]) -> None:
    assert found["storage"].verdict is OK
    assert list(studies.iterdir()) == []


def test_this_environment_is_as_its_own_metadata_wants_it(found: dict[str, Finding]) -> None:
    assert {found[name].verdict for name in ("python", "packages", "torch", "ray", "data")} == {OK}
    assert found["ray"].found == f"{metadata.version('ray')} loads"
    assert f"torch {metadata.version('torch')}" in found["packages"].found


def test_memory_is_ample_for_the_driver_the_object_store_and_a_trial_on_each_core(found: dict[str, Finding]) -> None:
    wanted_mib = 700 + 512 + 1050 * (1 if found["memory"].verdict is PROBLEM else os.cpu_count() or 1)
    assert f" {wanted_mib:,} MiB" in found["memory"].found
    assert " 512 MiB" in found["shared memory"].found


def test_a_browser_that_is_installed_draws(found: dict[str, Finding]) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    assert found["browser"].verdict is OK


def test_a_directory_that_does_not_exist_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere is no directory: give one in which studies are to be kept"):
        doctor.examine(tmp_path / "nowhere")


def test_the_doctor_starts_where_torch_ray_or_optuna_are_broken(tmp_path: Path) -> None:
    for name in ("torch", "ray", "optuna", "plotly", "kaleido"):
        (tmp_path / f"{name}.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')")
    program = "from study.doctor import guarded, look_at_cuda; print(guarded('gpu', look_at_cuda).found)"
    assert printed_by(program, PYTHONPATH=str(tmp_path)) == ["OSError: libcudart.so.13: cannot open shared object file"]


def printed_by(program: str, **environment: str) -> list[str]:
    told = os.environ | environment
    return subprocess.check_output([sys.executable, "-c", program], cwd=TOP, env=told, text=True).splitlines()


@pytest.mark.parametrize("error", [ImportError("x"), RuntimeError("x"), KeyError("x"), subprocess.SubprocessError("x")])
def test_a_check_that_breaks_is_a_problem(error: Exception) -> None:
    def check() -> Finding:
        raise error

    finding = doctor.guarded("gpu", check)
    assert (finding.name, finding.verdict, finding.advice) == ("gpu", PROBLEM, doctor.REINSTALL)
    assert type(error).__name__ in finding.found


def test_a_mistake_of_our_own_is_not_taken_for_a_broken_library() -> None:
    with pytest.raises(ZeroDivisionError, match="by zero"):
        doctor.guarded("gpu", lambda: Finding("gpu", OK, str(1 // 0)))


def test_each_finding_is_a_line_with_its_advice_beneath() -> None:
    findings = [Finding("ray", PROBLEM, "missing", "install ray[default,tune]"), Finding("gpu", OK, "A10G")]
    console = Console(width=80)
    with console.capture() as printed:
        console.print(doctor.findings_view(findings))
    lines = [" ".join(line.split()) for line in printed.get().splitlines()]
    assert lines == ["problem ray missing", "-> install ray[default,tune]", "ok gpu A10G"]


@pytest.mark.parametrize(("version", "verdict"), [("3.11.0", OK), ("3.13.0rc1", OK), ("3.9.18", PROBLEM)])
def test_python_is_held_against_what_is_required(version: str, verdict: Verdict) -> None:
    finding = doctor.python_finding(version, ">=3.11")
    assert finding.verdict is verdict
    assert version in finding.found
    assert verdict is OK or "PYTHON=python3.12" in str(finding.advice)


def test_packages_within_their_bounds_are_told_with_their_versions() -> None:
    finding = doctor.packages_finding(["numpy>=1.26", "optuna", 'no-such-package>=1; extra == "dev"'])
    assert (finding.verdict, finding.advice) == (OK, None)
    assert finding.found == f"numpy {metadata.version('numpy')}, optuna {metadata.version('optuna')}"


def test_packages_that_are_missing_or_too_old_are_named_with_the_command_that_installs_them() -> None:
    finding = doctor.packages_finding(["numpy>=99", "no-such-package", "optuna>=5"])
    assert finding.verdict is PROBLEM
    assert f"numpy is {metadata.version('numpy')}, needs >=99; no-such-package is missing" in finding.found
    assert finding.advice == f"{sys.executable} -m pip install 'numpy>=99' no-such-package"


def test_a_file_in_the_current_folder_is_not_taken_for_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise RuntimeError('not the package')")
    monkeypatch.chdir(tmp_path)
    assert doctor.loading_finding("numpy", "numpy") == Finding("numpy", OK, f"{metadata.version('numpy')} loads")


@pytest.mark.parametrize(
    ("source", "last_words"),
    [("raise OSError('no libcudart')", "OSError: no libcudart"), ("exit(3)", "it ends with 3")],
)
def test_a_module_that_does_not_load_is_a_problem_with_its_last_words(
    source: str, last_words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_here.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finding = doctor.loading_finding("ray", "broken_here")
    assert finding == Finding("ray", PROBLEM, f"broken_here does not load: {last_words}", doctor.REINSTALL)


def test_the_address_of_a_cluster_is_a_note_that_says_how_to_use_it() -> None:
    """Ray takes an empty RAY_ADDRESS for none."""
    assert [doctor.cluster_finding(address).verdict for address in (None, "", "10.0.0.1:6379")] == [OK, OK, NOTE]
    finding = doctor.cluster_finding("10.0.0.1:6379")
    assert "10.0.0.1:6379" in finding.found
    assert "--address auto" in str(finding.advice)


def storage_problem(directory: Path) -> str:
    finding = doctor.storage_finding(directory)
    assert finding.verdict is PROBLEM
    assert "--dir" in str(finding.advice)
    return finding.found.removeprefix(f"{directory}: ")


def test_a_folder_that_nobody_may_write_to_is_a_problem() -> None:
    """/proc refuses new files, from root too."""
    assert storage_problem(Path("/proc")) in {"No such file or directory", "Permission denied"}


def test_a_disk_that_takes_no_more_is_a_problem(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        assert storage_problem(tmp_path) == "File too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("owner", "name", "faulty", "reason"),
    [
        (store, "open_storage", lambda *_: optuna.storages.InMemoryStorage(), "journal is not read back"),
        (fcntl, "flock", lambda *_: None, "a lock (flock) does not keep others out"),
        (Path, "replace", lambda path, target: target.exists() or path.rename(target), "does not replace another"),
    ],
    ids=["journal", "flock", "rename"],
)
def test_a_file_system_that_accepts_and_does_not_do_is_a_problem(
    owner: object, name: str, faulty: object, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, faulty)
    assert reason in storage_problem(tmp_path)


def test_mnist_as_published_is_told_with_its_counts() -> None:
    """60,000 training images (LeCun & Cortes)."""
    assert doctor.data_finding(MNIST) == Finding("data", OK, "mnist: 60,000 training images, and all checksums hold")


def test_mnist_that_is_damaged_is_a_problem_that_names_the_file(tmp_path: Path) -> None:
    shutil.copytree(MNIST, tmp_path, dirs_exist_ok=True)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(b"not gzip")
    finding = doctor.data_finding(tmp_path)
    assert finding.verdict is PROBLEM
    assert "t10k-labels-idx1-ubyte.gz" in finding.found
    assert "git checkout" in str(finding.advice)


@pytest.mark.parametrize(
    ("cuda", "boards", "visible", "verdict", "words"),
    [
        (Cuda("13.0", ("NVIDIA A10G",)), A10G, None, OK, "NVIDIA A10G; torch is built for CUDA 13.0"),
        (Cuda("13.0", ("NVIDIA A10G",)), NO_NVML, None, PROBLEM, "Ray sees none without NVML"),
        (Cuda("13.0"), NO_NVML, None, NOTE, "none: trials run on CPU cores"),
        (Cuda("13.0"), Boards((), "580.65.06"), None, NOTE, "none: trials run on CPU cores"),
        (Cuda("13.0"), A10G, "", NOTE, "unset CUDA_VISIBLE_DEVICES"),
        (Cuda("13.0"), A10G, "-1", NOTE, "unset CUDA_VISIBLE_DEVICES"),
        (Cuda(None), A10G, None, PROBLEM, "built for CPUs alone install torch from PyPI"),
        (Cuda("13.0"), Boards(("T4",), "570.124.06"), "0", PROBLEM, "too old for it install NVIDIA driver R580"),
        (Cuda("12.6"), Boards(("T4",), "470.57.02"), None, PROBLEM, "too old for it install NVIDIA driver R525"),
        (Cuda("12.6", (), "Error 802"), Boards(("T4",), "525.60"), None, PROBLEM, "torch none: Error 802 restart"),
        (Cuda("13.0", (), "Error 804"), A10G, None, PROBLEM, "torch none: Error 804 restart"),
    ],
)
def test_a_gpu_that_torch_or_ray_cannot_use_is_told_with_what_to_do(
    cuda: Cuda, boards: Boards, visible: str | None, verdict: Verdict, words: str
) -> None:
    assert doctor.nvml_finding(boards).verdict is (NOTE if boards.error else OK)
    finding = doctor.gpu_finding(cuda, boards, visible)
    assert finding.verdict is verdict
    assert words in f"{finding.found} {finding.advice}"


@pytest.mark.parametrize(
    ("errors", "nvml", "gpu"),
    [
        (
            "",
            "ok driver 580.65.06, GPUs: NVIDIA A10G, NVIDIA T4",
            "problem NVML sees NVIDIA A10G, NVIDIA T4, torch none",
        ),
        ("nvmlInitWithFlags=9", "problem an NVIDIA driver is installed and fails: Driver Not Loaded", "note none"),
    ],
)
def test_boards_are_read_through_the_real_client_library(errors: str, nvml: str, gpu: str, tmp_path: Path) -> None:
    """Against a library of our own in NVML's place; torch finds no CUDA beside it."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing: it builds the library that stands in for NVML")
    source, library = TOP / "tests/trainables/hardware/fake_nvml.c", tmp_path / "libnvidia-ml.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    program = (
        "from study.doctor import *\nboards = look_at_boards()\n"
        "for each in nvml_finding(boards), gpu_finding(look_at_cuda(), boards, None): print(each.verdict, each.found)"
    )
    told = {"LD_LIBRARY_PATH": str(tmp_path), "FAKE_NVML_BOARDS": "NVIDIA A10G,NVIDIA T4", "FAKE_NVML_ERRORS": errors}
    first, second = printed_by(program, **told)
    assert first.startswith(nvml)
    assert second.startswith(gpu)


@pytest.mark.parametrize("browser", ["/nowhere/chrome", "/bin/false"])
def test_a_browser_that_is_missing_or_does_not_start_is_a_note(browser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_PATH", browser)
    finding = doctor.browser_finding()
    assert finding.verdict is NOTE
    assert f"report.html is whole: {browser}: " in finding.found
    assert "apt-get install chromium" in str(finding.advice)


@pytest.mark.parametrize(
    ("free", "verdict"), [(20 * MIB, OK), (20 * MIB - 1, NOTE), (10 * MIB, NOTE), (10 * MIB - 1, PROBLEM)]
)
def test_room_is_a_problem_below_what_is_needed_and_a_note_below_what_is_ample(free: int, verdict: Verdict) -> None:
    finding = doctor.room_finding("disk", free, 10, 20, "delete")
    assert (finding.name, finding.verdict) == ("disk", verdict)
    assert finding.advice == (None if verdict is OK else "delete")


@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_container_has_no_more_memory_than_its_limit(file: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("67108864\n")
    assert doctor.free_memory(tmp_path) == 64 * MIB


def test_without_a_limit_all_that_is_available_is_free(tmp_path: Path) -> None:
    without_file = doctor.free_memory(tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    for free in (without_file, doctor.free_memory(tmp_path)):
        assert free == pytest.approx(psutil.virtual_memory().available, rel=0.2)


@pytest.mark.gpu
def test_a_gpu_is_seen_by_nvml_and_torch_alike() -> None:
    boards, cuda = doctor.look_at_boards(), doctor.look_at_cuda()
    assert (doctor.nvml_finding(boards).verdict, doctor.gpu_finding(cuda, boards, None).verdict) == (OK, OK)
    assert set(cuda.devices) <= set(boards.names)
