"""The command line of a generated program: the inputs of its workflow, and what holds for the whole run."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple, NoReturn

from .declared_inputs import Inputs, fill_in, is_required, typed


class Asked(NamedTuple):
    """What a command line asks for."""

    given: list[str]
    """The arguments that are inputs, `key=value`."""
    help: str
    """The text to print instead of a run; "" if it was not asked for."""
    resume: bool | None
    fresh: bool
    budget: float | None
    limit: int | None
    on: str | None
    quiet: bool = False

    def options(self) -> list[str]:
        """What is asked of batches, as it was written."""
        names = ("resume", "budget", "limit", "on")
        return [f"--{name}" for name in names if getattr(self, name) not in (None, False)]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (--help shows how the program is called)")


def read_arguments(program: str, about: str, inputs: Inputs, arguments: list[str]) -> Asked:
    """What `arguments` ask of `program`, which is said to do what `about` says.

    Raises: ValueError, if an option is unknown or its value is wrong.
    """
    parser = _Parser(
        prog=program,
        description=about,
        epilog=_epilog(inputs),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("inputs", nargs="*", metavar="NAME=VALUE", help="the inputs of the workflow, see below")
    parser.add_argument("-h", "--help", action="store_true", help="show this and do nothing")
    parser.add_argument(
        "--resume", action="store_true", help="keep what every item gives; after a failure, run only what is not done"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="forget what runs of the same inputs have left, and begin again"
    )
    parser.add_argument(
        "--budget", type=dollars, metavar="DOLLARS", help="start no item once the known cost has reached this"
    )
    parser.add_argument("--limit", type=_count, metavar="N", help="run the first N items of every batch only")
    parser.add_argument("--on", metavar="ray[=ADDRESS]", help="run parallel batches on a Ray cluster")
    parser.add_argument("-q", "--quiet", action="store_true", help="do not show how far the batches are")
    found = parser.parse_intermixed_args(arguments)
    return Asked(
        given=found.inputs,
        help=parser.format_help() if found.help else "",
        resume=True if found.resume else None,
        fresh=found.fresh,
        budget=found.budget,
        limit=found.limit,
        on=found.on,
        quiet=found.quiet,
    )


def named(arguments: Iterable[str], inputs: Collection[str] | None = None) -> dict[str, str]:
    """The texts that `name=value` arguments give, by their names; `inputs` are all that may be given, if known.

    Every command line reads them here. Raises: ValueError, if one is unknown, has no value or is given twice.
    """
    given: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals and inputs is not None and name in inputs:
            raise ValueError(f"the input {name} needs a value: {name}=...")
        if not equals or (inputs is not None and name not in inputs):
            known = ", ".join(f"{name}=..." for name in inputs or ()) or "none"
            raise ValueError(f"{argument[:200]!r} is not an input of this workflow; its inputs: {known}")
        if name in given:
            both = f"{given[name][:200]!r} and {value[:200]!r}"
            raise ValueError(f"the input {name} is given twice, as {both}; only one of them can be meant")
        given[name] = value
    return given


def read_inputs(inputs: Inputs, arguments: list[str]) -> dict[str, Any]:
    """The declared inputs with their values from `key=value` arguments, piped text, or defaults.

    Raises: ValueError, if one is unknown, given twice, missing, or not of its declared type.
    """
    given: dict[str, Any] = dict(named(arguments, inputs))
    for name, spec in inputs.items():
        if name not in given and spec.get("stdin") and not sys.stdin.isatty():
            given[name] = sys.stdin.read()
        if name in given:
            given[name] = typed(name, given[name], spec.get("type"))
    fill_in(given, inputs, "{name}=...")
    return {name: given[name] for name in inputs}


def _epilog(inputs: Inputs) -> str:
    """The inputs as `--help` lists them."""
    if not inputs:
        return "The workflow has no inputs."
    rows = [
        (f"{name}=...", ", ".join(_facts(spec)), str(spec.get("description") or "")) for name, spec in inputs.items()
    ]
    width = min(max(len(name) for name, _, _ in rows), 24)
    lines = []
    for name, facts, description in rows:
        lines.append(f"  {name:<{width}}  {facts}")
        lines += [f"  {'':<{width}}  {line.strip()}" for line in description.splitlines() if line.strip()]
    return "\n".join(["inputs:", *lines, "", "Lists and objects are written as JSON."])


def _facts(spec: Mapping[str, Any]) -> list[str]:
    facts = [str(spec.get("type") or "any")]
    if "default" in spec:
        text = json.dumps(spec["default"], ensure_ascii=False, default=str)
        facts.append(f"default {text if len(text) <= 200 else text[:197] + '...'}")
    else:
        facts.append("required" if is_required(spec) else "optional")
    if spec.get("stdin"):
        facts.append("or piped text")
    return facts


def dollars(text: str) -> float:
    """The amount that --budget is given, here and of `pflow-lower run`.

    Raises: argparse.ArgumentTypeError (argparse shows the text of no other), also for 0: under it nothing would run.
    """
    with contextlib.suppress(ValueError):
        value = float(text.removeprefix("$"))
        if math.isfinite(value) and value > 0:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not an amount of dollars above 0, such as 2.50")


def _count(text: str) -> int:
    with contextlib.suppress(ValueError):
        if (value := int(text)) >= 1:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of items, 1 or more")
