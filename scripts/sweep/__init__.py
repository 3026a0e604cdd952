"""The nouns of helm-sweep: pure functions in the middle, effects at the edges, no argparse and no print."""
