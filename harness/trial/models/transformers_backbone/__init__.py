"""RT-DETRv2 on a backbone of transformers. `family` is what the rest of the program may import."""
