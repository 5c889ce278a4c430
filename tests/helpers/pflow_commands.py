"""Run a list of `pflow` commands, each in a process of its own, with or without pflow-lower.

    python pflow_commands.py plain|lowered [models] < COMMANDS

With `models`, the package by which pflow asks models is imported once, too: that takes twice as long as all others.
COMMANDS is a JSON list of argument lists. Prints a JSON list of [exit status, stdout, stderr]. pflow is
imported once and then forked, which makes a command five times as fast as starting Python for it.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import traceback

import before_pflow  # noqa: F401


def run(arguments: list[str], lowered: bool) -> tuple[int, str, str]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # what is piped in would be an input of the workflow
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            status = 70
            try:
                status = command(arguments, lowered)
            except BaseException:  # noqa: BLE001  it is shown, and the child ends below
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
        return status, texts[0], texts[1]


def command(arguments: list[str], lowered: bool) -> int:
    from pflow.cli import cli_main

    sys.argv = ["pflow", *arguments]
    try:
        if lowered:
            from pflow_lower.pflow.cli import start_pflow

            start_pflow(arguments)
        cli_main()
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    return 0


def main() -> None:
    lowered = sys.argv[1] == "lowered"
    if lowered:  # pflow-lower watches before pflow is imported, as in a process of its own
        from pflow_lower.pflow.lazy_install import install_when_imported

        install_when_imported()
    import pflow.cli
    import pflow.execution.plan
    import pflow.runtime.workflow_executor  # noqa: F401
    from pflow.execution.formatters import plan_formatter

    # A plan says how long a node took the last time, if that was a second or more: on a busy machine any may.
    assert plan_formatter._TEXT_DURATION_THRESHOLD_MS
    plan_formatter._TEXT_DURATION_THRESHOLD_MS = float("inf")
    if "models" in sys.argv:
        from pflow.core.litellm_runtime import import_litellm

        import_litellm()
    gc.freeze()  # a collection would look at all that was imported, and so copy it
    json.dump([run(arguments, lowered) for arguments in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main()
