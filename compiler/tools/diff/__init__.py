"""What a change of a workflow means, node by node."""
