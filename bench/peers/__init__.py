"""The servers that ours is compared with. Each runs in an environment of its own."""
