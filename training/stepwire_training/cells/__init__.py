"""What single cells of a trained model follow in the text that it reads."""
