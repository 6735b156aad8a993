"""The policy pack: what no stack may do."""
