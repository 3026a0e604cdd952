"""The nouns of helm-sweep: pure functions in the middle, effects at the edges, no argparse and no print.

Here lies what all share; a session, in which they meet; and the groups, each of which says what it is for.
"""
