"""The language server: what an editor shows of a workflow while it is being written.

text.py            offsets in a buffer <-> positions of the protocol
analysis.py        the compiler's stages over a buffer: findings, and what is known of its parts
text_places.py     where values, keys and references stand, from their first to their last character
occurrences.py     every reference and name of a workflow, with what it stands for
ranges.py          the stretch of text that a finding is about
hover.py           what a reference or a key means, in words
fixes.py           the edits that findings suggest
generated_code.py  the generated class of a node, as a file to look at
server.py          all of it on the protocol (pygls; the only module that imports it)
"""
