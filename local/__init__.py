"""The embedded AWS: the unchanged program on this machine, with no account and no network."""
