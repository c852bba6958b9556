"""`--mode=compile`: what a run will need, from its step compiled for devices that are not here."""
