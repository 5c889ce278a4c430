"""Nodes whose own work is next to nothing, so that what a batch costs around them can be seen."""

import time

from pflow.core.node import Node


class BenchEchoNode(Node):
    """Echo the parameters, after a wait if one is asked for.

    Interface:
    - Params: value: any  # anything
    - Params: text: str  # a string
    - Params: obj: dict  # a dict
    - Params: wait: float  # seconds to wait; 0 gives way to other threads
    - Writes: shared["echo"]: any  # the value param
    - Writes: shared["text"]: str  # the text param
    - Writes: shared["obj"]: dict  # the obj param
    - Actions: default
    """

    name = "bench-echo"

    def prep(self, shared):
        return dict(self.params)

    def exec(self, params):
        if "wait" in params:
            time.sleep(params["wait"])
        return params

    def post(self, shared, prep_res, exec_res):
        for param, output in (("value", "echo"), ("text", "text"), ("obj", "obj")):
            if param in exec_res:
                shared[output] = exec_res[param]
        return "default"
