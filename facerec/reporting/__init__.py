"""Finished movie folders shown to people: reads a folder and draws it, runs no stage and imports none."""
