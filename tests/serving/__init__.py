"""What serving a language model costs, held to loops of counted steps, to real runs and to published figures."""
