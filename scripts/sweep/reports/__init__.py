"""What is said and drawn of a ranking: the table in the terminal, the page, its pictures, best.yaml."""
