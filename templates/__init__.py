"""The Jinja templates. They are a package so that they are found wherever pflow-lower is installed."""
