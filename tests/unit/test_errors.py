"""One way to say what is wrong with an input."""

import pytest
from pydantic import BaseModel, ValidationError

from lifecycle.errors import Malformed, NotReady, Permanent, describe_problems, shown


class Inner(BaseModel):
    size: int


class Outer(BaseModel):
    inner: Inner
    name: str


def error_of(document: object) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(document)
    return caught.value


def test_every_problem_is_named_by_its_path_with_what_was_given() -> None:
    said = describe_problems(error_of({"inner": {"size": "big"}}))
    size, name = said.split("; ")
    assert size.startswith("inner.size: ")
    assert size.endswith(" (got 'big')")
    assert name == "name: is missing"


def test_a_document_that_is_wrong_as_a_whole_is_named_so() -> None:
    assert describe_problems(error_of(7)).startswith("(whole): ")


def test_the_reader_gets_the_names_that_he_knows_and_no_value_that_is_secret() -> None:
    said = describe_problems(
        error_of({"inner": {}, "name": 7}), name_of=str.upper, show=lambda _: ""
    )
    assert said == "INNER.SIZE: is missing; NAME: Input should be a valid string"


def test_a_value_is_shown_cut_short() -> None:
    assert shown("x" * 117) == repr("x" * 117)
    assert shown("x" * 1000) == repr("x" * 1000)[:120] + "…"


def test_each_error_carries_what_its_catcher_needs() -> None:
    assert NotReady("later").not_before is None
    assert NotReady("later", not_before=5).not_before == 5
    assert Permanent("never", redrive_with="{}").redrive_with == "{}"
    assert issubclass(Malformed, Permanent)
