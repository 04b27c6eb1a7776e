"""What a served model scores on the split that its card tells the figure of."""
