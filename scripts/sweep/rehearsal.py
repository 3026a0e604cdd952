"""The chart's word on what expand is about to write, before any of it is written: what it refuses changes nothing."""

from __future__ import annotations

import re

from sweep import leftovers, render, yamlfile
from sweep.errors import BadInput
from sweep.files import write_atomic
from sweep.session import Session, locate
from sweep.spaces.valuesfile import ValuesFile


def check(session: Session, values: ValuesFile, code: str | None) -> None:
    """Render the head of `values` with its largest trial, and `code` in the place of code.yaml unless it is None.

    valuesfile.check has looked at each trial, and a chart that renders 10,000 of them takes its time; what is left is
    the head, and how large a trial may be. Raises BadInput with the place in the sweep's files.
    """
    files, clone = session.files, session.files.clone
    trials = [trial for _, trial in sorted(values.trials(), key=lambda pair: pair[0])]
    place, largest = max(enumerate(trials), key=lambda pair: len(yamlfile.flow(pair[1])))
    files.out.mkdir(parents=True, exist_ok=True)
    session.write_generated()
    with leftovers.scratch(files.out) as folder:
        head, frozen = folder / files.values.name, folder / files.code.name
        write_atomic(head, yamlfile.lines({**values.head.data, "trials": [largest]}) + "\n")
        drafts = {files.values: head}
        if code is not None:
            write_atomic(frozen, code)
            drafts[files.code] = frozen
        try:
            render.render(clone.chart, files.name, session.values_with(drafts), session.engine.namespace, clone.root)
        except BadInput as error:
            message = re.sub(r"^trials([.\[])0", rf"trials\g<1>{place}", str(error))
            raise BadInput(locate(message, files, values)) from error
