"""`pflow-lower` and `python -m pflow_lower`.

`--version` is answered before anything is imported that takes time.
"""

from __future__ import annotations

import io
import os
import sys

from .stdio import cannot_write


def main() -> None:
    """The command; its exit status is 0 (done), 1 (found what it looked for) or 2 (could not)."""
    arguments = sys.argv[1:]
    if arguments[:1] not in (["pflow"], ["run"], ["prove"]):
        _forget_working_directory()
    _open_closed()
    _write_utf_8()
    if arguments == ["--version"]:
        from . import __version__

        _say(f"pflow-lower {__version__}\n")
        return
    from .cli import run

    run(arguments or ["--help"])


def _forget_working_directory() -> None:
    """Have `python -m pflow_lower` import nothing from the folder it is called in, which may be anybody's checkout.

    (pflow's own commands may: there, nodes of the user's are run.)
    """
    if getattr(__spec__, "name", "") == "pflow_lower.__main__" and sys.path[:1] in ([""], [os.getcwd()]):
        del sys.path[0]


def _open_closed() -> None:
    """Where a standard stream is closed (`>&-`), Python has None: read nothing, and write to nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  until the end


def _write_utf_8() -> None:
    """What is printed into a file or a pipe is the text of a file, and those are UTF-8 whatever the locale."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        if sys.stdout.isatty():
            sys.stdout.reconfigure(errors="backslashreplace")
        else:
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def _say(text: str) -> None:
    try:
        print(text, end="", flush=True)
    except OSError as error:
        raise SystemExit(cannot_write(error)) from None


if __name__ == "__main__":
    main()
