"""Plan: what a run of a workflow can make of calls, time and tokens, before anything is spent.

in   SourceIR, the inputs that are given, times of calls, prices
out  Plan: a forecast per node; as text, or as data of the form plan.schema.json

Nothing is run and nobody is asked. What cannot be known is a symbol, `n(node)`, and is calculated with as one.
"""
