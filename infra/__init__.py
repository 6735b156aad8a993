"""The cloud side: one component per file, with a frozen args dataclass in and Outputs out."""
