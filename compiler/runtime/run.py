"""One run of a workflow: its options, what it has cost, and its journal.

`flow.py`, `pflow-lower run` and pflow-lower inside pflow open a `Run` around everything; a batch that runs without one
is a run of its own.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .fingerprints import digest_of_inputs
from .journal import Journal, forget_answers
from .pace import Pace, Pacer, SharedBudget, rate_of
from .results_places import ResultsPlaces

STATE_VARIABLE = "PFLOW_LOWER_STATE"
"""The environment variable that names the folder of journals and shared rates."""

JOURNAL_VARIABLE = "PFLOW_LOWER_JOURNAL"
"""The environment variable that names the folder of journals alone."""

RESUME_VARIABLE = "PFLOW_LOWER_RESUME"
"""With 1, every batch resumes, whether its annotation says so or not; with 0, none does."""


def place_of(on: str | None) -> tuple[bool, str]:
    """Whether batches run on Ray, and the address of its cluster ("": found by Ray), as --on says.

    Raises: ValueError, if it says anything else; and where ray is not installed, or nothing answers at the address,
    before any step has run.
    """
    kind, _, address = (on or "").partition("=")
    if kind != "ray" and on is not None:
        raise ValueError(f"{on!r} is not a place where batches run; one is ray, or ray=ADDRESS")
    if kind == "ray":
        from .ray_place import NEEDS_RAY, NotForRay, look_for_cluster

        if "ray" not in sys.modules and find_spec("ray") is None:
            raise ValueError(NEEDS_RAY)
        try:
            look_for_cluster(address)
        except NotForRay as error:
            raise ValueError(str(error)) from error
    return kind == "ray", address


def check_for_ray(run: Run, batches: Iterable[Any]) -> None:
    """Raises: ValueError, if `run` is on Ray and one of the generated `batches`, or their classes, cannot run there."""
    if run.is_on_ray:
        from .ray_place import NotForRay, refuse_what_ray_cannot_do

        try:
            refuse_what_ray_cannot_do(batches)
        except NotForRay as error:
            raise ValueError(str(error)) from error


class Run:
    """What the batches of one run share. Threads may ask at the same time."""

    def __init__(
        self,
        workflow: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        resume: bool | None = None,
        fresh: bool = False,
        budget: float | None = None,
        limit: int | None = None,
        journal_folder: Path | Callable[[], Path] | None = None,
        in_part: bool = False,
        on: str | None = None,
        on_options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """`workflow` is the path that names the journal; `inputs` are those that the run was given, if they are
        known: once it has ended well, what runs of the same inputs have left is not needed. `resume` None
        leaves it to each batch; `fresh` forgets what earlier runs of the same inputs have left; `budget` is in
        dollars; `limit` is how many items of every batch run; a run `in_part` does not run all of the workflow,
        so what it has journalled stays for one that does. `on` is "ray" or "ray=ADDRESS", where parallel batches run on
        a cluster; `on_options` says what a node's items need there (`num_cpus`, `num_gpus`, `memory`,
        `runtime_env`), by the node's id.

        Raises: ValueError, if the environment asks for what there is not.
        """
        self.is_in_part = in_part
        self.is_on_ray, self.on_address = place_of(on)
        self.on_options: Mapping[str, Mapping[str, Any]] = on_options or {}
        self.workflow = workflow
        self.resume = resume if resume is not None else _resume_of_environment()
        self.fresh = fresh
        self.budget = budget
        self.limit = limit
        self.is_incomplete = False
        """Whether items are left that failed or never ran, though the run may go on without them."""
        self.has_batches = False
        """Whether any batch has begun."""
        self.results_places = ResultsPlaces()
        """Where batches have written their results."""
        self.spent = 0.0
        """The known cost of this run so far, in dollars."""
        self._unpriced_items = 0
        self._knows_costs = False
        self.is_journalled = False
        """Whether a batch of it has asked for the journal."""
        self.tell: Callable[[str], None] | None = None
        """Who is told what a batch has to say to whoever runs the workflow; without it, its engine is."""
        self.has_ended_well = False
        """Whether it is over and no item is left."""
        self.kept: int | None = None
        """How many answers its journal holds for a run of the same inputs, once it is closed."""
        self._inputs = None if inputs is None else dict(inputs)  # as it was given: steps write into their store
        self._folder = journal_folder
        self._journal: Journal | None = None
        self._lock = threading.Lock()

    @functools.cached_property
    def journal_path(self) -> Path:
        """Where the run's journal stands, if there is one: what the environment says comes first."""
        folder = self._folder() if callable(self._folder) else self._folder
        folder = None if os.environ.get(JOURNAL_VARIABLE) else folder
        return (folder or journals_folder()) / journal_name(self.workflow)

    def wants_journal(self, declared: bool) -> bool:
        """Whether a batch whose annotation says `declared` is journalled."""
        return declared if self.resume is None else self.resume

    def journal(self) -> Journal:
        """The run's journal, opened when the first batch asks. Raises: JournalInUse; JournalError."""
        with self._lock:
            self.is_journalled = True
            if self._journal is None:
                self._journal = Journal(
                    self.journal_path, self.workflow, fresh=self.fresh, inputs=digest_of_inputs(self._inputs)
                )
            return self._journal

    def flush(self) -> None:
        """Wait until what was done is on the disk. Raises: JournalError, if it is not."""
        if (journal := self._journal) is not None:
            journal.flush()

    def forget_earlier(self) -> None:
        """Forget what earlier runs of the same inputs have left, whether or not a batch wants the journal now.

        Raises: JournalInUse; JournalError.
        """
        forget_answers(self.journal_path, digest_of_inputs(self._inputs))

    def pays(self, outputs: Mapping[str, Any], *, is_item: bool = False) -> float | None:
        """An item, or a step that is not a batch, has given `outputs`: what that has cost, if it is known.

        `is_item` says that it is an item that ended well: what has failed need not have cost anything.
        """
        cost = cost_of(outputs)
        with self._lock:
            if cost is None:
                self._unpriced_items += is_item
            else:
                self.spent += cost
                self._knows_costs = True
        return cost

    def unused_budget(self) -> str:
        """What to say where nothing that ran has said what it cost, so that the budget was of no effect; or ""."""
        if self.budget is None or self._knows_costs or not self._unpriced_items:
            return ""
        items = (
            "the one item that ended well"
            if self._unpriced_items == 1
            else f"the {self._unpriced_items} items that ended well"
        )
        return f"no cost is known of {items}, so the budget of {dollars(self.budget)} has bounded nothing"

    def holds_answers(self) -> bool:
        """Whether its journal holds, once it is closed, what the same run need not do again."""
        return self.is_journalled and not self.has_ended_well and self.kept != 0 and self.journal_path.exists()

    def over_budget(self) -> str:
        """Why no further item may start; "" if one may."""
        if self.budget is None or self.spent < self.budget:
            return ""
        return f"the budget of {dollars(self.budget)} is reached ({dollars(self.spent)} known)"

    def close(self, *, ended_well: bool) -> int:
        """The run is over; a journal of a run in which all items have ended well is not needed any more, unless a run
        of the whole workflow is still to come.

        Answers how many answers the journal still holds for a run of the same inputs.

        Raises: JournalError, if not everything could be written.
        """
        with self._lock:
            journal, self._journal = self._journal, None
            self.has_ended_well = ended_well and not self.is_incomplete
        if journal is None:
            return 0
        self.kept = journal.close(ended_well=self.has_ended_well and not self.is_in_part)
        return self.kept


_current: ContextVar[Run | None] = ContextVar("current_run", default=None)


def current_run() -> Run | None:
    """The run that the caller is part of."""
    return _current.get()


@contextlib.contextmanager
def running(run: Run) -> Iterator[Run]:
    """Everything inside is part of `run`, which is closed at the end.

    Raises: JournalError, if the journal could not be written to its end.
    """
    token = _current.set(run)
    try:
        yield run
    except BaseException:  # however it ended, it is over
        _current.reset(token)
        run.close(ended_well=False)
        raise
    _current.reset(token)
    run.close(ended_well=True)


def join(run: Run | None) -> None:
    """What the calling thread does from now on is part of `run`: threads do not inherit that."""
    _current.set(run)


def journals_folder() -> Path:
    """Where journals stand: PFLOW_LOWER_JOURNAL, or a folder of the state's."""
    asked = os.environ.get(JOURNAL_VARIABLE)
    return Path(asked) if asked else state_folder() / "journals"


def state_folder() -> Path:
    """Where journals and shared rates stand: PFLOW_LOWER_STATE, or the platform's folder for such things."""
    asked = os.environ.get(STATE_VARIABLE)
    if asked:
        return Path(asked)
    try:
        from platformdirs import user_state_path
    except ImportError:  # beside a copy of the runtime, without pflow-lower: what platformdirs would say of Linux
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return Path(home) / "pflow-lower"
    return user_state_path("pflow-lower", appauthor=False)


_JOURNAL_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}-[0-9a-f]{12}\.db")
"""What `journal_name` answers looks like: a folder of journals may hold databases of other people, too."""


def is_journal_name(name: str) -> bool:
    """Whether a file called so is the journal of a workflow."""
    return _JOURNAL_NAME.fullmatch(name) is not None


def journal_name(workflow: str) -> str:
    """The name of a workflow's journal: its own, and enough of its path's digest to tell two of one name apart."""
    path = os.path.abspath(workflow)
    stem = os.path.basename(path).partition(".")[0] or "workflow"
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in stem)[:60]
    return f"{plain}-{hashlib.blake2b(os.fsencode(path), digest_size=6).hexdigest()}.db"


_budgets: dict[Path, SharedBudget] = {}
_paces: dict[str, Pace] = {}
_lock = threading.Lock()


def pacer_of(rate: str, *, name: str = "", max_concurrent: int | None = None, owner: str = "") -> Pacer:
    """What says when a call may start: of the budget `name` for all processes, or of the batch `owner` in this one.

    Raises: ValueError, if `rate` is not a rate; OSError, if the file of the budget cannot be written.
    """
    with _lock:
        if not name:
            key = f"{owner}\n{rate}"
            return _paces.setdefault(key, Pace(rate_of(rate)))
        path = state_folder() / "rates" / f"{name}.budget"
        if path not in _budgets:
            _budgets[path] = SharedBudget(path, rate_of(rate) if rate else None, max_concurrent)
        return _budgets[path]


def cost_of(outputs: Mapping[str, Any]) -> float | None:
    """What one item has cost in dollars, where its node says so (pflow's `llm_usage`); None if it is not known."""
    usage = outputs.get("llm_usage")
    if usage is None:
        return None
    parts = usage if isinstance(usage, list) else [usage]
    costs = [cost for part in parts if isinstance(part, Mapping) and (cost := _cost(part)) is not None]
    return sum(costs) if costs else None


def dollars(amount: float) -> str:
    """An amount for people: "$2.50", and "$0.000013" for what is tiny."""
    whole, _, cents = f"{float(f'{amount:.6g}'):.12f}".rstrip("0").partition(".")
    return f"${whole}.{cents:0<2}"


def _cost(usage: Mapping[str, Any]) -> float | None:
    values = (usage.get(name) for name in ("cost_usd", "total_cost_usd", "cost"))
    return next((float(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)), None)


def _resume_of_environment() -> bool | None:
    asked = os.environ.get(RESUME_VARIABLE, "")
    if asked not in ("", "0", "1"):
        raise ValueError(f"{RESUME_VARIABLE} is {asked!r}; 1 resumes every batch, 0 none")
    return {"": None, "0": False, "1": True}[asked]
