"""What an AWS account needs once: GitHub as an identity, roles, and a place for state."""
