"""The samplers: each a file, and a line here. Schema, checks, rounds and docs/search.md follow from their records."""

from __future__ import annotations

from sweep.spaces.sampler import Sampler
from sweep.spaces.samplers import auto, explicit, gp, grid, halving, lhs, random, sobol, tpe

SAMPLERS: dict[str, Sampler] = {
    each.SAMPLER.name: each.SAMPLER
    for each in (
        auto,
        grid,
        random,
        sobol,
        lhs,
        explicit,
        tpe,
        gp,
        halving,
    )
}
