"""From a search space to the trials of values.yaml, round by round."""
