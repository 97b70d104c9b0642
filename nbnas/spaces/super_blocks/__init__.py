"""Search spaces of networks made of super blocks, as T-CET and VKDNW search them."""
