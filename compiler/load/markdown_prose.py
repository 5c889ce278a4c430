"""Lines of a `.pflow.md` that pflow reads as prose, or does not read at all, and that are probably meant as more.

A misspelt `## Outputs` takes everything below it out of the workflow; a bullet without the space after its dash, one
that is not a dash, or a line that has slipped out of the bullet above it, is a sentence of the description. pflow says
nothing of any of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..ir.report import nearest
from ..ir.workflow import NODE_KEYS
from ..node_types.pflow_types import TYPES, WORKFLOW_PARAMS
from .markdown_structure import Section

DECLARED = ("Inputs", "Steps", "Outputs")
"""The sections in which every bullet is a key and its value."""
_SECTIONS = (*DECLARED, "Cache")
"""The sections that pflow reads."""
_ALIKE = 0.75
"""How like the name of a section another one is that is taken for a misspelling of it."""
_NO_SPACE = re.compile(r"-(\w+):(?=\s|$)")
_KEY = re.compile(r"\s*([a-z][a-z_]*):(?=\s|$)")
_OTHER_BULLET = re.compile(r"\s*[+*]\s+([a-z][a-z_]*):(?=\s|$)")
_OF_ENTITIES = ("required", "default", "stdin", "source")  # of inputs and outputs
_KNOWN = frozenset().union(*(known.params for known in TYPES.values()), WORKFLOW_PARAMS, NODE_KEYS, _OF_ENTITIES)
"""Keys that a bullet of prose hardly begins with; of others, a list in the author's own words is made."""


class Doubtful(NamedTuple):
    """What is probably meant as more than it is read as: where it starts, in which entity, and what to do."""

    offset: int
    where: str
    message: str
    help: str


def doubtful(text: str, sections: Iterable[Section]) -> Iterator[Doubtful]:
    """All such places of a text, in order."""
    top = ""
    for section in sections:
        if section.level == 2:
            top = section.name.title()
            meant = nearest(section.name, _SECTIONS, alike=_ALIKE) if top not in _SECTIONS else None
            if meant is not None:
                message = f"the section `## {section.name}` is not read: pflow knows no such section"
                yield Doubtful(section.start, "", message, f"did you mean `## {meant}`?")
        elif top in DECLARED:
            yield from sorted([*_lines(text, section), *_fences(section)])


def _lines(text: str, section: Section) -> Iterator[Doubtful]:
    ends = {end for _, end in section.bullets}
    for start, end in section.prose:
        line = text[start:end]
        if (bullet := _NO_SPACE.match(line)) is not None:
            message = f"`-{bullet[1]}:` is read as prose, not as a parameter"
            yield Doubtful(start, section.name, message, "write a space after the dash")
        elif (key := _OTHER_BULLET.match(line)) is not None and (start in ends or key[1] in _KNOWN):
            message = f"`{key[0].strip()}` is read as prose: the bullets that pflow reads are dashes"
            yield Doubtful(start, section.name, message, f"write `- {key[1]}:`")
        elif start in ends and (key := _KEY.match(line)) is not None:
            message = f"`{key[1]}:` is read as prose: it stands outside of the bullet above it"
            help = f"indent it, or write `- {key[1]}:`; before prose, leave a line empty"
            yield Doubtful(start, section.name, message, help)


def _fences(section: Section) -> Iterator[Doubtful]:
    for start, info in section.fences:
        words = info.split()
        if len(words) > 1 and words[0].lower() != "yaml" and nearest(words[0].lower(), ["yaml"], alike=_ALIKE):
            message = f"the block `{words[-1]}` is text: its language is `{words[0]}`"
            yield Doubtful(start, section.name, message, f"did you mean `yaml {words[-1]}`?")
