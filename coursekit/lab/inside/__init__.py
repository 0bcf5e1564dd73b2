"""What runs inside the sandbox, as its first process: standard library only, so that it starts in an instant."""
