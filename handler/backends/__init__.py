"""Where the arithmetic happens: in this process, on a SageMaker endpoint, or behind a URL."""
