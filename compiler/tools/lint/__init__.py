"""Lint: what can be proven about a valid workflow, and costs its author money, time or data.

in   SourceIR, the findings of the stages
out  PFL5xx findings, and how to mend what can be mended safely

`table.RULES` lists the rules; each stands in the module of its group. A rule says nothing where it would have to
guess: what a node type does is known for pflow's own types only (`review/node_facts.py`).
"""

from __future__ import annotations
