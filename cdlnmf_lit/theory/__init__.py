"""The mathematics: convolution, Gabor frames and their equivalence."""
