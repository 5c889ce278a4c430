"""The pre-compile step inside pflow: batch nodes run as generated code, everything else as before.

    import pflow_lower.pflow

    pflow_lower.pflow.install()    # from now on, in this process
    pflow_lower.pflow.uninstall()  # as it was before

Nothing is written to the user's disk. A batch that cannot be lowered faithfully stays with pflow's own
interpreter, and so does everything if pflow-lower itself fails.
"""

from .. import before_pflow  # noqa: F401
from .install import install, is_installed, uninstall
from .versions import Unsupported

__all__ = ["Unsupported", "install", "is_installed", "uninstall"]
