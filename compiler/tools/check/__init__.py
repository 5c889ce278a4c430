"""Are the committed files what their workflows would be lowered to today?

`find` says what there is to check, `compare` checks one folder, `run` checks many, on all cores.
"""
