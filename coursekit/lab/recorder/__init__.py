"""The recorder: rebuilds the recordings of the course from scenarios, and checks them against what happens now."""
