"""What a reader sees, hears and moves: figures, players, widgets and source listings."""
