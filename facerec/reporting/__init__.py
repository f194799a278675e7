"""Pictures of finished movie folders for people; reads a folder, runs no stage and imports none."""
