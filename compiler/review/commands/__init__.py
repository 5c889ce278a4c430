"""The reviewer's commands, one module each: options here, work in the module of `review` of the same name.

A module holds `COMMANDS`, a tuple of click commands; `cli.ELSEWHERE` says which module has which command. What
takes time to import is imported inside the command's function.
"""
