"""Imported before pflow, wherever pflow-lower imports it.

pflow's first scan for nodes puts a folder of its own on the path, in which a module is called `http`: it hides the
standard library's from whoever has not imported it by then, and pflow keeps a registry without the nodes that need it.
The runtime, which imports nothing of ours, does the same in `program_run.py`.
"""

import http.client  # noqa: F401
