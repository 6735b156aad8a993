"""What runs inside the containers: standard library only."""
