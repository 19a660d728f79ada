"""The tree of files that the README shows, read back as paths.

It is the first fenced ``text`` block whose first line starts with ``README.md``, or else the first one below a heading
"Layout". A line is an indent, names, and what they are for::

    README.md  pyproject.toml
    study/                    what decides
      cli.py                  kd-study run | resume
      presets/*.toml          each runnable by name
      search/
        proposer.py  replay.py

Names stand at least two spaces apart, and so does what they are for. A name is a folder with its slash, or a file with
its suffix (`Makefile` and `LICENSE` have none); it may hold slashes and stars. A line deeper than a folder's is inside
it. A line that begins with no name goes on with the words of the line before.
"""

import re

_NAME = re.compile(r"(?:[\w*.-]+/)*(?:[\w*.-]*\.[\w*]+|Makefile|LICENSE|[\w*.-]+/)")


def tree_lines(readme: str) -> list[str]:
    """The lines of the tree's block.

    Raises:
        ValueError: the text has no such block.
    """
    blocks: list[tuple[str, list[str]]] = []
    heading = ""
    lines: list[str] | None = None
    for line in readme.splitlines():
        if lines is not None:
            if line.startswith("```"):
                blocks.append((heading, lines))
                lines = None
            else:
                lines.append(line)
        elif line.strip() == "```text":
            lines = []
        elif line.startswith("#"):
            heading = line.strip("# ").lower()
    starting = [block for _, block in blocks if block and block[0].startswith("README.md")]
    below_layout = [block for title, block in blocks if title == "layout"]
    if not starting + below_layout:
        raise ValueError(
            'README.md has no ```text block that starts with "README.md" or stands below a heading "Layout"'
        )
    return (starting + below_layout)[0]


def listed_paths(lines: list[str]) -> tuple[list[str], list[str]]:
    """Paths of the files, and of the folders (with their slash), in the order of the lines."""
    files: list[str] = []
    folders: list[str] = []
    parents: list[tuple[int, str]] = []
    for line in lines:
        names = _names(line)
        if not names:
            continue
        indent = len(line) - len(line.lstrip())
        parents = [(depth, folder) for depth, folder in parents if depth < indent]
        prefix = parents[-1][1] if parents else ""
        files += [prefix + name for name in names if not name.endswith("/")]
        folders += [prefix + name for name in names if name.endswith("/")]
        if names[-1].endswith("/"):
            parents.append((indent, prefix + names[-1]))
    return files, folders


def _names(line: str) -> list[str]:
    names = []
    for words in re.split(r"\s{2,}", line.strip()):
        if not _NAME.fullmatch(words):
            break
        names.append(words)
    return names
