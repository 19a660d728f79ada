"""The layers, the rules of the house and the README's tree, held against the source itself."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests import source_rules
from tests.readme_tree import listed_paths, tree_lines
from tests.source_rules import ALLOWED_LAYERS, Source

TOP = Path(__file__).parent.parent


def read_sources(*folders: str) -> list[Source]:
    files = sorted(file for folder in folders for file in (TOP / folder).rglob("*.py"))
    return [Source(file.relative_to(TOP).as_posix(), file.read_text("utf-8")) for file in files]


OURS = read_sources(*ALLOWED_LAYERS)
TESTS = read_sources("tests")

Rule = Callable[[Source], list[str]]
RULES_FOR_US: list[Rule] = [
    source_rules.wrong_directions,
    source_rules.misplaced_ray,
    source_rules.effects_on_import,
    source_rules.reads_of_the_test_split,
]
RULES_FOR_ALL: list[Rule] = [
    source_rules.hidden_imports,
    source_rules.relative_imports,
    source_rules.too_long,
    source_rules.forbidden_names,
]


@pytest.mark.parametrize("rule", RULES_FOR_US + RULES_FOR_ALL)
def test_the_four_layers_keep_the_rule(rule: Rule) -> None:
    assert [problem for source in OURS for problem in rule(source)] == []


@pytest.mark.parametrize("rule", RULES_FOR_ALL)
def test_the_tests_keep_the_rule(rule: Rule) -> None:
    assert [problem for source in TESTS for problem in rule(source)] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert source_rules.import_cycle(OURS) == []


def test_every_module_says_in_its_first_line_what_it_is_for() -> None:
    assert [source.path for source in OURS if not source.text.startswith('"""')] == []


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (source_rules.wrong_directions, "trainables/a.py", "from study.config import StudyConfig"),
        (source_rules.wrong_directions, "trainables/a.py", "import search_spaces.space"),
        (source_rules.wrong_directions, "analysis/a.py", "if TYPE_CHECKING:\n    from study import config"),
        (source_rules.wrong_directions, "search_spaces/a.py", "from analysis import pareto"),
        (source_rules.wrong_directions, "study/a.py", "from tests import conftest"),
        (source_rules.misplaced_ray, "analysis/a.py", "from ray import tune"),
        (source_rules.misplaced_ray, "study/search/proposer.py", "import ray.tune as tune"),
        (source_rules.hidden_imports, "study/a.py", "def f():\n    if True:\n        import json"),
        (source_rules.relative_imports, "study/a.py", "from . import config"),
        (source_rules.effects_on_import, "study/a.py", "'''Text.'''\nprint(1)"),
        (source_rules.effects_on_import, "study/a.py", "X = 1\n'''Not a docstring.'''"),
        (source_rules.effects_on_import, "study/a.py", "try:\n    import ray\nexcept ImportError:\n    ray = None"),
        (source_rules.effects_on_import, "study/a.py", "if sys.platform == 'linux':\n    X = 1"),
        (source_rules.effects_on_import, "study/a.py", "for name in NAMES:\n    NAMES[name] = 1"),
        (source_rules.effects_on_import, "study/a.py", "class A:\n    print(1)"),
        (source_rules.reads_of_the_test_split, "study/a.py", "images = load('mnist').test"),
        (source_rules.too_long, "study/a.py", "X = 1\n" * 301),
        (source_rules.too_long, "study/a.py", "def f():\n" + "    x = 1\n" * 60),
        (source_rules.forbidden_names, "study/utils.py", ""),
        (source_rules.forbidden_names, "study/common/a.py", ""),
    ],
)
def test_a_breach_of_the_rule_is_seen(rule: Rule, path: str, text: str) -> None:
    assert len(rule(Source(path, text))) == 1


@pytest.mark.parametrize("rule", RULES_FOR_US + RULES_FOR_ALL)
def test_source_as_it_should_be_keeps_the_rule(rule: Rule) -> None:
    text = (
        '"""Text."""\nimport ray\nfrom trainables.config import Frozen\n'
        "if TYPE_CHECKING:\n    from torch import Tensor\n"
        'X: int = f(1)\nclass A(Frozen):\n    """Text."""\n    size: int = 1\n'
        "@app.command()\ndef f() -> None:\n    print(1)\nif __name__ == '__main__':\n    f()\n"
    )
    assert rule(Source("study/cluster.py", text)) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [("from study import b", "import study.a"), ("from study.b import f", "from study.a import g")],
)
def test_a_circle_is_seen(first: str, second: str) -> None:
    assert {"study.a", "study.b"} <= set(
        source_rules.import_cycle([Source("study/a.py", first), Source("study/b.py", second)])
    )


def test_warnings_are_errors() -> None:
    with pytest.raises(UserWarning, match="as an error"):
        warnings.warn("as an error", UserWarning, stacklevel=1)


def loaded_after_importing(modules: list[str], watched: list[str]) -> list[str]:
    program = "import sys, importlib\nfor name in sys.argv[1].split(): importlib.import_module(name)\n"
    program += "print(*sorted(set(sys.argv[2].split()) & sys.modules.keys()))"
    command = [sys.executable, "-c", program, " ".join(modules), " ".join(watched)]
    return subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


@pytest.mark.parametrize("layer", ["analysis", "search_spaces"])
def test_reading_a_study_and_naming_a_space_load_neither_ray_nor_torchvision(layer: str) -> None:
    modules = [source.module for source in OURS if source.layer == layer]
    assert loaded_after_importing(modules, ["ray", "torchvision"]) == []


def test_training_loads_neither_ray_nor_torchvision() -> None:
    assert loaded_after_importing(["trainables.training"], ["ray", "torchvision"]) == []


def test_the_command_line_starts_without_ray_and_torch() -> None:
    assert loaded_after_importing(["study.cli"], ["ray", "torch", "torchvision"]) == []


def is_docstring_alone(file: Path) -> bool:
    return file.name == "__init__.py" and len(Source(file.name, file.read_text("utf-8")).tree.body) <= 1


def test_the_readme_shows_every_file_and_no_other() -> None:
    """An `__init__.py` that holds no more than its docstring need not be shown."""
    listed, folders = listed_paths(tree_lines((TOP / "README.md").read_text("utf-8")))
    present = [
        file
        for layer in ALLOWED_LAYERS
        for file in (TOP / layer).rglob("*")
        if file.suffix in {".py", ".toml", ".yaml"} and "__pycache__" not in file.parts
    ]
    paths = {file.relative_to(TOP).as_posix(): file for file in present}
    unshown = [path for path in paths if not any(fnmatchcase(path, pattern) for pattern in listed)]
    assert [path for path in unshown if not is_docstring_alone(paths[path])] == []
    assert [pattern for pattern in listed + folders if not any(TOP.glob(pattern))] == []
    assert len(set(listed)) == len(listed)


def test_a_tree_is_read_as_it_is_drawn() -> None:
    readme = (
        "# Title\n```text\nnot this one\n```\n## Layout\n```text\nREADME.md  Makefile  LICENSE\n"
        "study/    what decides\n"
        "  cli.py        kd-study run | status, reads a.toml and more\n                and goes on like this\n"
        "  presets/*.toml   each\n  search/\n    proposer.py  replay.py  both. No Ray\n\n"
        "  store.py\ntests/  mirrors\n```\n"
    )
    files, folders = listed_paths(tree_lines(readme))
    assert files == [
        *("README.md", "Makefile", "LICENSE", "study/cli.py", "study/presets/*.toml"),
        *("study/search/proposer.py", "study/search/replay.py", "study/store.py"),
    ]
    assert folders == ["study/", "study/search/", "tests/"]


def test_a_readme_without_a_tree_is_refused() -> None:
    with pytest.raises(ValueError, match=r"README\.md has no ```text block"):
        tree_lines("# Title\n```text\nnot this one\n```\n")
