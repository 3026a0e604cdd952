"""What runs the rendered Jobs, and tells how they stand: processes on this machine, or a cluster."""
