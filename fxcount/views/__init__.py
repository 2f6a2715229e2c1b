"""What people read: text made from a costed graph."""
