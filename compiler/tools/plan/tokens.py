"""Tokens of model calls, as far as the prompts are known: a token is taken for four characters.

That is the usual rule of thumb for English text. It is not a tokenizer's count: those differ from model to model, and
fetch their vocabularies from the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...ir.template import parse
from ...ir.workflow import SourceNode
from ...node_types.pflow_types import ASKED, asks_a_model
from .amount import Amount, Range
from .known import UNKNOWN, KnownValues

CHARACTERS = 4
METHOD = f"characters / {CHARACTERS}"


class Tokens(NamedTuple):
    """Tokens of all calls of a node."""

    input: Range
    """What the calls send: at best, and if every attempt is needed."""
    exact: bool
    """Whether every prompt is known; otherwise there are more than `input` says."""
    output: Amount | None
    """What they can answer at most; None if nothing limits it."""

    def plus(self, other: Tokens) -> Tokens:
        """Of both."""
        output = None if self.output is None or other.output is None else self.output.plus(other.output)
        return Tokens(self.input.plus(other.input), self.exact and other.exact, output)

    def either(self, other: Tokens) -> Tokens:
        """Of one of them, whichever."""
        output = None if self.output is None or other.output is None else self.output.most(other.output)
        return Tokens(self.input.either(other.input), self.exact and other.exact, output)

    def times(self, runs: Range) -> Tokens:
        """Of several runs."""
        output = self.output.times(runs.high) if self.output is not None else None
        return Tokens(self.input.times(runs), self.exact, output)


class Price(NamedTuple):
    """What a million tokens cost."""

    input: float
    output: float


def tokens_of(
    node: SourceNode,
    known: KnownValues,
    items: Sequence[Any] | None,
    runs: Range,
    count: Range,
    attempts: int,
    cached: Sequence[str] = (),
) -> Tokens | None:
    """The tokens of a node that calls a model; None for any other.

    `items` are those of a batch, if they are known, `count` their number (1 without a batch), `cached` what every call
    sends from the prompt cache.
    """
    if not asks_a_model(node.type):
        return None
    texts = [*cached, *(node.params[key] for key in ASKED if isinstance(node.params.get(key), str))]
    exact = "images" not in node.params and isinstance(node.params.get("inputs", {}), dict)
    if node.batch is None:
        size, whole = _size(texts, known, {}, node)
        low = Amount.of(size)
    elif items is None:
        size, whole = _size(texts, known, {**dict.fromkeys(node.batch.aliases, UNKNOWN), "__index__": UNKNOWN}, node)
        low = count.low.times(size)
        sent = Range(low.times(runs.low), count.high.times(size * attempts).times(runs.high))
        return Tokens(sent, exact and whole, _answers(node, runs.high.times(count.high).times(attempts)))
    else:
        names = node.batch.named
        sizes = [_size(texts, known, {**names(item), "__index__": index}, node) for index, item in enumerate(items)]
        low, whole = Amount.of(sum(size for size, _ in sizes)), all(whole for _, whole in sizes)
    sent = Range(low.times(runs.low), low.times(attempts).times(runs.high))
    return Tokens(sent, exact and whole, _answers(node, runs.high.times(count.high).times(attempts)))


def _answers(node: SourceNode, calls: Amount) -> Amount | None:
    most = node.params.get("max_tokens")
    return calls.times(most) if isinstance(most, int) and not isinstance(most, bool) else None


def _size(texts: Sequence[str], known: KnownValues, more: Mapping[str, Any], node: SourceNode) -> tuple[int, bool]:
    """The tokens of one call's texts, and whether these are all."""
    characters, whole = 0, True
    inputs = node.params.get("inputs")
    own = dict(more)
    for name, value in inputs.items() if isinstance(inputs, dict) else ():
        own[name] = known.value(value, more)
    for text in texts:
        value = known.value(text, own)
        if value is UNKNOWN:
            whole = False
            characters += sum(len(part) for part in parse(text).parts if isinstance(part, str))
        else:
            characters += len(value if isinstance(value, str) else str(value))
    return -(-characters // CHARACTERS), whole
