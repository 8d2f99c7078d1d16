"""Path MTU collector: the largest packet that reaches each probe target, and path-MTU black holes."""
