"""A trained TensorFlow model in; the smallest LiteRT model that is as good, and a report, out."""
