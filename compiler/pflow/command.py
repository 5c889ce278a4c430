"""`pflow-lower pflow ARGS...`: pflow's own command line, with pflow-lower on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from .enable import Refused, is_wanted
from .lazy_install import install_when_imported


def run_pflow(arguments: Sequence[str]) -> NoReturn:
    """Run `pflow` with `arguments` in this process, as its own script does, and exit as it does.

    Raises: Refused, if pflow is not installed.
    """
    if is_wanted(True):
        install_when_imported()
    sys.argv = ["pflow", *arguments]
    # Usage lines name the program; under `python -m pflow_lower` click would make that the module.
    sys.modules["__main__"].__package__ = None
    try:
        from pflow.cli import cli_main
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "pflow":
            raise
        where = f"pflow is not installed in this Python ({sys.executable})"
        raise Refused(f"{where}: pip install 'pflow-lower[pflow]'") from error
    cli_main()
    raise SystemExit(0)
