"""The explorer: a workflow, what it becomes, and how the two hang together, on one page of HTML.

`explore` reads and compiles, `reviewed` asks lint and plan, `page` makes the HTML, `server` keeps it up to date.
"""
