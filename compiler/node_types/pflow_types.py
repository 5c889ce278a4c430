"""pflow's own node types: one record each of everything that the compiler knows about them.

Read in pflow `REFERENCE`; tests/test_pflow_types.py holds the records against the types themselves where pflow is
installed. What the registry of an installed pflow says beyond this is read by `lookup.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from .allowed_values import Allowed, above_0, an_object, between, one_of

REFERENCE = "0.16"
"""The pflow whose behaviour is what generated code keeps to."""

RECORDED_IN = f"{REFERENCE}.0"
"""The exact version in which the records were made."""

_NONE: Mapping[str, Any] = MappingProxyType({})


class Attempts(NamedTuple):
    """How often one run of a node does its work, and what becomes of it in the end."""

    own: int = 1
    """Attempts that the node's class makes by itself, unless `retry.max` says otherwise."""
    wait: float = 0
    """Seconds between them."""
    heeds_retry: bool = True
    """Whether `retry` makes a difference: some types never raise while they work, so nothing is repeated."""
    raises: bool = False
    """Whether the last failure is raised, so that `batch.max_retries` repeats the whole node. Types that answer
    with an error instead are repeated only after a `timeout`: an answer is an answer."""


class PflowType(NamedTuple):
    """One node type."""

    path: str
    """Its class, "module:Class"."""
    params: Mapping[str, str]
    """Its parameters with the types that pflow declares for them."""
    outputs: Mapping[str, str]
    """What it writes, likewise. A name with _ in front is pflow's own."""
    call: str
    """What one run of it is, for messages."""
    attempts: Attempts = Attempts()
    declares_params: bool = True
    """Whether pflow refuses a parameter that the type does not declare."""
    needs: tuple[str, ...] = ()
    """Parameters without which a run of it fails; pflow finds that out when it runs."""
    may_be_empty: frozenset[str] = frozenset()
    """Those of them whose text may be empty."""
    effects: Literal["none", "perhaps", "yes"] = "perhaps"
    """Whether it leaves something behind in the world: always, or as its parameters say."""
    left_behind: str = ""
    """What a call may have done whose end nobody saw, where doing it again is not the same as doing it once, whatever
    its parameters say."""
    asks_a_model: bool = False
    """Whether a run is one call of a model, whose prompt, price and answer count in tokens."""
    answers: Literal["the same", "new"] = "the same"
    """Whether calls with equal parameters may well be answered differently, as a model's are."""
    cached: bool = False
    """Whether pflow uses the result of an earlier run unless told otherwise."""
    text_containers: frozenset[str] = frozenset()
    """Parameters that hold strings which are never read as JSON."""
    data_outputs: tuple[str, ...] = ()
    """Outputs that are lists and objects themselves. Others are text, which is read as JSON anew for each reader."""
    structured_output: str = ""
    """The output that is such a value where the node has an `output_schema`."""
    chooses_action: bool = False
    """Whether it may give an action of its own; others give `default`, or `error` where they fail."""
    known_outputs: bool = True
    """Whether the type says what it writes."""
    allowed: Mapping[str, Allowed] = _NONE
    """Parameters that take nothing else: with another value it is refused, or fails whenever it runs."""
    runs_python: bool = False
    """Whether Python code is given its inputs as the objects that they are, and may change them."""
    writes_file: str = ""
    """The parameter that names the file it writes."""
    replaces_file: bool = False
    """Whether it writes over a file that is there without being asked to (`overwrite`)."""


def _table(text: str) -> Mapping[str, str]:
    """Names and types: "prompt:str images:list[str]"."""
    return MappingProxyType(dict(entry.split(":", 1) for entry in text.split()))


_FILE = Attempts(own=3, wait=0.1)
_COPY_FILE = PflowType(
    "pflow.nodes.file.copy_file:CopyFileNode",
    _table("source_path:str dest_path:str overwrite:bool"),
    _table("copied:bool error:str"),
    "file operation",
    _FILE,
    needs=("source_path", "dest_path"),
    effects="yes",
    left_behind="the file may have been copied",
    writes_file="dest_path",
)
_WORKFLOW = PflowType(
    "pflow.runtime.workflow_executor:WorkflowExecutor",
    _NONE,
    _NONE,
    "sub-workflow",
    Attempts(heeds_retry=False),
    chooses_action=True,
    known_outputs=False,
    runs_python=True,
)
_OTHER = PflowType("", _NONE, _NONE, "", declares_params=False, known_outputs=False)
_MCP = PflowType("pflow.nodes.mcp.node:MCPNode", _NONE, _NONE, "tool call", declares_params=False, known_outputs=False)

WORKFLOW = "workflow"
WORKFLOW_TYPES = frozenset({WORKFLOW, "pflow.runtime.workflow_executor"})
"""The names of the type that runs another workflow; pflow looks them up nowhere."""
WORKFLOW_PARAMS = frozenset({"workflow", "inputs", "error_action", "max_depth"})
"""The parameters of that type, which its class lists by itself."""

TYPES: Mapping[str, PflowType] = {
    "agent": PflowType(
        "pflow.nodes.agent.agent_node:AgentNode",
        _table(
            "backend:str prompt:str inputs:dict output_schema:dict cwd:str model:str timeout:int "
            "system_prompt:str resume:str schema_retries:int use_api_key:bool allowed_tools:list "
            "disallowed_tools:list max_turns:int max_thinking_tokens:int approval_policy:str "
            "add_dir:list profile:str config:dict sandbox:dict|str"
        ),
        _table("result:str|dict _schema_error:str _agent_error:str llm_usage:dict"),
        "agent session",
        Attempts(own=2, wait=1.0, raises=True),
        needs=("backend", "prompt"),
        left_behind="the agent may have done a part of its work",
        answers="new",
        structured_output="result",
        allowed={"backend": one_of("claude", "codex", refused=True), "timeout": between(30, 3600)},
    ),
    "code": PflowType(
        "pflow.nodes.python.python_code:PythonCodeNode",
        _table("code:str inputs:dict timeout:int requires:list"),
        _table("result:any stdout:str stderr:str error:str"),
        "run of the code",
        needs=("code",),
        data_outputs=("result",),
        chooses_action=True,
        allowed={"inputs": an_object(), "timeout": above_0(text=True)},
        runs_python=True,
    ),
    "copy-file": _COPY_FILE,
    "delete-file": PflowType(
        "pflow.nodes.file.delete_file:DeleteFileNode",
        _table("file_path:str"),
        _table("deleted:str error:str"),
        "file operation",
        _FILE,
        needs=("file_path",),
        effects="yes",
    ),
    "http": PflowType(
        "pflow.nodes.http.http:HttpNode",
        _table(
            "url:str method:str body:dict|str headers:dict params:dict timeout:int auth_token:str "
            "api_key:str api_key_header:str"
        ),
        _table(
            "response:dict|str response_is_binary:bool status_code:int response_headers:dict "
            "response_time:float error:str"
        ),
        "request",
        Attempts(own=3, wait=1.0, raises=True),
        needs=("url",),
        data_outputs=("response",),
        allowed={
            "method": one_of(*"DELETE GET HEAD OPTIONS PATCH POST PUT".split(), any_case=True, empty=True),
            "timeout": above_0(text=True, whole=True, null=True),
        },
    ),
    "llm": PflowType(
        "pflow.nodes.llm.llm:LLMNode",
        _table(
            "prompt:str system:str images:list[str] output_schema:dict reasoning_effort:str "
            "reasoning_max_tokens:int model_options:dict model:str temperature:float max_tokens:int "
            "timeout:int"
        ),
        _table("response:any error:str prompt:str llm_usage:dict"),
        "model call",
        Attempts(own=3, wait=1.0),
        needs=("prompt",),
        effects="none",
        asks_a_model=True,
        answers="new",
        cached=True,
        structured_output="response",
        allowed={
            "reasoning_effort": one_of(*"minimal low medium high xhigh none".split(), any_case=True, empty=True),
            "timeout": above_0(text=True),
        },
    ),
    "mcp": _MCP,
    "move-file": _COPY_FILE._replace(
        path="pflow.nodes.file.move_file:MoveFileNode",
        outputs=_table("moved:bool error:str warning:str"),
        left_behind="the file may have been moved",
    ),
    "pflow.runtime.workflow_executor": _WORKFLOW._replace(declares_params=False),
    "read-file": PflowType(
        "pflow.nodes.file.read_file:ReadFileNode",
        _table("file_path:str encoding:str"),
        _table("content:str content_is_binary:bool file_path:str error:str"),
        "file operation",
        _FILE,
        needs=("file_path",),
        effects="none",
    ),
    "shell": PflowType(
        "pflow.nodes.shell.shell:ShellNode",
        _table("stdin:any command:str cwd:str env:dict timeout:int ignore_errors:bool strip_newline:bool"),
        _table("stdout:str stdout_is_binary:bool stderr:str stderr_is_binary:bool exit_code:int"),
        "command",
        Attempts(heeds_retry=False),
        needs=("command",),
        left_behind="the command may have done its work",
        text_containers=frozenset({"env"}),
        allowed={"env": an_object(null=True, refused=True), "timeout": above_0()},
    ),
    WORKFLOW: _WORKFLOW,
    "write-file": PflowType(
        "pflow.nodes.file.write_file:WriteFileNode",
        _table("content:str content_is_binary:bool file_path:str encoding:str append:bool"),
        _table("written:bool error:str"),
        "file operation",
        _FILE,
        needs=("content", "file_path"),
        may_be_empty=frozenset({"content"}),
        effects="yes",
        writes_file="file_path",
        replaces_file=True,
    ),
}
"""Every type by its name, but for the tools of MCP servers, each of which is a type of its own: see `pflow_type`."""

MCP_TOOL = _MCP._replace(params={"result_format": "str"}, allowed={"result_format": one_of("json_block", null=True)})
"""A tool of an MCP server, whatever it is called."""

DEARER = frozenset({"model", "max_tokens", "reasoning_effort", "reasoning"})
"""Parameters of a model call that decide what it costs."""
ASKED = ("system", "prompt")
"""Parameters of a model call that are sent as text."""

STRAY_PARAM = "default"
"""A parameter that pflow accepts for some types since it reads their descriptions so; no type has it."""

FILE_TEXTS = frozenset({"command", "code", "prompt", "source", "stdin"})
"""Parameters, of whatever type, in whose place a `./file` may stand whose text is meant."""
FILE_DATA = frozenset({"headers", "output_schema"})
"""Parameters in whose place a `./file.json` may stand whose data is meant."""
FILE_SUFFIXES = frozenset({".md", ".txt", ".py", ".sh", ".yaml", ".yml", ".json"})
"""What the name of such a file ends with if it does not begin with ./ or ../"""


def pflow_type(name: str) -> PflowType | None:
    """What is known of a type that pflow ships; None for any other."""
    return MCP_TOOL if mcp_tool(name) else TYPES.get(name)


def _facts(name: str) -> PflowType:
    """What is known of a type, which is next to nothing for one that pflow does not ship."""
    return pflow_type(name) or _OTHER


def mcp_tool(name: str) -> str:
    """The tool that a type of the form mcp-SERVER-TOOL calls; "" for any other type."""
    parts = name.split("-", 2)
    return parts[2] if len(parts) == 3 and parts[0] == "mcp" else ""


def is_mcp(name: str) -> bool:
    """Whether nodes of the type call a tool of an MCP server."""
    return name == "mcp" or bool(mcp_tool(name))


def declares_params(name: str) -> bool:
    """Whether pflow refuses a parameter that the type does not declare, as far as is known here."""
    return _facts(name).declares_params


def asks_a_model(name: str) -> bool:
    """Whether a run of the type is one call of a model, whose prompt, price and answer count in tokens."""
    return _facts(name).asks_a_model


def is_cached(name: str) -> bool:
    """Whether pflow uses the result of an earlier run of the type unless told otherwise."""
    return _facts(name).cached
