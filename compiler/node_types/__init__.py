"""Which class a node type is, and what is known of it."""
