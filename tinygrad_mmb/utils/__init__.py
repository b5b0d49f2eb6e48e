"""PyTorch's paths to what lives elsewhere: `utils.data` is `data`."""
