"""What several test files need, and the scripts that tests run in a process of their own. Imported as `helpers.…`."""
