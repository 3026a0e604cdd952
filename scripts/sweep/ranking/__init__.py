"""Which point is best, and how sure that is: values of trials in, an order with probabilities out."""
