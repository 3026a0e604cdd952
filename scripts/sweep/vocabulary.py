"""What W&B, Katib, Ray Tune, NNI, Optuna, SageMaker, Determined and Hydra call what is said here."""

from __future__ import annotations

OTHER_KEYS = {
    **dict.fromkeys(("values", "categories", "options", "list", "domain"), ("choices",)),
    **dict.fromkeys(("min", "minimum", "minValue", "lower", "from", "start"), ("low",)),
    **dict.fromkeys(("max", "maximum", "maxValue", "upper", "to", "end"), ("high",)),
    **dict.fromkeys(("q", "quantum", "quantization"), ("step",)),
    **dict.fromkeys(("scale", "log_scale", "log_uniform"), ("log",)),
    **dict.fromkeys(("distribution", "parameterType", "dtype"), ("type",)),
    **dict.fromkeys(("condition", "conditions", "depends_on", "parent"), ("when",)),
    **dict.fromkeys(("goal", "mode"), ("direction", "objective")),
    **dict.fromkeys(("objectiveMetricName", "metric_name"), ("metric",)),
    "metric": ("objective",),
    "name": ("metric",),
    **dict.fromkeys(("parameters", "search_space", "searchSpace", "params"), ("space",)),
    **dict.fromkeys(("method", "algorithm", "tuner", "strategy"), ("sampler", "name")),
    **dict.fromkeys(("num_samples", "n_trials", "max_trials", "maxTrialCount", "run_cap", "count", "samples"), ("n",)),
    **dict.fromkeys(("repeats", "repetitions", "seeds", "num_seeds"), ("replicates",)),
    **dict.fromkeys(("reduction_factor", "factor"), ("eta",)),
    **dict.fromkeys(("constraint", "restrictions"), ("constraints",)),
    **dict.fromkeys(("cmd", "program", "entrypoint", "args"), ("command",)),
    **dict.fromkeys(("timeout", "time_limit", "max_duration", "activeDeadlineSeconds"), ("limit_seconds",)),
    **dict.fromkeys(("environment", "env_vars"), ("env",)),
    **dict.fromkeys(("gpus", "num_gpus"), ("gpu", "count")),
    **dict.fromkeys(("num_nodes", "nnodes", "numNodes"), ("nodes",)),
    **dict.fromkeys(("metricsCollectorSpec", "MetricDefinitions", "metric_definitions"), ("metrics",)),
    **dict.fromkeys(("source", "type", "kind"), ("from",)),
    **dict.fromkeys(("regex", "regexp", "Regex"), ("pattern",)),
    **dict.fromkeys(("file", "glob", "filename", "log_dir"), ("path",)),
    **dict.fromkeys(("select", "reduce", "aggregate", "scope"), ("take",)),
    **dict.fromkeys(("rename", "aliases", "columns"), ("names",)),
    **dict.fromkeys(("x", "step_metric", "epoch"), ("step",)),
}
"""A key as others call it -> its names here, of which the first that the place knows is meant."""
OTHER_VALUES = {
    **dict.fromkeys(("uniform", "double", "real", "continuous", "quniform"), ("float",)),
    **dict.fromkeys(("loguniform", "log_uniform", "log_uniform_values", "log"), ("float, with `log: true`",)),
    **dict.fromkeys(("categorical", "constant", "enum", "discrete", "list", "string"), ("choice",)),
    **dict.fromkeys(("randint", "integer", "int_uniform", "q_uniform", "qrandint"), ("int",)),
    **dict.fromkeys(("boolean", "flag"), ("bool",)),
    **dict.fromkeys(("max", "maximise", "higher", "Maximize"), ("maximize",)),
    **dict.fromkeys(("min", "minimise", "lower", "Minimize"), ("minimize",)),
    **dict.fromkeys(("bayes", "bayesian", "bayesianoptimization", "gp", "bohb"), ("tpe",)),
    **dict.fromkeys(("hyperband", "asha", "successive_halving", "sha"), ("halving",)),
    **dict.fromkeys(("gridsearch", "grid_search"), ("grid",)),
    **dict.fromkeys(("randomsearch", "random_search"), ("random",)),
    **dict.fromkeys(("qmc", "quasirandom"), ("sobol",)),
}
"""The same for a value that is one of a few words."""
