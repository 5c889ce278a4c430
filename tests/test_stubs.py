"""Stubs in the place of pflow's functions: nobody gets past them until what they start has run."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pflow_lower.pflow.stubs import install_stub, remove_stubs, without_stub

PATIENCE = 120


class Owner:
    """Of a function as pflow has them."""

    def ask(self, who: str) -> str:
        return f"pflow's own, {who}"

    @staticmethod
    def told(who: str) -> str:
        return f"pflow's own, {who}"


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("ask", "told"):
        monkeypatch.setattr(Owner, name, vars(Owner)[name])
    yield
    remove_stubs()


@pytest.mark.parametrize("name", ["ask", "told"])
def test_no_thread_gets_past_a_stub_while_it_starts(name: str) -> None:
    """Nor does one that looks for the function meanwhile find pflow's own."""
    starting, go_on = threading.Event(), threading.Event()
    own = vars(Owner)[name]
    is_static = isinstance(own, staticmethod)

    def ours(*arguments: Any) -> str:
        return f"ours, {arguments[-1]}"

    def start() -> None:
        assert getattr(Owner(), name)("who starts") == "pflow's own, who starts"
        starting.set()
        assert go_on.wait(PATIENCE)
        assert without_stub(vars(Owner)[name]) is own
        setattr(Owner, name, staticmethod(ours) if is_static else ours)

    said: list[str] = []
    install_stub(Owner, name, start)
    threads = [threading.Thread(target=lambda: said.append(getattr(Owner(), name)("first")))]
    threads[0].start()
    assert starting.wait(PATIENCE)
    threads += [threading.Thread(target=lambda: said.append(getattr(Owner(), name)("second")))]
    threads[1].start()
    threads[1].join(0.2)
    assert said == []
    go_on.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(said) == ["ours, first", "ours, second"]


def test_where_nothing_is_put_in_its_place_pflow_s_own_is_back() -> None:
    own = vars(Owner)["ask"]
    install_stub(Owner, "ask", lambda: None)
    stub = vars(Owner)["ask"]
    assert Owner().ask("a") == "pflow's own, a" and vars(Owner)["ask"] is own
    Owner.ask = stub  # type: ignore[method-assign]  # by somebody who had taken it away for a while
    assert Owner().ask("b") == "pflow's own, b"
