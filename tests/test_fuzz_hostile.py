"""A few hundred hostile workflows, and that what must not happen would be noticed."""

from __future__ import annotations

from collections import Counter
from unittest import mock

import fuzz_hostile
import pytest
from hypothesis import Phase


@pytest.mark.slow
def test_some_hundred_workflows() -> None:
    seen: Counter[str] = Counter()
    fuzz_hostile.search(300, seen, derandomize=True)()
    assert seen["workflows"] >= 300
    assert seen["lowered"] > 50
    assert seen["pages"] > 200


@pytest.mark.slow
def test_a_forgotten_escape_is_found() -> None:
    from pflow_lower.tools.view import colour

    with mock.patch.object(colour, "escape", str), pytest.raises(AssertionError):
        fuzz_hostile.search(300, Counter(), derandomize=True, phases=[Phase.generate])()


def test_code_that_got_out_of_its_literal_is_found() -> None:
    with pytest.raises(AssertionError):
        fuzz_hostile.inert('prompt = ""\npwned()\n')
    fuzz_hostile.inert('prompt = "pwned()"\n')
