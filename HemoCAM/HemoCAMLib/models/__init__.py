"""Model bundles: a manifest, its weights and its card; and the classifier they make."""
