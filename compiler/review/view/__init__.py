"""The explorer: a workflow, what it becomes, and how the two hang together, on one page of HTML.

`explore` reads and compiles, `render` makes the page, `server` keeps one up to date.
"""
