"""Imported before pflow by what may run without pflow-lower, for the reason that stands in compiler/before_pflow.py."""

import http.client  # noqa: F401
