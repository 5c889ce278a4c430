"""What several tools need: files, watching, reachability, drawings."""
