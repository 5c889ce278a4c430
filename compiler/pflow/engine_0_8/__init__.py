"""The adapter for pflow 0.8.1, whose engine wraps nodes in nodes."""
