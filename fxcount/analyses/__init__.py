"""What follows from a count: time on a device."""
