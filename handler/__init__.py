"""What runs in the cloud: one model behind TF Serving's REST routes, on the standard library alone."""
