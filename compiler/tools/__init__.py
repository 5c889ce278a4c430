"""What stands on top of the compiler: a folder per command, `shared` for what several need."""
