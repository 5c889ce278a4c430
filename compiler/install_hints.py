"""What to type where a library is missing.

pflow-lower itself is on no package index, so a hint names the libraries of an extra, never the extra. A test compares
them with pyproject.toml.
"""

from __future__ import annotations

from .node_types.pflow_types import REFERENCE

PFLOW = f'pip install "pflow-cli=={REFERENCE}.*" markdown-it-py'
"""For Markdown workflows, and for all that runs in pflow: the extra `pflow`."""
MARKDOWN_PLACES = "pip install markdown-it-py"
"""For the places of findings in a Markdown workflow, where pflow is there."""
LANGUAGE_SERVER = 'pip install "pygls>=2,<3"'
"""For editors: the extra `lsp`."""
