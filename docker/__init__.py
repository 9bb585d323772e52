"""What makes the images, and reads them: docs/docker.md."""
