"""The embedded AWS: the unchanged program, deployed on this machine with no account and no network."""
