"""Commands to paste that show where a traced result came from."""

from __future__ import annotations

import shlex

from sweep import git
from sweep.audit.tracing import Trace
from sweep.layout import Clone


def commands(trace: Trace, clone: Clone) -> dict[str, str]:
    """The command, by what it shows; each works in any folder of the repository."""
    above = git.prefix(clone.root)

    def show(commit: str, path: str) -> str:
        """What a path holds that a shell would act on is quoted."""
        return f"git show {shlex.quote(f'{commit[:12]}:{above}{path}')}"

    commands, source = {}, trace.source
    if source:
        commands["the line"] = f"{show(source.commit, source.path)} | sed -n {source.line}p"
        commands["the values file"] = show(source.commit, source.path)
        if trace.code and trace.code.told:
            commands["the frozen code"] = show(source.commit, f"values/{source.sweep}/code.yaml")
        if source.space_commit:
            commands["the space"] = show(source.space_commit, source.space)
        if git.tree(clone.root, "chart/templates", source.commit):
            commands["the chart"] = show(source.commit, "chart/")
    if trace.code and trace.code.commit:
        commands["the code"] = show(trace.code.commit, f"{trace.code.path}/".removeprefix("./"))
    if trace.table_commit:
        commands["the result"] = f"{show(trace.table_commit, trace.table)} | grep {trace.id}"
    return commands
