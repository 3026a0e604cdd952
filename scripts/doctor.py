"""Check what a sweep needs on this machine and on the cluster: one line each, ok or what to do. Changes nothing."""

from __future__ import annotations

import guard

import dataclasses

import cli
from sweep import readiness, settings
from sweep.engines import kubeconfig
from sweep.engines.cluster import Cluster
from sweep.engines.engine import Target
from sweep.layout import Clone
from sweep.spaces import valuesfile


def findings(clone: Clone, target: Target) -> list[readiness.Finding]:
    """Of this machine, and of a cluster where one is named or is kubectl's current one."""
    given = settings.read(clone.chart, valuesfile.base(clone))
    of_machine = [*readiness.of_machine(clone)]
    context = target.context_by(given) or kubeconfig.current_context()
    if not context:
        here = "kubectl has no current context; sweeps run here"
        return [*of_machine, readiness.Finding("cluster", readiness.UNKNOWN, here)]
    return [*of_machine, *readiness.of_cluster(Cluster(context, target.namespace_by(given)), given)]


def main() -> int:
    parser = cli.parser(__doc__, sweep=False)
    parser.add_argument("--context", default="", help="kubectl context; default: cluster.context, then the current one")
    parser.add_argument("--namespace", default="", help="namespace; default: cluster.namespace, then the context's")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    args = parser.parse_args()
    listed = findings(cli.project(), Target("cluster", args.context, args.namespace))
    if args.json:
        cli.put([dataclasses.asdict(finding) for finding in listed])
    else:
        for finding in listed:
            cli.show(f"{finding.state:<8} {finding.what:<10} {finding.text}")
    return 2 if any(finding.state == readiness.MISSING for finding in listed) else 0


if __name__ == "__main__":
    guard.run(main)
