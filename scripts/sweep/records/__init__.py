"""What trials wrote, and the table made of it: the result store and results.csv."""
