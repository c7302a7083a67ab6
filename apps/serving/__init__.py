"""`appline <domain> serve`: a trained model behind HTTP."""
