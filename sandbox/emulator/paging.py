"""Answers in pages, as short as AWS may make them.

AWS: "A response can contain fewer items than the value specified by MaxRecords, even when more
items are available" (DescribeAutoScalingInstances, DescribeAutoScalingGroups); only a missing
NextToken says that an answer is whole. The pages of one answer show one moment.
"""

from collections.abc import Callable
from typing import Any, Protocol

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse

from sandbox.emulator.faults import Faults

MOST_KEPT = 1000
Items = list[Any]
Describe = Callable[[Any], ActionResult]


class InvalidTokenError(ServiceException):
    """The caller's NextToken is none of ours."""


class Pages:
    """What is left of the answers that were given in part."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[Items, list[int]]] = {}
        self._made = 0

    def begin(self, items: Items, faults: Faults, most: int | None) -> tuple[Items, str | None]:
        """The first page of an answer, and the token of the next one if there is one."""
        return self._cut(items, list(faults.short_pages), most)

    def go_on(
        self, token: str, most: int | None, refusal: str = "InvalidNextToken"
    ) -> tuple[Items, str | None]:
        """The page that a token stands for; the same again if the caller asks again."""
        if token not in self._left:
            raise InvalidTokenError(refusal, "The NextToken value is not valid.")
        return self._cut(*self._left[token], most)

    def _cut(self, items: Items, sizes: list[int], most: int | None) -> tuple[Items, str | None]:
        longest = len(items) if most is None else most
        size, is_short = (min(sizes[0], longest), True) if sizes else (longest, False)
        if not is_short and len(items) <= size:
            return items, None
        self._made += 1
        token = f"page-{self._made}"
        self._left[token] = items[size:], sizes[1:]
        if len(self._left) > MOST_KEPT:
            del self._left[next(iter(self._left))]
        return items[:size], token


class Paged(Protocol):
    """What paged answers need of the world."""

    pages: Pages
    faults: Faults


def in_pages(world: Paged, describe: Describe, member: str, limit: str = "MaxRecords") -> Describe:
    """An action of moto's that answers `member` in pages of at most `limit` items."""

    def described(response: BaseResponse) -> ActionResult:
        parameters = response.params
        token, most = parameters.pop("NextToken", None), parameters.pop(limit, None)
        longest = None if most is None else int(most)
        if token is not None:
            items, following = world.pages.go_on(token, longest)
            return ActionResult({member: items, "NextToken": following})
        whole = _whole(response, describe, member)
        items, following = world.pages.begin(whole[member], world.faults, longest)
        return ActionResult({**whole, member: items, "NextToken": following})

    return described


def _whole(response: BaseResponse, describe: Describe, member: str) -> dict[str, Any]:
    """The answer without pages: moto makes some of its own."""
    answer: Any = describe(response).result
    items = list(answer[member])
    while token := answer.get("NextToken"):
        response.params["NextToken"] = token
        answer = describe(response).result
        items += answer[member]
    return {**answer, member: items}
