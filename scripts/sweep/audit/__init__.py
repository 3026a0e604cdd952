"""Years later: where a result came from, whether it comes out again, what it cost, and what nothing names any more."""
