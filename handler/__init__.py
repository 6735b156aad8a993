"""What runs in the cloud: one model behind TF Serving's routes, on the standard library alone."""
