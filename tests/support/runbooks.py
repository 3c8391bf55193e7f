"""Reads the runbooks in ``docs/runbooks`` as the tests need them: headings, blocks, AWS commands.

A block that the operator types is a fence ``sh NAME``; ``sh on-instance NAME`` is typed in a
session on an aggregator. What comes out is in fences of ``text``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "docs" / "runbooks"
ON_INSTANCE = "on-instance"

_FENCE = re.compile(r"^( *)```sh(?P<words>[^\n]*)\n(?P<text>.*?)^\1```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(?P<level>#+) (?P<text>.+)$", re.MULTILINE)
_ANY_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
# Where a command begins: not inside a word, a path or a quotation of the prose.
_AWS = re.compile(r"(?<![\w./\"'-])aws (?=[a-z0-9-]+ [a-z0-9-]+)")
_COMMAND_ENDS = {"|", ";", "&", ")", "\n", ">", "<"}


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of shell to type as it stands."""

    runbook: str
    name: str
    place: str
    text: str

    def __str__(self) -> str:
        """Say where it is, for test ids and messages."""
        return f"{self.runbook}: {self.name}"


@dataclass(frozen=True, slots=True)
class Command:
    """One call of the AWS CLI, in words; what is substituted stays as it is written."""

    block: Block
    service: str
    operation: str
    options: dict[str, list[str]]
    positional: list[str]


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "README")


def text(runbook: str) -> str:
    return (FOLDER / f"{runbook}.md").read_text()


def blocks(runbook: str) -> list[Block]:
    return [_block(runbook, found) for found in _FENCE.finditer(text(runbook))]


def all_blocks() -> list[Block]:
    return [block for runbook in names() for block in blocks(runbook)]


def headings(markdown: str, level: int) -> list[str]:
    prose = _ANY_FENCE.sub("", markdown)
    found = _HEADING.finditer(prose)
    return [one["text"] for one in found if len(one["level"]) == level]


def commands(block: Block) -> Iterator[Command]:
    """The calls of the AWS CLI in a block, those inside $(...) included."""
    for found in _AWS.finditer(block.text):
        words = list(split(block.text[found.start() :]))
        options: dict[str, list[str]] = {}
        positional: list[str] = []
        current = positional
        for word in words[3:]:
            if word.startswith("--"):
                current = options.setdefault(word[2:], [])
            else:
                current.append(word)
        yield Command(block, words[1], words[2], options, positional)


def split(shell: str) -> Iterator[str]:
    """The words of the simple command that a piece of shell begins with, quotes taken off."""
    rest = shell
    while True:
        rest = re.sub(r"^(?:[ \t]|\\\n)+", "", rest)
        if not rest or rest[0] in _COMMAND_ENDS:
            return
        word, rest = _word(rest)
        yield word


def _word(shell: str) -> tuple[str, str]:
    word, position = "", 0
    while position < len(shell):
        character = shell[position]
        if character.isspace() or character in _COMMAND_ENDS:
            break
        if shell.startswith("$(", position):
            end = _closing(shell, position + 1)
            word, position = word + shell[position : end + 1], end + 1
        elif character == "'":
            end = shell.index("'", position + 1)
            word, position = word + shell[position + 1 : end], end + 1
        elif character == '"':
            end = _closing_quote(shell, position)
            word, position = word + shell[position + 1 : end].replace('\\"', '"'), end + 1
        elif character == "\\":
            word, position = word + shell[position + 1], position + 2
        else:
            word, position = word + character, position + 1
    return word, shell[position:]


def _closing(shell: str, opening: int) -> int:
    depth = 0
    for position in range(opening, len(shell)):
        depth += {"(": 1, ")": -1}.get(shell[position], 0)
        if depth == 0:
            return position
    raise ValueError(f"no closing parenthesis: {shell[opening : opening + 60]}")


def _closing_quote(shell: str, opening: int) -> int:
    position = opening + 1
    while shell[position] != '"':
        if shell.startswith("$(", position):
            position = _closing(shell, position + 1)
        elif shell[position] == "\\":
            position += 1
        position += 1
    return position


def _block(runbook: str, found: re.Match[str]) -> Block:
    words = found["words"].split()
    place, name = (words[0], words[1]) if words[:1] == [ON_INSTANCE] else ("", words[0])
    indent = found.group(1)
    lines = [line.removeprefix(indent) for line in found["text"].splitlines()]
    return Block(runbook, name, place, "\n".join(lines) + "\n")
