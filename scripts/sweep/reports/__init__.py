"""Which point is best, how sure that is, and the page and pictures that show it."""
