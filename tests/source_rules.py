"""The house rules as pure functions of source text: each returns what breaks it, as "where: what"."""

import ast
import graphlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

ALLOWED_LAYERS = {
    "study": {"study", "search_spaces", "analysis", "trainables"},
    "search_spaces": {"search_spaces", "trainables"},
    "analysis": {"analysis", "trainables"},
    "trainables": {"trainables"},
}
RAY_FILES = {
    "trainables/shared_objects.py",
    "trainables/student.py",
    "study/search/searcher.py",
    "study/search/scheduler.py",
    "study/cluster.py",
    "study/tasks.py",
    "study/co_tenancy.py",
    "study/monitor.py",
    "study/stages.py",
    "study/verify.py",
    "study/watch/gauges.py",
}
# `Dataset.test`: checked for its shape where a dataset is built, and read in the verification alone.
TEST_SPLIT_FILES = {"trainables/data/image_arrays.py", "trainables/verification.py"}
FORBIDDEN_NAMES = {"util", "utils", "common", "helper", "helpers", "base", "misc"}
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_DECLARATIONS = (
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Pass,
)


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file: its path from the top of the repository, and its text."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def layer(self) -> str:
        return PurePosixPath(self.path).parts[0]

    @property
    def module(self) -> str:
        parts = PurePosixPath(self.path).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: Source) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import; of `from a import b` the name is "a.b"."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def wrong_directions(source: Source) -> list[str]:
    allowed = ALLOWED_LAYERS[source.layer]
    return [
        f"{source.path}:{line}: {source.layer} imports {name}"
        for line, name in imports(source)
        if name.split(".")[0] in (ALLOWED_LAYERS.keys() | {"tests"}) - allowed
    ]


def misplaced_ray(source: Source) -> list[str]:
    if source.path in RAY_FILES:
        return []
    return [f"{source.path}:{line}: imports {name}" for line, name in imports(source) if name.split(".")[0] == "ray"]


def reads_of_the_test_split(source: Source) -> list[str]:
    if source.path in TEST_SPLIT_FILES:
        return []
    return [
        f"{source.path}:{node.lineno}: reads {ast.unparse(node)}"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and node.attr == "test"
    ]


def hidden_imports(source: Source) -> list[str]:
    return [
        f"{source.path}:{node.lineno}: import inside a function"
        for function in ast.walk(source.tree)
        if isinstance(function, _FUNCTIONS)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def relative_imports(source: Source) -> list[str]:
    return [
        f"{source.path}:{node.lineno}: relative import"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]


def effects_on_import(source: Source) -> list[str]:
    """Statements of a module or class body other than a docstring, imports, assignments and definitions."""
    tree = source.tree
    bodies: list[list[ast.stmt]] = [
        tree.body,
        *(node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef)),
    ]
    return [
        f"{source.path}:{statement.lineno}: {type(statement).__name__} runs on import"
        for body in bodies
        for place, statement in enumerate(body)
        if not (_is_declaration(statement) or (place == 0 and _is_text(statement)))
    ]


def too_long(source: Source) -> list[str]:
    num_lines = len(source.text.splitlines())
    found = [f"{source.path}: {num_lines} lines"] if num_lines > MAX_FILE_LINES else []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                found.append(f"{source.path}:{node.lineno}: {node.name} has {length} lines")
    return found


def forbidden_names(source: Source) -> list[str]:
    parts = PurePosixPath(source.path).with_suffix("").parts
    return [f"{source.path}: {part} says nothing" for part in parts if part in FORBIDDEN_NAMES]


def import_cycle(sources: Iterable[Source]) -> list[str]:
    """The modules of one import cycle, or nothing; an import for type checking counts too."""
    by_module = {source.module: source for source in sources}
    graph = {module: set(_imported_modules(source, by_module)) for module, source in by_module.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [str(module) for module in error.args[1]]
    return []


def _imported_modules(source: Source, by_module: Mapping[str, Source]) -> Iterator[str]:
    for _, name in imports(source):
        for candidate in (name, name.rpartition(".")[0]):
            if candidate in by_module:
                yield candidate
                break


def _is_declaration(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.If):
        return ast.unparse(statement.test) in {"TYPE_CHECKING", "__name__ == '__main__'"} and not statement.orelse
    return isinstance(statement, _DECLARATIONS)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
