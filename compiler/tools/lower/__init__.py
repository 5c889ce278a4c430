"""The command `lower`: a workflow's expanded form and its generated code, printed or written."""
