"""What every engine keeps, whatever runs the Jobs: one that passes these tests is one.

A subclass names its engine and has a fixture `sweep`, the toy sweep in a clone where that engine can run it; the trials
wait at their gate, and note when they start and end.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from sweep import submission
from sweep.engines.engine import Engine, Options, Person, Target
from sweep.errors import BadInput
from sweep.jobs import JobState
from sweep.layout import Clone
from sweep.session import Session, open_sweep
from tests.e2e.support import TestClone
from tests.waiting import until


class Quiet:
    """A watcher that shows nothing."""

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *error: object) -> None: ...
    def __call__(self, known: Mapping[str, JobState]) -> None: ...
    def say(self, text: str) -> None: ...


AGREES = Person(lambda _: None, lambda _: None, Quiet)


class EngineContract:
    kind: type[Engine]

    def edit(self, sweep: TestClone, *trials: dict[str, Any], **head: Any) -> None:
        """Have the sweep list these trials, ready to be submitted."""
        raise NotImplementedError

    def forget(self, sweep: TestClone) -> None:
        """Take from the engine what it knows of its Jobs; what runs goes on, and what is in the store stays."""
        raise NotImplementedError

    def opened(self, sweep: TestClone) -> Session:
        return open_sweep(Clone(sweep.root), "toy", Target(self.kind.NAME))

    def submit(self, sweep: TestClone) -> dict[int, JobState]:
        """Submit and see it through, in this process; x -> the state of its Job, of those that are listed."""
        session = self.opened(sweep)
        provenance = submission.record(session, allow_dirty=True)
        submission.check_provenance(session, provenance)
        engine = session.engine
        engine.check(session, Options(slots=2), AGREES.say)
        engine.submit(session, Options(slots=2), AGREES)
        jobs = [trial.job for trial in session.rendered.trials]
        for _ in engine.looks(jobs, AGREES.say) if engine.RUNS_ON else ():
            pass
        states = engine.states()
        assert sorted(states) == sorted(jobs), "what is listed no more is gone"
        return {trial.identity["hyperparameters"]["x"]: states[trial.job] for trial in session.rendered.trials}

    def begin(self, sweep: TestClone, *x: int) -> Any:
        """Start the trials of these x by a process that can be killed."""
        launcher = sweep.start("submit", "toy", "--slots", "2", "--allow-dirty")
        until(lambda: {str(value) for value in x} <= set(sweep.events("start")), "its trials start")
        return launcher

    def results(self, sweep: TestClone) -> dict[int, str]:
        """x -> status, from the store."""
        session = self.opened(sweep)
        session.engine.fetch(session, AGREES.say)
        rows, _ = session.look()
        return {row.hyperparameters["x"]: row.status for row in rows}

    def test_a_second_submission_starts_nothing(self, sweep: TestClone) -> None:
        self.edit(sweep, {"x": 1}, {"x": 2})
        sweep.open_gate()
        first = self.submit(sweep)
        assert {x: (job.condition, job.attempts, job.failed) for x, job in first.items()} == {
            1: ("Complete", 1, 0),
            2: ("Complete", 1, 0),
        }
        assert all(job.queued_s is not None and not job.reason for job in first.values())
        assert self.submit(sweep) == first
        assert sorted(sweep.events("start")) == ["1", "2"]
        assert self.results(sweep) == {1: "succeeded", 2: "succeeded"}

    def test_a_submission_that_was_killed_is_taken_up_again(self, sweep: TestClone) -> None:
        self.edit(sweep, {"x": 1}, {"x": 2})
        launcher = self.begin(sweep, 1, 2)
        launcher.kill()
        launcher.communicate()
        sweep.open_gate()
        assert {job.condition for job in self.submit(sweep).values()} == {"Complete"}
        assert self.results(sweep) == {1: "succeeded", 2: "succeeded"}
        assert not sweep.events("again"), "nothing trains once its result stands"

    def test_what_failed_stays_so_until_it_is_retried(self, sweep: TestClone) -> None:
        self.edit(sweep, {"x": 1}, {"x": -1}, backoffLimit=0)
        sweep.open_gate()
        failed = self.submit(sweep)[-1]
        assert (failed.condition, failed.attempts, failed.failed) == ("Failed", 1, 1)
        assert "x: must not be negative" in failed.reason
        assert self.submit(sweep)[-1].name == failed.name
        assert sweep.events("start").count("-1") == 1
        sweep.run("retry", "toy")
        again = self.submit(sweep)[-1]
        assert (again.name, again.condition) == (f"{failed.name}-r1", "Failed")
        assert (sweep.events("start").count("-1"), sweep.events("start").count("1")) == (2, 1)
        assert self.results(sweep) == {1: "succeeded", -1: "failed"}

    def test_a_sweep_that_was_stopped_goes_on(self, sweep: TestClone) -> None:
        self.edit(sweep, {"x": 1})
        launcher, engine = self.begin(sweep, 1), self.opened(sweep).engine
        if "stop" in engine.CANNOT:
            launcher.send_signal(signal.SIGINT)
        else:
            assert engine.suspend(stop=True, dry_run=True) == 1
            assert [job.condition for job in engine.states().values()] == ["Running"]
            assert [engine.suspend(stop=True, dry_run=False) for _ in range(2)] == [1, 0]
            until(lambda: [job.condition for job in engine.states().values()] == ["Suspended"], "it is suspended")
            assert [engine.suspend(stop=False, dry_run=False) for _ in range(2)] == [1, 0]
        launcher.communicate(timeout=60)
        sweep.open_gate()
        assert self.submit(sweep)[1].condition == "Complete"
        assert self.results(sweep) == {1: "succeeded"}

    def test_what_is_removed_leaves_its_results(self, sweep: TestClone) -> None:
        self.edit(sweep, {"x": 1}, {"x": 2})
        sweep.open_gate()
        self.submit(sweep)
        self.edit(sweep, {"x": 2})
        assert self.submit(sweep).keys() == {2}
        engine = self.opened(sweep).engine
        if "uninstall" not in engine.CANNOT:
            assert engine.installed(AGREES.say) == ["toy"]
            engine.remove(AGREES.say)
            until(lambda: not engine.states(), "its Jobs are gone")
            assert not engine.installed(AGREES.say)
        self.edit(sweep, {"x": 1}, {"x": 2})
        assert {job.condition for job in self.submit(sweep).values()} == {"Complete"}
        assert sorted(sweep.events("start")) == ["1", "2"]

    def test_jobs_of_which_the_engine_knows_no_more_are_adopted(self, sweep: TestClone) -> None:
        self.edit(sweep, {"x": 1}, {"x": 2})
        launcher = self.begin(sweep, 1, 2)
        sweep.open_gate(1)
        until(lambda: self.results(sweep)[1] == "succeeded", "one has its result")
        launcher.kill()
        launcher.communicate()
        self.forget(sweep)
        sweep.open_gate()
        assert {job.condition for job in self.submit(sweep).values()} == {"Complete"}
        assert self.results(sweep) == {1: "succeeded", 2: "succeeded"}
        assert sweep.events("start").count("1") == 1
        assert not sweep.events("again")

    def test_a_dry_run_starts_nothing_and_what_it_cannot_do_it_says(self, sweep: TestClone) -> None:
        self.edit(sweep, {"x": 1})
        engine = self.opened(sweep).engine
        output = sweep.run("submit", "toy", "--dry-run", "--allow-dirty")
        assert f"toy: the {engine.NAME} engine would take it" in output
        assert not engine.states()
        calls: dict[str, Callable[[], object]] = {
            "stop": lambda: engine.suspend(stop=True, dry_run=True),
            "uninstall": lambda: engine.remove(AGREES.say),
        }
        assert engine.CANNOT.keys() <= calls.keys()
        for verb, reason in engine.CANNOT.items():
            with pytest.raises(BadInput, match=f"^{verb}: "):
                calls[verb]()
            assert reason in sweep.run(verb, "toy", code=2)
