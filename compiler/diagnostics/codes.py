"""Every code of a diagnostic, with its title.

The first digit says what a finding is about:

    PFL1xx reading the file    PFL2xx the form of a workflow    PFL3xx references and node types
    PFL4xx what is generated   PFL5xx lint    PFL6xx files and `check`    PFL7xx `diff`

It does not say which stage finds it: PFL213 and PFL217 need to know what references mean, so `analyse` reports them;
tables of node types (PFL41x) are read before it. To find who reports a code, search for the code.

A code keeps its meaning for good; one that is no longer used is not reused.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    # load
    "PFL101": "file cannot be read",
    "PFL102": "file too large",
    "PFL103": "not UTF-8 text",
    "PFL104": "empty file",
    "PFL105": "JSON syntax",
    "PFL106": "duplicate key",
    "PFL107": "number that JSON cannot hold",
    "PFL108": "half of a surrogate pair",
    "PFL109": "nested too deeply",
    "PFL110": "top level is not an object",
    "PFL111": "Markdown syntax",
    "PFL112": "pflow is not installed",
    "PFL113": "value that JSON cannot hold",
    "PFL114": "key that is not a string",
    "PFL115": "referenced file cannot be read",
    "PFL116": "remark of pflow's parser",
    "PFL117": "path at which nothing is found",
    "PFL118": "generated file instead of a workflow",
    "PFL119": "Markdown that is read as prose",
    "PFL120": "merge conflict that is read as text",
    # validate: the schema
    "PFL201": "missing key",
    "PFL202": "unknown key",
    "PFL203": "wrong type",
    "PFL204": "value not allowed",
    "PFL205": "batch.items of the wrong kind",
    # validate: what the schema cannot say
    "PFL206": "duplicate node id",
    "PFL207": "reserved name",
    "PFL208": "edge to or from nowhere",
    "PFL209": "start_node names no node",
    "PFL210": "batch written inside params",
    "PFL211": "batch together with loop",
    "PFL212": "batch together with approval",
    "PFL213": "loop that cannot run",
    "PFL214": "number that is not finite",
    "PFL215": "several stdin inputs",
    "PFL216": "several stdout outputs",
    "PFL217": "prompt cache misused",
    "PFL218": "name with characters that pflow refuses",
    "PFL219": "batch keys that do not go together",
    "PFL220": "default of another type than its input",
    # analyse: references
    "PFL301": "reference to nothing",
    "PFL302": "malformed template",
    "PFL303": "reference to a node that runs later",
    "PFL304": "node that refers to itself",
    "PFL305": "cycle of edges",
    "PFL306": "reserved reference",
    "PFL307": "path into a counter",
    "PFL308": "node without an output key",
    "PFL309": "output that a batch node does not have",
    "PFL310": "index into the results of a continue batch",
    "PFL311": "input never used",
    "PFL312": "output source without a reference",
    "PFL313": "cache chunk that cannot be filled",
    "PFL314": "list or object inside a shell command",
    "PFL315": "code input of another type than its annotation",
    "PFL316": "code input without an annotation",
    "PFL317": "annotation without a code input",
    "PFL318": "code that declares no result",
    "PFL319": "code that is not text",
    "PFL320": "alias that shadows another name",
    "PFL321": "item reference outside its batch",
    "PFL322": "reference that fails at run time",
    "PFL323": "node that never runs",
    "PFL324": "items that are not a list",
    "PFL325": "result of an item before that there is not",
    "PFL326": "first item without a result before it",
    "PFL327": "item of an inner batch that is not there yet",
    "PFL328": "edge that is never taken",
    "PFL329": "items that their key does not tell apart",
    # analyse: node types
    "PFL330": "unknown node type",
    "PFL331": "node class that cannot be looked at",
    "PFL332": "node class that its module does not have",
    "PFL333": "parameter that the node type does not have",
    "PFL334": "output that the node type does not have",
    # analyse: named rates
    "PFL335": "rate that names no budget",
    # analyse: names that are probably misspelt
    "PFL336": "unknown node type that is nearly called as another",
    # analyse: node types, again
    "PFL337": "parameter that the node type needs",
    "PFL338": "node class that runs otherwise than the table says",
    "PFL339": "node class that is not a node",
    # analyse: workflows that nodes start
    "PFL340": "child workflow that cannot be started",
    "PFL341": "input that the child workflow does not have",
    "PFL342": "input that the child workflow needs",
    "PFL343": "output that the child workflow does not have",
    # analyse: references, again
    "PFL344": "number where a command has an argument",
    # analyse: code, again
    "PFL345": "code that Python does not accept",
    # analyse: node types, once more
    "PFL346": "node class of which no node can be made",
    "PFL347": "asynchronous method that nobody waits for",
    # analyse: values of parameters
    "PFL348": "value that the node type does not take",
    # analyse: what pflow says beyond that
    "PFL390": "refused by pflow's own validator",
    # lower
    "PFL401": "prompt cache that is not carried over",
    # tables beside the workflow
    "PFL410": "table of node types cannot be read",
    "PFL411": "wrong entry in the table of node types",
    "PFL412": "pflow's registry cannot be read",
    "PFL413": "wrong entry in the table of rates, of journals or of what runs elsewhere",
    # analyse: programs
    "PFL450": "step that needs an engine",
    # lint: what can be proven and costs money
    "PFL501": "calls that are all the same",
    "PFL502": "one output file for all items",
    "PFL503": "parallel items that change one value",
    "PFL504": "code that changes its input",
    "PFL505": "effect that a retry repeats",
    "PFL506": "bound on concurrency without concurrency",
    "PFL507": "retry budgets that multiply",
    "PFL508": "index into the results of a continue batch, in code or behind ??",
    "PFL509": "item name that nothing reads",
    "PFL510": "item name that an input hides",
    "PFL511": "reference in an inline item that stays text",
    "PFL512": "item that the shell reads as a command",
    "PFL513": "item in single quotes that an apostrophe ends",
    "PFL514": "retries that never happen",
    "PFL515": "effect that a resumed run repeats",
    "PFL516": "key or name that only pflow-lower knows",
    "PFL517": "file of items that is not there",
    "PFL590": "suppression that suppresses nothing",
    "PFL591": "wrong entry in the table of suppressions",
    # write
    "PFL601": "file of the user's in the way",
    "PFL602": "folder that cannot be written",
    "PFL603": "folder of another workflow",
    # check: generated files that do not say what the workflow says
    "PFL611": "generated file that is out of date",
    "PFL612": "generated file that is missing",
    "PFL613": "generated file that nothing generates any more",
    "PFL614": "generated folder whose workflow is gone",
    "PFL615": "generated folder that cannot be checked",
    "PFL616": "wrong entry in the table of lowerings",
    # diff: what a change means
    "PFL701": "breaking change",
    "PFL702": "change of behaviour",
    "PFL703": "change of cost",
    "PFL704": "change of schedule",
    "PFL705": "cosmetic change",
    "PFL711": "revision that cannot be read",
    "PFL712": "changed submodule that is not looked at",
}
"""Every code with its title."""
