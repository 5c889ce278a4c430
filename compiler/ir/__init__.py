"""The data that the stages hand on, and the `${...}` language inside it."""
