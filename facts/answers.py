"""The answers to a table of questions, in one round trip."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra.api import FactBase

from groundwork.checks import Answers, parse_answers, script

__all__ = ["AnswersFact"]


class AnswersFact(FactBase[Answers]):
    """What the node answers to `questions` (name -> shell)."""

    @staticmethod
    def default() -> Answers:
        return {}

    def command(self, questions: Mapping[str, str]) -> str:
        return script(questions)

    def process(self, output: list[str]) -> Answers:
        return parse_answers(output)
