"""The one query that the product asks, taken apart as Prometheus takes it apart."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RangeSelector:
    """A range selector with regular expressions only; Prometheus anchors them at both ends."""

    matchers: dict[str, re.Pattern[str]]
    seconds: float

    @classmethod
    def parse(cls, query: str) -> "RangeSelector":
        selector = re.fullmatch(r"\{(.*)\}\[([0-9]+)s\]", query)
        assert selector is not None, query
        pairs = re.findall(r'([a-zA-Z_]\w*)=~("(?:[^"\\]|\\.)*")', selector[1])
        assert ",".join(f"{name}=~{text}" for name, text in pairs) == selector[1], query
        return cls(
            {name: re.compile(rf"(?:{json.loads(text)})\Z") for name, text in pairs},
            float(selector[2]),
        )

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(
            pattern.match(labels.get(name, "")) is not None
            for name, pattern in self.matchers.items()
        )

    def matches_some(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a series with these and further labels can be selected."""
        return all(
            pattern.match(labels[name]) is not None
            for name, pattern in self.matchers.items()
            if name in labels
        )
