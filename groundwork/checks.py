"""A requirement, written once: what is asked of a node, what passes, and what to do when it does not.

Preflight asks before anything is changed (`groundwork.preflight`), verification proves it after
(`groundwork.proofs`). Both are tables of `Check`s over the answers to named questions; a question is a line of
shell, and all questions of a table travel to a node and back in one round trip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from groundwork.spec import ClusterSpec, Node

__all__ = ["Answers", "Check", "Finding", "View", "judge", "parse_answers", "script", "unsettled"]

Answers = Mapping[str, Sequence[str]]
"""The lines that each question was answered with, by the question's name."""

_MARK = "##groundwork "


@dataclass(frozen=True)
class View:
    """One node as a check sees it: what is wanted, and what it answered."""

    spec: ClusterSpec
    node: Node
    answers: Answers
    others: Mapping[str, Answers] = field(default_factory=dict)
    """The answers of all nodes of the run, by name, for what can only be seen across nodes."""

    def line(self, question: str) -> str:
        """The first line of an answer; empty when there was none."""
        lines = self.lines(question)
        return lines[0] if lines else ""

    def lines(self, question: str) -> Sequence[str]:
        """The lines of an answer."""
        return self.answers.get(question, ())


@dataclass(frozen=True)
class Check:
    """A requirement. `wrong` says what contradicts it on a node, or None when it holds."""

    id: str
    asks: str
    expected: str
    remedy: str
    wrong: Callable[[View], str | None]
    applies: Callable[[View], bool] = lambda view: True
    settles: str | None = None
    """The question whose answer may become right by itself, a moment after a change: it is asked again."""


@dataclass(frozen=True)
class Finding:
    """What a check found on a node."""

    check: Check
    node: str
    found: str | None
    """What contradicts; None when the requirement holds."""

    @property
    def passed(self) -> bool:
        return self.found is None

    def sentence(self) -> str:
        """What, where, expected, found, and what to do."""
        return f"{self.node}: {self.check.asks}: {self.found}; wanted: {self.check.expected}. {self.check.remedy}"


def judge(checks: Iterable[Check], views: Iterable[View]) -> list[Finding]:
    """Every check that applies, on every node, in the order of the table."""
    seen = list(views)
    return [
        Finding(check, view.node.name, check.wrong(view)) for check in checks for view in seen if check.applies(view)
    ]


def unsettled(checks: Iterable[Check], view: View) -> set[str]:
    """The questions of `view` that are worth asking again, since what is wrong may become right by itself."""
    return {
        check.settles
        for check in checks
        if check.settles is not None
        and check.settles in view.answers
        and check.applies(view)
        and check.wrong(view) is not None
    }


def script(questions: Mapping[str, str]) -> str:
    """One shell command that answers all `questions`. An answer may be empty, but never stops the others."""
    # What a question prints may end without a newline, and the mark must stand on a line of its own.
    asked = [f"printf '\\n{_MARK}{name}\\n'\n{{ {command}\n}} 2>/dev/null" for name, command in questions.items()]
    return "\n".join([*asked, "true"])


def parse_answers(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The answers in the output of `script`, without empty lines."""
    answers: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        if line.startswith(_MARK):
            name = line.removeprefix(_MARK)
            answers[name] = []
        elif name and line:
            answers[name].append(line)
    return {question: tuple(found) for question, found in answers.items()}
