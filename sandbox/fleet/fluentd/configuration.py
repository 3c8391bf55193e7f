"""Fluentd's configuration format, as much of it as the documented configurations use."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class ConfigurationError(Exception):
    """Fluentd would not start with this."""


@dataclass
class Section:
    """A section: `<name argument>`, its parameters, the sections in it."""

    name: str = "ROOT"
    argument: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    sections: list["Section"] = field(default_factory=list)

    def all(self, name: str, kind: str | None = None) -> Iterator["Section"]:
        """The sections with this name in it, of this `@type` if one is given."""
        for one in self.sections:
            if one.name == name and kind in {None, one.type}:
                yield one

    def one(self, name: str, kind: str | None = None) -> "Section":
        """The first of them; an empty one if there is none."""
        return next(self.all(name, kind), Section(name))

    @property
    def type(self) -> str:
        """Its `@type`."""
        return self.parameters.get("@type", "")

    def text(self, name: str, default: str = "") -> str:
        return self.parameters.get(name, default)

    def number(self, name: str, default: float) -> float:
        """A number or a time of one unit, in seconds."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", self.text(name, str(default)))
        if found is None:
            raise ConfigurationError(f"{name}: {self.text(name)!r}")
        return float(found[1]) * UNITS[found[2]]

    def flag(self, name: str, *, default: bool = False) -> bool:
        return self.text(name, str(default)).lower() in {"true", "yes"}


def read(path: Path) -> Section:
    """Read a configuration file."""
    open_sections = [Section()]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        if text.startswith("</"):
            if text != f"</{open_sections.pop().name}>" or not open_sections:
                raise ConfigurationError(f"{path}:{number}: {text} closes nothing")
        elif text.startswith("<"):
            name, _, argument = text.strip("<>").partition(" ")
            section = Section(name, argument.strip())
            open_sections[-1].sections.append(section)
            open_sections.append(section)
        elif text:
            key, _, value = text.partition(" ")
            open_sections[-1].parameters[key] = value.strip()
    if len(open_sections) > 1:
        raise ConfigurationError(f"{path}: <{open_sections[-1].name}> is not closed")
    return open_sections[0]
