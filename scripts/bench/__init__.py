"""What a step, the loop around it, an evaluation and a store of many runs cost, some beside the plain way to write them."""
