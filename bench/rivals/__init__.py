"""The Lambda handlers that ours is compared with. Each image carries this folder as it stands."""
