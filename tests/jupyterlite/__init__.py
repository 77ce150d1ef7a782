"""JupyterLite sites, built with our add-on and driven in a browser."""
