"""The table that the benchmarks end in: what was measured, of us and of a peer, and whether it is enough."""

from dataclasses import dataclass, field
from typing import final

HEADER = ("what", "ours", "peer", "ratio", "target", "reached?")


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. `is_reached` is None where there is no target: shown for information."""

    what: str
    ours: str
    peer: str
    ratio: str
    target: str
    is_reached: bool | None

    @property
    def cells(self) -> tuple[str, ...]:
        """Its texts in the order of `HEADER`."""
        reached = "" if self.is_reached is None else "yes" if self.is_reached else "NO"
        return self.what, self.ours, self.peer, self.ratio, self.target, reached


@final
@dataclass
class Scoreboard:
    """Rows in the order in which they were measured."""

    conditions: str = ""
    rows: list[Row] = field(default_factory=list)

    def ratio_at_least(self, what: str, *, ours: str, peer: str, ratio: float, minimum: float) -> Row:
        """Add a row whose ratio must not be below `minimum`; the test asserts `is_reached`."""
        return self._add(Row(what, ours, peer, f"{ratio:.3g}x", f"at least {minimum:g}x", ratio >= minimum))

    def ratio_at_most(self, what: str, *, ours: str, peer: str, ratio: float, maximum: float) -> Row:
        """Add a row whose ratio must not exceed `maximum`; the test asserts `is_reached`."""
        return self._add(Row(what, ours, peer, f"{ratio:.3g}x", f"at most {maximum:g}x", ratio <= maximum))

    def at_most(self, what: str, *, value: float, limit: float, unit: str, peer: str = "") -> Row:
        """Add a row of a value that must not exceed `limit`; the test asserts `is_reached`."""
        return self._add(Row(what, f"{value:.3g} {unit}", peer, "", f"at most {limit:g} {unit}", value <= limit))

    def shown(self, what: str, *, ours: str = "", peer: str = "", ratio: float | None = None) -> None:
        """Add a row without a target."""
        self._add(Row(what, ours, peer, "" if ratio is None else f"{ratio:.3g}x", "", None))

    def markdown(self) -> str:
        """The table, readable as it is, with the conditions under it."""
        lines = [HEADER, *(row.cells for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
        texts = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
        rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
        return "\n".join([texts[0], rule, *texts[1:], "", self.conditions]).rstrip() + "\n"

    def _add(self, row: Row) -> Row:
        self.rows.append(row)
        return row
